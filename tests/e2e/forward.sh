#!/usr/bin/env bash
# Two hosts behind one router: agents register in-band and reach each other both ways, over IPv4, IPv6 and from one to
# the other; capabilities; echo by agents and by the router; what is no message is the kernel's; a port with a VLAN tag;
# and every message is accounted for.
# shellcheck source=tests/e2e/router.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/router.sh"

write_router r <<YAML
ports:
$(port 1)
$(port 2)
$(port 3 'vlan: 7')
$tenants
YAML
start_router r 1 2 3
is "the link is ready" "$(get .link.state status)" ready
buffers=$(mbufs_free)

check "the kernel of the router answers a ping over IPv4" in_host h1 ping -q -c 3 -i 0.1 -W 2 10.77.1.1
check "and over IPv6" in_host h2 ping -q -c 3 -i 0.1 -W 2 fd77:2::1
check "and has the address of another port, as any router" in_host h1 ping -q -c 1 -W 2 -I 10.77.1.2 10.77.1.1

# forward TEXT FROM-HOST FROM-ADDRESS TO-HOST TO-ADDRESS
number=0
forward() {
  local from to
  number=$((number + 1))
  from=from$number to=to$number
  listen_as "$4" "$to" "$5" --count 500 --timeout 10
  send_as "$2" "$from" "$3" "$to" --count 500 --rate 5000 --size $((number * 200)) --wait-notices 0.01
  is "$1: sent" "$(report "$from" .sent)" 500
  collect "$to"
  is "$1: delivered, lost, reordered, duplicates" \
    "$(report "$to" '"\(.received) \(.lost) \(.reordered) \(.duplicates)"')" "500 0 0 0"
  is "$1: payload" "$(report "$to" .payload_bytes)" $((500 * number * 200))
  is "$1: no notice" "$(report "$from" '.notices | length')" 0
}
forward "IPv4 to IPv4" h1 10.77.1.1 h2 10.77.2.1
forward "and back" h2 10.77.2.1 h1 10.77.1.1
forward "IPv6 to IPv6" h1 '[fd77:1::1]' h2 '[fd77:2::1]'
forward "IPv4 to IPv6" h1 10.77.1.1 h2 '[fd77:2::1]'
forward "IPv6 to IPv4" h2 '[fd77:2::1]' h1 10.77.1.1
forward "between two agents of one host" h1 10.77.1.1 h1 '[fd77:1::1]'

listen_as h2 bob 10.77.2.1 --capability translate/en/fr
listen_as h1 carol 10.77.1.1 --capability translate/en/fr
is "the registry knows both" "$(get '[.agents[].name] | sort | join(" ")' agent list)" "$(agent bob) $(agent carol)"
is "and what they offer" "$(get '.members | length' agent resolve translate/en/fr)" 2
check "ping to an agent" ping_as h1 alice 10.77.1.1 bob --count 10
check "ping to an agent over IPv6" ping_as h1 alice '[fd77:1::1]' bob --count 10
check "ping to the router itself" ping_as h2 alice 10.77.2.1 router/r --count 10
options alice 10.77.1.1
check "ping to a member of a capability" \
  in_host h1 "$sluice" ping translate/en/fr --capability "${given[@]}" --interval 0.02 --count 10
options dave 10.77.1.1
in_host h1 "$sluice" --json send translate/en/fr --all-members "${given[@]}" --count 100 --rate 2000 >"$work/all.json"
in_host h1 "$sluice" --json send translate/en/fr --capability "${given[@]}" --count 100 --rate 2000 >"$work/one.json"
wait_for 5 accounted
stop bob
stop carol
is "all members got all, and one of them each of the others" \
  "$(jq -s 'map(.received) | add' "$work/bob.json" "$work/carol.json")" 300
check "both had a share" jq -se 'all(.received > 100)' "$work/bob.json" "$work/carol.json"
is "copies are counted" "$(counted 'replicated')" 100
check "who has unregistered is forgotten" gets 0 '.agents | length' agent list

# The kernel here may not know VLANs, so host h3 is played by a program that writes and reads tagged frames itself.
ask agent add "$(agent tagged)" 10.77.3.2:7700 --tenant 1 >"$work/out"
ip neighbour replace 10.77.3.2 lladdr 02:77:00:00:00:03 dev sl-p3 nud permanent
wait_for 5 reach_is tagged up
listen_as h1 erin 10.77.1.1 --count 10 --timeout 10
mac=$(cat /sys/class/net/sl-p3/address)
start_in h3 tagged /usr/bin/python3 "$wire_tool" talk wire3 --vlan 7 --router-mac "$mac" \
  --from 10.77.3.2:7700 --to 10.77.3.1:7600 --source "$(get .id agent show "$(agent tagged)")" \
  --destination "$(get .id agent show "$(agent erin)")" --count 10
wait_for 5 logged tagged ready
send_as h1 frank 10.77.1.1 tagged --count 10 --rate 100
collect tagged
got=$(tail -n 1 "$work/tagged.log")
is "tagged frames arrive at a host of a port with a VLAN" "$got" "got 10 messages, 10 with tag 7"
collect erin
is "and its tagged frames are messages" "$(report erin .received)" 10

wait_for 5 accounted
is "every message is accounted for" "$(unaccounted_of r)" 0
for what in messages forwarded replicated answered punted; do note "$what $(counted "$what")"; done
is "nothing was dropped" "$(all_drops)" ""
check "no buffer is lost" wait_for 5 no_leak "$buffers"

stop r-cp
is "the control plane ends in order" "$exit_status" 0
stop r-dp
is "so does the dataplane" "$exit_status" 0
check "nothing of it is left" bash -c '! ls /sys/class/net | grep -q ^sl-'
finish
