#!/usr/bin/env bash
# What happens around the router: a host with another network card, a host that is gone and comes back, an agent that
# moves, one that dies, a port without link, a host cut off for good. Each has one line in the log and one counter, and
# messages flow again without help when the cause is gone.
# shellcheck source=tests/e2e/router.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/router.sh"

write_router r <<YAML
ports:
$(port 1)
$(port 2)
$(port 3)
$tenants
leases: {default-s: 2, min-s: 1, grace-s: 1, restart-grace-s: 2}
hold: {time-ms: 300}
YAML
start_router r 1 2

# lines PROCESS TEXT: how often the log says so.
lines() { grep -c -- "$2" "$work/$1.log" || true; }
once() { [ "$(lines "$1" "$2")" -eq 1 ]; }
# tell SHORT COUNT [HOST ADDRESS]: alice sends to it and waits for notices, in $told as "sent N, REASON=COUNT".
tell() {
  send_as "${3:-h1}" alice "${4:-10.77.1.1}" "$1" --count "$2" --rate 1000 --wait-notices 0.7
  told=$(report alice '"sent \(.sent)" + (.notices | to_entries | map(", \(.key)=\(.value)") | join(""))')
}
mac_of() { get ".adjacencies[] | select(.destination == \"$1\") | .mac" adjacency list; }
mac_is() { [ "$(mac_of "$1")" = "$2" ]; }

# ---- The host's network card is another one. (The kernel notices within some 30 s; here it shall be quicker.)
for family in ipv4 ipv6; do echo 1000 >/proc/sys/net/$family/neigh/sl-p2/base_reachable_time_ms; done
ask agent add "$(agent bob)" 10.77.2.2:7700 --tenant 1 >"$work/out"
options bob 10.77.2.1
run_as h2 bob listen "${given[@]}" --no-register --local 10.77.2.2:7700
wait_for 10 logged bob listening
wait_for 10 reach_is bob up
is "bob's link address" "$(mac_of 10.77.2.2)" 02:77:00:00:00:02
ip -n h2 link set dev wire2 down
ip -n h2 link set dev wire2 address 02:77:00:00:99:02
configure_link h2 wire2 fd77:2::2/64
in_host h2 ping -q -c 1 -W 2 10.77.2.1 >"$work/out"
check "the router learns the new link address when the host speaks" wait_for 5 mac_is 10.77.2.2 02:77:00:00:99:02
check "and says so once" once r-cp 'event=neighbor_mac_changed.*to=02:77:00:00:99:02.*10.77.2.2'
tell bob 10
is "messages go there" "$told" "sent 10"

# ---- The host is gone, and comes back.
ip -n h2 link set dev wire2 down
check "the router notices that the neighbour is gone" wait_for 20 reach_is bob down
check "and says so once" once r-cp 'event=neighbor_failed.*10.77.2.2'
tell bob 5
is "who sends is told" "$told" "sent 5, unreachable=5"
is "it is counted" "$(dropped adjacency_down)" 5
ip -n h2 link set dev wire2 up
check "when it is back the router notices by itself" wait_for 20 reach_is bob up
tell bob 10
is "and messages flow" "$told" "sent 10"
stop bob
is "what was delivered" "$(report bob '"\(.received) \(.duplicates)"')" "20 0"
ask agent delete "$(agent bob)" >"$work/out"

# ---- An agent moves to another host, whose kernel has its lease still to run out on the old one.
listen_as h2 carol 10.77.2.1
moved_before=$(get .registry.moved status)
kill9 carol
listen_as h1 carol 10.77.1.1
now=$(get '"\(.port) \(.moves) \(.reachability)"' agent show "$(agent carol)")
is "the agent is where it says now" "$now" "p1 1 up"
is "counted" "$(get .registry.moved status)" $((moved_before + 1))
check "logged once" once r-cp "event=agent_moved.*$(agent carol)"
tell carol 10 h2 10.77.2.1
is "messages follow it" "$told" "sent 10"
stop carol
is "and arrive" "$(report carol .received)" 10

# ---- An agent dies: lease and grace run out.
listen_as h2 dave 10.77.2.1
expired_before=$(get .registry.expired status)
died=$(date +%s%N)
kill9 dave
forgotten() { ! ask agent show "$(agent dave)"; }
check "an agent that died is forgotten" wait_for 10 forgotten
took=$((($(date +%s%N) - died) / 1000000))
note "forgotten after $took ms; lease 2 s, grace 1 s"
check "not before lease and grace have ended" test "$took" -ge 1500
is "counted" "$(get .registry.expired status)" $((expired_before + 1))
check "logged once" once r-cp "event=lease_expired.*$(agent dave)"
tell dave 5
is "who sends is told" "$told" "sent 5, unknown destination=5"

# ---- An agent dies while the control plane is away: it stays for the restart's grace, which the others need, and no
# longer.
listen_as h2 erin 10.77.2.1
listen_as h2 frank 10.77.2.1
kill9 r-cp
kill9 erin
start_controlplane r
forwarded=$(counted forwarded)
tell erin 5
is "right after the restart messages still go to where it was" "$(($(counted forwarded) - forwarded))" 5
check "who does not renew is forgotten" wait_for 10 logged r-cp "event=lease_expired.*$(agent erin)"
check "the agent that lives is not" wait_for 5 reach_is frank up
tell erin 5
is "who sends is told" "$told" "sent 5, unknown destination=5"
tell frank 5
is "others are not concerned" "$told" "sent 5"
stop frank
is "and get theirs" "$(report frank .received)" 5

# ---- A port loses its link. Its wire stays here, where the driver sees the state of it.
ask agent add "$(agent gina)" 10.77.3.2:7700 --tenant 1 >"$work/out"
ip neighbour replace 10.77.3.2 lladdr 02:77:00:00:00:03 dev sl-p3 nud permanent
ip link set dev wire3 up
wait_for 10 reach_is gina up
link_is() { gets "$1" '.ports[] | select(.name == "p3") | .link_up' port list; }
arrived() { cat /sys/class/net/wire3/statistics/rx_packets; }
before=$(arrived)
tell gina 10
is "messages go out of a port with link" "$told" "sent 10"
check "and arrive" test "$(arrived)" -ge $((before + 10))
ip link set dev wire3 down
check "the port's link goes down" wait_for 5 link_is false
check "said once by the control plane" wait_for 5 once r-cp 'event=port_link_down port=p3'
check "and by the dataplane" once r-dp 'event=port_link port=p3 link=down'
check "its agents are down" wait_for 5 reach_is gina down
lost_before=$(($(dropped adjacency_down) + $(dropped port_down)))
tell gina 5
is "who sends is told" "$told" "sent 5, unreachable=5"
is "it is counted" "$(($(dropped adjacency_down) + $(dropped port_down) - lost_before))" 5
ip link set dev wire3 up
check "the link comes back" wait_for 5 link_is true
check "and with it its agents" wait_for 10 reach_is gina up
before=$(arrived)
tell gina 10
is "messages flow again" "$told" "sent 10"
check "and arrive" test "$(arrived)" -ge $((before + 10))

# ---- A host cut off for good, its wire with it: the others do not notice.
listen_as h1 harry 10.77.1.1
ip netns delete h2
tell harry 100
is "other ports are not concerned" "$told" "sent 100"
check "the dataplane lives" alive r-dp
stop harry
is "their messages arrive" "$(report harry .received)" 100
wait_for 5 accounted
is "every message is accounted for" "$(unaccounted_of r)" 0
finish
