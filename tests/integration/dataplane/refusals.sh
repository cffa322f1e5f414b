#!/usr/bin/env bash
# What cannot work is refused before anything is started, with the reason and the remedy, and status 1; a mistake on
# the command line is status 2. Each refusal is a small change to a configuration that works.
# shellcheck source=tests/support/netns.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/../../support/netns.sh"

dataplane=$(program sluice-dataplane)

# write_config WORKERS EXTRA_OF_DATAPLANE DEVICE
write_config() {
  cat >"$work/router.yaml" <<YAML
router: {name: r1, run-dir: ${run_dir:-/run/sluice}}
dataplane:
  workers: $1
  huge-pages: ${huge_pages:-off}
  memory-mb: 192
  mbufs: 16384
  routes: 16384
$2
ports:
  - {name: p0, device: "$3"}
YAML
}

# refused TEXT WANTED_IN_OUTPUT REMEDY
refused() {
  local status=0
  timeout 20 "$dataplane" --config "$work/router.yaml" >"$work/out" 2>&1 || status=$?
  is "$1: status" "$status" 1
  check "$1: reason" grep -qF -- "$2" "$work/out"
  check "$1: remedy" grep -qF -- "$3" "$work/out"
  check "$1: no host interface is left" not test -e /sys/class/net/sl-p0
}

usage() {
  local status=0
  "$dataplane" "$@" >"$work/out" 2>&1 || status=$?
  is "$*: status" "$status" 2
}
usage --nonsense
usage --config
usage stray
check "--help" "$dataplane" --help
check "--version" "$dataplane" --version

good='net_tap0,iface=wire0'
write_config '[1]' '' "$good"
check "the configuration itself passes" "$dataplane" --config "$work/router.yaml" --check

write_config '[63]' '' "$good"
refused "no such core" "no core 63" "dataplane.workers"

write_config '[1, 1]' '' "$good"
refused "two workers on a core" "router.yaml:" "1"

write_config '[1]' '  manager-core: 1' "$good"
refused "manager on a worker's core" "router.yaml:" "manager-core"

write_config '[1]' '' 'net_magic0'
refused "unknown driver" "net_magic0" "net_tap"

write_config '[1]' '' '0000:ff:1f.7'
refused "no such device" "no PCI device 0000:ff:1f.7" "dpdk-devbind.py"

write_config '[1]' '' 'net_af_packet0,iface=nowhere'
refused "no such interface" "no interface nowhere" "ip link"

ip link add name up0 type veth peer name up1
ip address add 192.0.2.2/24 dev up0
ip link set dev up0 up
ip route add default via 192.0.2.1
write_config '[1]' '' 'net_af_packet0,iface=up0'
refused "the way to this machine" "up0 carries this machine's default route" "another device"
ip link delete up0

huge_pages=on write_config '[1]' '' "$good"
if "$dataplane" --config "$work/router.yaml" --check >/dev/null; then
  note "this machine has huge pages: their lack cannot be tried"
else
  huge_pages=on
  refused "huge pages demanded" "of huge pages needed on node 0" "nr_hugepages"
  huge_pages=off
fi

write_config '[1]' '  eal-args: ["--file-prefix=x"]' "$good"
refused "DPDK argument of ours" "--file-prefix=x is not yours to set" "router.run-dir"

echo x >/run/file
run_dir=/run/file write_config '[1]' '' "$good"
refused "run directory is a file" "/run/file is not a folder" "router.run-dir"

write_config '[1]' '' 'net_tap0,iface=a-name-that-is-far-too-long-for-linux'
refused "an interface's name that is too long" "ports[0].device" "15"
# Device arguments that only the driver can judge: DPDK refuses, and what it said is in the message.
write_config '[1]' '' 'net_tap0,mac=nonsense'
refused "arguments the driver refuses" "port p0" "net_tap0"

write_config '[1]' '' "$good"
mkdir "$work/without-tun"
mount --bind "$work/without-tun" /dev/net
refused "no tun" "/dev/net/tun is missing" "modprobe tun"
umount /dev/net

status=0
setpriv --bounding-set=-net_admin --inh-caps=-net_admin "$dataplane" --config "$work/router.yaml" \
  >"$work/out" 2>&1 || status=$?
is "without privileges: status" "$status" 1
check "without privileges: reason" grep -q 'CAP_NET_ADMIN is missing' "$work/out"

if [ "$(nproc)" -ge 2 ]; then
  status=0
  taskset -c 0 "$dataplane" --config "$work/router.yaml" >"$work/out" 2>&1 || status=$?
  is "core not allowed: status" "$status" 1
  check "core not allowed: reason" grep -q 'core 1 is not allowed to this process, only 0' "$work/out"
fi

status=0
"$dataplane" --config /nowhere.yaml >"$work/out" 2>&1 || status=$?
is "no configuration: status" "$status" 1
check "no configuration: its path is named" grep -q /nowhere.yaml "$work/out"
finish
