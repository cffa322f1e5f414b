#!/usr/bin/env bash
# Two routers that know each other by configuration: agents behind one reach agents behind the other over a trunk with a
# VLAN tag, both ways; what is no peer gets nowhere; peers come and go by command; a router that is killed comes back.
# shellcheck source=tests/e2e/router.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/router.sh"

# Router r lives here, router s on a host of its own. Agents: host h1 at r, host h2 at s. The trunk is a cable.
host place
place_of[s]=place
veth - trunk-r place trunk-s

write_router r <<YAML
ports:
$(port 1)
  - {name: core, device: "net_af_packet0,iface=trunk-r", role: trunk, vlan: 42, addresses: [192.0.2.1/30]}
$tenants
agents:
  - {name: $(agent alice), tenant: 1, endpoint: "10.77.1.2:7700", capabilities: [ask/alice]}
peers:
  - name: s
    address: 192.0.2.2
    agents: [{name: $(agent bob), tenant: 1}, {name: $(agent eve), tenant: 2}]
YAML
write_router s <<YAML
ports:
$(port 2)
  - {name: core, device: "net_af_packet0,iface=trunk-s", role: trunk, vlan: 42, addresses: [192.0.2.2/30]}
$tenants
agents:
  - {name: $(agent bob), tenant: 1, endpoint: "10.77.2.2:7700"}
  - {name: $(agent eve), tenant: 2, endpoint: "10.77.2.2:7701"}
peers:
  - {name: r, address: 192.0.2.1, agents: [{name: $(agent alice), tenant: 1}]}
YAML
start_pair r s
peer_is() { [ "$(get_of "$1" ".peers[] | select(.name == \"$2\") | .reachability" peer list)" = "$3" ]; }
check "router r reaches its peer" wait_for 10 peer_is r s up
check "router s reaches its peer" wait_for 10 peer_is s r up
check "the kernels of the routers reach each other over the trunk" ping -q -c 2 -i 0.1 -W 2 192.0.2.2
known=$(get '.registry | "\(.agents) \(.agents_static) \(.agents_peer)"' status)
is "r knows its agents and the peer's" "$known" "3 1 2"

# listen_static HOST SHORT ROUTER LOCAL [OPTION...]
listen_static() {
  local where=$1 short=$2 address=$3 local=$4
  shift 4
  : >"$work/$short.log"
  options "$short" "$address"
  run_as "$where" "$short" listen "${given[@]}" --no-register --local "$local" "$@"
  wait_for 10 logged "$short" listening
}
# One sender at each side that registers itself, which the other router need not know: only its peer is checked there.
start_in - tap tcpdump -l -i trunk-r -n -e 'vlan 42 and udp port 7600' -c 5
wait_for 10 logged tap 'listening on'
listen_static h2 bob 10.77.2.1 10.77.2.2:7700 --count 1000 --timeout 20
send_as h1 ann 10.77.1.1 bob --count 1000 --rate 5000 --size 400 --wait-notices 0.1
collect bob
is "from r to s: delivered, lost, reordered" "$(report bob '"\(.received) \(.lost) \(.reordered)"')" "1000 0 0"
is "no notice" "$(report ann '.notices | length')" 0
listen_static h1 alice 10.77.1.1 10.77.1.2:7700 --count 1000 --timeout 20
options bert 10.77.2.1 1 s
run_as h2 bert send "$(agent alice)" "${given[@]}" --count 1000 --rate 5000
collect bert
collect alice
is "from s to r: delivered, lost, reordered" "$(report alice '"\(.received) \(.lost) \(.reordered)"')" "1000 0 0"
collect tap
check "what is on the trunk carries the tag" grep -q 'vlan 42' "$work/tap.log"

# ---- What the second router sees of a message: one hop is gone already.
run_as - seen --socket /run/s/api.sock trace --destination "$(agent bob)" --timeout 10
listen_static h2 bob 10.77.2.1 10.77.2.2:7700 --count 20 --timeout 10
send_as h1 ann 10.77.1.1 bob --count 20 --rate 40
collect bob
collect seen
is "hop limit as it came to s and as it left" \
  "$(report seen '.headers_before["message.hop_limit"] + " " + .headers_after["message.hop_limit"]')" "15 14"
is "it came by the trunk" "$(report seen '.ingress_port + " " + .egress_port + " " + .verdict')" "core p2 forward"

listen_static h2 bob 10.77.2.1 10.77.2.2:7700
# ping_alice [OPTION...]: alice asks bob.
ping_alice() {
  options alice 10.77.1.1
  in_host h1 "$sluice" ping "$(agent bob)" "${given[@]}" --no-register --local 10.77.1.2:7700 --interval 0.05 "$@"
}
check "an agent is answered across both routers" ping_alice --count 5

# ---- Who may use the trunk, and for whom.
# bad_trunk OPTION...: three messages out of the other end of the cable.
bad_trunk() {
  in_host place /usr/bin/python3 "$wire_tool" bad trunk-s --vlan 42 \
    --router-mac "$(cat /sys/class/net/sl-core/address)" \
    --to 192.0.2.1:7600 --source 00000000-0000-8000-8000-000000000009 --count 3 --wait 0.05 \
    --destination "$(get .id agent show "$(agent alice)")" "$@" >"$work/out"
}
ip -n place address add 192.0.2.9/32 dev lo
bad_trunk --case good --from 192.0.2.9:7600
check "a message from no peer is dropped and counted" wait_for 3 drops_are "unknown_peer=3"
bad_trunk --case type-link-probe --from 192.0.2.2:7601
check "so is what does not belong on a trunk" wait_for 3 drops_are "type_not_allowed=3 unknown_peer=3"
send_as h1 ann 10.77.1.1 eve --count 5 --wait-notices 0.5
is "a peer's agents have tenants, too" "$(report ann '.notices["tenant denied"]')" 5

# ---- Peers by command.
ask peer add t 192.0.2.6 >"$work/out"
peers=$(get '[.peers[] | "\(.name) \(.address)"] | join(", ")' peer list)
is "a peer is added" "$peers" "s 192.0.2.2:7600, t 192.0.2.6:7600"
ask peer delete t >"$work/out"
is "and deleted" "$(get '[.peers[].name] | join(", ")' peer list)" s

# ---- The other router is killed, both processes, and comes back.
kill9 s-cp
kill9 s-dp
start_dataplane s
plug 2 s
start_controlplane s
check "after the other router was killed its agents are reached again" wait_for 20 ping_alice --count 1 --timeout 0.3
stop bob
wait_for 5 accounted r
wait_for 5 accounted s
is "both account for every message" "$(unaccounted_of r) $(unaccounted_of s)" "0 0"
finish
