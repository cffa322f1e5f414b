#!/usr/bin/env bash
# Software drivers besides net_tap: each starts with one port, stops in order, and where it has a kernel interface on
# the other end the kernel behind the router answers through it.
# shellcheck source=tests/support/netns.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/../../support/netns.sh"

dataplane=$(program sluice-dataplane)
run_with() {
  local name=$1 device=$2
  cat >"$work/$name.yaml" <<YAML
router: {name: r1, run-dir: /run/sluice}
dataplane: {workers: [0], huge-pages: off, memory-mb: 192, mbufs: 16384, routes: 16384}
ports:
  - {name: p0, device: "$device"}
YAML
  start "$name" "$dataplane" --config "$work/$name.yaml"
  check "$name starts" poll 20 logged "$name" 'event=started'
}
stop_with() {
  stop "$1"
  is "$1 stops in order" "$exit_status" 0
  check "$1 left nothing" not test -e /sys/class/net/sl-p0
}

for driver in null ring; do
  run_with "$driver" "net_${driver}0"
  stop_with "$driver"
done

run_with memif 'net_memif0,role=server,socket=/run/memif.sock,socket-abstract=no'
# Nobody is connected yet, so there is no link: said once, at most.
check "a memif without a peer has no link" not logged memif 'event=port_link port=p0 link=up'
stop_with memif

host h0
veth - v0 h0 w0
configure_link h0 w0 10.0.0.2/24
run_with af_packet 'net_af_packet0,iface=v0'
configure_link - sl-p0 10.0.0.1/24
check "the kernel answers through af_packet" in_host h0 ping -c3 -i0.2 -W2 10.0.0.1
stop_with af_packet
finish
