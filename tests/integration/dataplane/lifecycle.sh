#!/usr/bin/env bash
# A dataplane alone, without a control plane: the kernel behind its host interfaces answers pings through a software
# port, a killed dataplane comes back to the addresses it left, an orderly stop leaves nothing behind, and while nothing
# happens it hardly uses the CPU.
# shellcheck source=tests/support/netns.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/../../support/netns.sh"

run_dir=/run/sluice
dataplane=$(program sluice-dataplane)
cat >"$work/router.yaml" <<YAML
router: {name: r1, run-dir: $run_dir}
dataplane:
  workers: [1]
  idle: adaptive
  huge-pages: off
  memory-mb: 192
  mbufs: 16384
  routes: 16384
ports:
  - {name: p0, device: "net_tap0,iface=wire0"}
  - {name: p1, device: "net_tap1,iface=wire1", mtu: 1400, vlan: 7}
YAML

start_router() {
  start router env NOTIFY_SOCKET="$work/notify" WATCHDOG_USEC=600000 "$dataplane" --config "$work/router.yaml"
}
started_times() { [ "$(grep -c 'event=started' "$work/router.log")" -eq "$1" ]; }
# CPU time of all threads, in ticks of 10 ms.
ticks() { awk '{print $14 + $15}' "/proc/${pid_of[router]}/stat"; }
mac_of() { cat "/sys/class/net/$1/address"; }

"$dataplane" --config "$work/router.yaml" --check >"$work/check.out" || bail "--check: $(cat "$work/check.out")"
check "--check says what it looked at" grep -q '^PASS  port p1: net_tap1,iface=wire1$' "$work/check.out"
check "--check starts nothing" not test -e /sys/class/net/wire0

start systemd python3 "$(dirname "$0")/notify_listener.py" "$work/notify"
wait_for 5 test -S "$work/notify"
start_router
wait_for 20 started_times 1
check "systemd hears that it is ready" poll 5 logged systemd '^READY=1$'
check "and that it is alive" poll 5 logged systemd '^WATCHDOG=1$'
ip link set dev wire1 down
check "a link that goes down is noticed" poll 5 logged router 'port=p1 link=down'
ip link set dev wire1 up
check "and one that comes back" poll 5 bash -c "grep -q link=up <(sed '1,/port=p1 link=down/d' '$work/router.log')"
host h0
host h1
give_link wire0 h0 10.0.0.2/24 fd00::2/64
check "the port's host interface is there" test -e /sys/class/net/sl-p0
configure_link - sl-p0 10.0.0.1/24 fd00::1/64
check "the kernel answers IPv4 through the port" in_host h0 ping -c3 -i0.2 -W2 10.0.0.1
check "the kernel answers IPv6 through the port" in_host h0 ping -c3 -i0.2 -W2 fd00::1
check "and asks" ping -c2 -i0.2 -W2 10.0.0.2
check "a full frame goes through, checksums are complete" in_host h0 ping -c2 -i0.2 -s 1472 -M "do" -W2 10.0.0.1

# Port p1 carries VLAN 7; the kernel of the router sees it untagged.
give_link wire1 h1
configure_link - sl-p1 10.7.0.1/24
arp_in() { in_host h1 python3 "$(dirname "$0")/arp_probe.py" wire1 "$1" 10.7.0.2 10.7.0.1; }
check "a port with a VLAN is untagged in the kernel" arp_in 7
check "what is in no VLAN does not get into it" not arp_in 0
check "nor what is in another" not arp_in 8
is "its MTU is the configured one" "$(cat /sys/class/net/sl-p1/mtu)" 1400

check "a second dataplane is refused" not "$dataplane" --config "$work/router.yaml"
check "and told of the first" bash -c "! '$dataplane' --config '$work/router.yaml' --check | grep -q 'PASS  single'"

# At most a tenth of a core in all threads.
idles() {
  local before used
  before=$(ticks)
  sleep 3
  used=$(($(ticks) - before))
  note "idle: $used ticks of 10 ms in 3 s"
  [ "$used" -le 30 ]
}
check "it is idle when nothing happens" idles

# Somebody deletes what belongs to port p1: descriptors that report an error for ever.
ip link delete dev sl-p1
check "a host interface that was deleted is told of" poll 5 logged router 'event=host_interface_gone port=p1'
ip -n h1 link delete dev wire1
check "it is idle all the same" idles
check "and the other port goes on" in_host h0 ping -c2 -i0.2 -W2 10.0.0.1

mac=$(mac_of sl-p0)
check "both ends of the wire have addresses of their own" not in_host h0 grep -q "$mac" /sys/class/net/wire0/address
ifindex=$(cat /sys/class/net/sl-p0/ifindex)
kill9 router
check "the host interface outlives a killed dataplane" test -e /sys/class/net/sl-p0
check "with its address" bash -c "ip -o address show dev sl-p0 | grep -q 10.0.0.1/24"
start_router
wait_for 20 started_times 2
give_link wire0 h0 10.0.0.2/24
is "the next one takes the same interface" "$(cat /sys/class/net/sl-p0/ifindex)" "$ifindex"
check "and the kernel answers again" in_host h0 ping -c3 -i0.2 -W2 10.0.0.1
is "under the same MAC address" \
  "$(in_host h0 ip neighbour show 10.0.0.1 | grep -o 'lladdr [0-9a-f:]*')" "lladdr $mac"

stop router
is "an orderly stop ends with 0" "$exit_status" 0
check "and says so" logged router 'event=stopped'
check "to systemd too" logged systemd '^STOPPING=1$'
stop systemd
check "host interfaces are gone" bash -c "! ls /sys/class/net | grep -q '^sl-'"
check "the socket is gone" not test -e "$run_dir/dataplane.sock"
check "nothing of DPDK is left" not test -e "/run/dpdk/sluice-run-sluice"
finish
