#!/usr/bin/env bash
# A router on network cards: a virtual machine whose cards DPDK drives through vfio-pci behind a virtual IOMMU, with
# huge pages: an Intel card (e1000e) and a virtio card, two queues each. Agents on both wires
# use it. Real drivers: binding, DMA through the IOMMU, queues, link state, an orderly stop, a start after kill -9.
# shellcheck source=tests/e2e/router.sh disable=SC2317,SC2016  # functions are called by name; the guest expands
. "$(dirname "$0")/router.sh"
# shellcheck source=tests/support/guest.sh
. "$source_root/tests/support/guest.sh"

# The router runs in the guest: what a scenario asks of it goes through the guest's shell.
# shellcheck disable=SC2317
ask_of() {
  shift
  guest "sluice --socket /run/r/api.sock $(printf '%q ' "$@")" 40
}
guest_logged() { guest "grep -qE '$2' /run/$1.log" 20; }
# start_program SHORT PROGRAM LINE-OF-LOG
start_program() {
  guest "setsid $2 --config /etc/r.yaml >>/run/$1.log 2>&1 & echo \$! >/run/$1.pid" >"$work/$1.start"
  wait_for 60 guest_logged "$1" "$3"
}

e1000e=0000:00:02.0
virtio=0000:00:03.0
virtual_iommu=iommu_platform=on,ats=on,disable-legacy=on
ip tuntap add dev wire1 mode tap
ip tuntap add dev wire2 mode tap multi_queue
{
  echo 'router: {name: r, run-dir: /run/r, state-dir: /run/r/state}'
  echo 'dataplane: {workers: [0, 1], idle: adaptive, huge-pages: on, memory-mb: 384, mbufs: 16384, routes: 16384}'
  echo 'ports:'
  port 1 | sed "s/net_tap1,iface=wire1/$e1000e/"
  port 2 | sed "s/net_tap2,iface=wire2/$virtio/"
  echo "$tenants"
} >"$work/r.yaml"
make_guest "$work/r.yaml" "$dataplane" "$controlplane" "$sluice"
start_guest -monitor "unix:$work/monitor.sock,server=on,wait=off" \
  -netdev tap,id=n1,ifname=wire1,script=no,downscript=no \
  -device e1000e,id=card1,addr=2,netdev=n1,mac=02:77:00:00:01:01,romfile= \
  -netdev tap,id=n2,ifname=wire2,script=no,downscript=no,queues=2 \
  -device virtio-net-pci,id=card2,addr=3,netdev=n2,mac=02:77:00:00:01:02,mq=on,vectors=6,romfile=,$virtual_iommu
monitor() {
  /usr/bin/python3 -c 'import socket, sys, time
with socket.socket(socket.AF_UNIX) as s:
    s.connect(sys.argv[1]); s.sendall(sys.argv[2].encode() + b"\n"); time.sleep(0.5)' "$work/monitor.sock" "$1"
}

start_program dp sluice-dataplane event=started
start_program cp sluice-controlplane event=link_ready
plug 1
plug 2
is "the link is ready" "$(get .link.state status)" ready
is "and their drivers" "$(get '[.dataplane.ports[].driver] | join(" ")' status)" "net_e1000_em net_virtio"
is "each has a queue for each worker" "$(get '[.dataplane.ports[].rx_queues] | join(" ")' status)" "2 2"
# QEMU 7.2 offers VAES and computes something else: the hash must have found out.
is "the hash runs on what computes right" "$(get .dataplane.hash_implementation status)" aesni
is "both cards are there, on huge pages" "$(get '[.dataplane.ports[].device] | join(" ")' status)" "$e1000e $virtio"
link_is() { gets "$2" ".dataplane.ports[] | select(.name == \"$1\") | .link_up" status; }
check "the Intel card has a link" wait_for 20 link_is p1 true
check "the virtio card has a link" wait_for 20 link_is p2 true
buffers=$(mbufs_free)
check "the router's kernel answers on the Intel card" in_host h1 ping -q -c 3 -i 0.5 -W 5 10.77.1.1
check "and on the virtio card, IPv6" in_host h2 ping -q -c 3 -i 0.5 -W 5 fd77:2::1

number=0
# forward TEXT FROM-HOST FROM-ADDRESS TO-HOST TO-ADDRESS
forward() {
  local from to
  number=$((number + 1))
  from=from$number to=to$number
  listen_as "$4" "$to" "$5" --count 300 --timeout 30
  send_as "$2" "$from" "$3" "$to" --count 300 --rate 1000 --size 200 --wait-notices 0.01
  collect "$to" 40
  is "$1: delivered, lost, reordered" "$(report "$to" '"\(.received) \(.lost) \(.reordered)"')" "300 0 0"
}
forward "Intel to virtio" h1 10.77.1.1 h2 10.77.2.1
forward "virtio to Intel, IPv6 to IPv4" h2 '[fd77:2::1]' h1 10.77.1.1

monitor "set_link card1 off"
check "a link that goes down is seen" wait_for 20 link_is p1 false
monitor "set_link card1 on"
check "and its return" wait_for 20 link_is p1 true

# The cards survive a process that had no time to give them back.
guest 'kill -9 $(cat /run/dp.pid)'
start_program dp sluice-dataplane 'event=started.*'
wait_ready r
forward "after kill -9 of the dataplane" h1 10.77.1.1 h2 10.77.2.1
check "every message is accounted for" wait_for 20 accounted
check "no buffer is lost" wait_for 20 no_leak "$buffers" 1200

guest 'kill $(cat /run/cp.pid) $(cat /run/dp.pid)'
gone() { guest '! kill -0 $(cat /run/dp.pid) 2>/dev/null' 20; }
check "both end in order" wait_for 30 gone
check "the dataplane says so" guest_logged dp 'event=stopped'
stop_guest
finish
