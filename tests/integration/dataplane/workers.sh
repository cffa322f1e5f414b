#!/usr/bin/env bash
# Two workers: on a port with one queue, where one worker receives for both and sends for both; and on one with a queue
# for each. The kernel answers through both ports, whatever worker a frame comes to.
# shellcheck source=tests/support/netns.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/../../support/netns.sh"

if [ "$(nproc)" -lt 2 ]; then
  echo "1..0 # SKIP needs two cores"
  finished=yes
  exit 0
fi
cat >"$work/router.yaml" <<YAML
router: {name: r1, run-dir: /run/sluice}
dataplane:
  workers: [0, 1]
  huge-pages: off
  memory-mb: 192
  mbufs: 16384
  routes: 16384
ports:
  - {name: one, device: "net_tap0,iface=wire0", rx-queues: 1}
  - {name: two, device: "net_tap1,iface=wire1"}
YAML

start router "$(program sluice-dataplane)" --config "$work/router.yaml"
wait_for 20 logged router 'event=started'
check "the manager shares a core and says so" logged router 'check=manager.*the manager thread shares one'
check "too few queues mean dispatch" logged router 'port=one .*rx_queues=1 tx_queues=1 .*dispatch=yes'
check "enough mean none" logged router 'port=two .*rx_queues=2 tx_queues=2 .*dispatch=no'
host h0
host h1
give_link wire0 h0 10.0.0.2/24
give_link wire1 h1 10.0.1.2/24
configure_link - sl-one 10.0.0.1/24
configure_link - sl-two 10.0.1.1/24
check "the kernel answers through one queue" in_host h0 ping -c5 -i0.2 -W2 10.0.0.1
check "the kernel answers through two" in_host h1 ping -c5 -i0.2 -W2 10.0.1.1
# Flows differ by their UDP ports, so both queues (or both workers) get some of these. The kernel has nobody
# listening and answers each with an ICMP error: connection refused.
flows_answered() {
  in_host "$1" python3 -c "
import socket, sys, time
good = 0
for port in range(20000, 20032):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flow:
        flow.settimeout(1)
        flow.connect((sys.argv[1], port))
        for attempt in range(5):
            try:
                flow.send(b'x')
                flow.recv(1)
            except ConnectionRefusedError:
                good += 1
                break
            except TimeoutError:
                pass
sys.exit(good != 32)" "$2"
}
# The kernel limits how many errors it sends; this is its switch.
sysctl -qw net.ipv4.icmp_ratelimit=0
check "every flow through one queue is answered" flows_answered h0 10.0.0.1
check "every flow through two queues is answered" flows_answered h1 10.0.1.1
stop router
is "an orderly stop ends with 0" "$exit_status" 0
finish
