#!/usr/bin/env bash
# What is full, one thing after the other, in real processes: an egress port whose other side takes nothing, the ring to
# a dataplane that stands still, the route table. Each is defined, counted, told, and over as soon as there is room.
# shellcheck source=tests/e2e/router.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/router.sh"

# agents_of FIRST COUNT [CAPABILITY]: every other agent can do something that no other one can.
agents_of() {
  /usr/bin/python3 -c '
import sys
first, count = map(int, sys.argv[1:3])
for i in range(first, first + count):
    can = f" {sys.argv[3]}{i}" if len(sys.argv) > 3 and i % 2 == 0 else ""
    print(f"e2e/test/many{i}/1 1 10.77.1.2:{1024 + i % 60000}{can}")' "$@"
}
# heard FROM TO WHAT [OPTION...]: how many of ten messages of agent manyFROM to WHAT reach agent manyTO.
heard() {
  local from=$1 to=$2 what=$3
  shift 3
  : >"$work/heard.log"
  options "many$to" 10.77.1.1
  run_as h1 heard listen "${given[@]}" --no-register --local "10.77.1.2:$((1024 + to % 60000))" --count 10 --timeout 5
  wait_for 10 logged heard listening
  options "many$from" 10.77.1.1
  in_host h1 "$sluice" send "$what" "${given[@]}" --no-register --local "10.77.1.2:$((1024 + from % 60000))" \
    --count 10 --rate 1000 "$@" >"$work/out"
  collect heard
  report heard .received
}
in_table() { gets "$1" .dataplane route count; }

# Router r lives here, router s on a host of its own; between them a memif, which takes no more than its ring has room
# for while router s does not read.
host place
place_of[s]=place
memif='net_memif0,socket=/run/trunk.sock,socket-abstract=no'
count=4000

agents=$work/agents
: >"$agents"
write_router r 'memory-mb: 384' 'routes: 131072' 'groups: 65536' <<YAML
ports:
$(port 1)
  - {name: core, device: "$memif,role=server", role: trunk, addresses: [192.0.2.1/30]}
store: {agents: 100000, base: false}
limits: {notices-per-second: 1000000}
$tenants
agents-file: $agents
peers:
  - {name: s, address: 192.0.2.2, agents: [{name: $(agent bob), tenant: 1}]}
YAML
write_router s 'memory-mb: 384' <<YAML
ports:
$(port 2)
  - {name: core, device: "$memif,role=client", role: trunk, addresses: [192.0.2.2/30]}
$tenants
agents:
  - {name: $(agent bob), tenant: 1, endpoint: "10.77.2.2:7700"}
peers:
  - {name: r, address: 192.0.2.1}
YAML
start_pair r s
wait_for 10 gets up '.peers[0].reachability' peer list
# It stays known while router s stands still, and the kernel says nothing of its own, which would go before messages.
ip neighbour replace 192.0.2.2 lladdr "$(in_host place cat /sys/class/net/sl-core/address)" dev sl-core nud permanent
sysctl -q -w net.ipv6.conf.sl-core.disable_ipv6=1

# ---- Egress full.
options bob 10.77.2.1 1 s
run_as h2 bob listen "${given[@]}" --no-register --local 10.77.2.2:7700
wait_for 10 logged bob listening
send_as h1 ann 10.77.1.1 bob --count 100 --rate 1000
is "while router s reads, nothing is dropped" "$(all_drops)" ""
buffers=$(mbufs_free)
kill -STOP "${pid_of[s-dp]}"
send_as h1 ann 10.77.1.1 bob --count "$count" --rate 4000 --class 2 --wait-notices 1
full=$(dropped egress_full)
note "$full of $count did not fit into the ring and the queue"
check "when it does not, what does not fit is dropped" test "$full" -gt 0
check "after all that fits" test $((count - full)) -ge 512
is "for one reason" "$(all_drops)" "egress_full=$full"
told=$(get '.ports[0].counters.notices' stats --port p1)
# Those of the burst that filled the queue were rewritten already.
check "of each its sender is told, but for a burst ($told)" test "$told" -le "$full" -a "$told" -gt $((full - 64))
is "why" "$(report ann '.notices | keys | join(" ")')" congested
# A higher class makes a lower one's newest make way: nothing else changes for it.
send_as h1 ann 10.77.1.1 bob --count 50 --rate 1000 --class 6 --wait-notices 0.3
is "a higher class has room" "$(report ann '.notices | length')" 0
is "at the expense of the lower one" "$(dropped egress_full)" $((full + 50))
kill -CONT "${pid_of[s-dp]}"
sent=$((100 + count - full))
arrived() { [ "$(get_of s '.ports[0].counters.egress_frames' stats --port p2)" -ge "$sent" ]; }
check "all the rest arrives when it reads again" wait_for 10 arrived
send_as h1 ann 10.77.1.1 bob --count 100 --rate 1000 --wait-notices 0.3
is "and what comes then" "$(report ann '.notices | length')" 0
is "nothing more was dropped" "$(all_drops)" "egress_full=$((full + 50))"
check "every message is accounted for" wait_for 5 accounted
check "no buffer is lost" wait_for 5 no_leak "$buffers" 2048
stop bob
is "bob got each of them" "$(report bob .received)" $((sent + 100))

# ---- The command ring full: the dataplane stands still while more changes than the ring holds.
before=$(get .dataplane route count)
agents_of 0 90000 >"$agents"
kill -STOP "${pid_of[r-dp]}"
ask config reload >"$work/out" 2>&1 &
reloading=$!
waiting() { [ "$(get .link.commands_waiting status)" -gt 10000 ]; }
check "what the ring does not take waits in the control plane" wait_for 20 waiting
check "which answers meanwhile" gets 90001 .registry.agents status
kill -CONT "${pid_of[r-dp]}"
wait "$reloading" || true
check "all of it takes effect when the dataplane goes on" wait_for 20 in_table $((before + 90000))
is "nothing was refused" "$(get .link.commands_refused status)" 0
is "nothing waits" "$(get .link.commands_waiting status)" 0
is "the first one reaches the last one" "$(heard 0 89999 "$(agent many89999)")" 10

# ---- The route table full: agents and what they can do together are more than it holds.
agents_of 0 90000 can/do >"$agents"
ask config reload >"$work/out"
check "the table is full: the dataplane says so" wait_for 20 logged r-dp 'event=table_full'
check "and the control plane, with the remedy" wait_for 5 logged r-cp 'event=table_full .*raise dataplane.routes'
refused() { [ "$(get .dataplane.tables.commands_refused status)" -gt 0 ]; }
check "what was refused is counted" wait_for 5 refused
lines=$(grep -c 'event=table_full' "$work/r-dp.log")
check "told once, not for each" test "$lines" -le 3
: >"$work/bob.log"
options bob 10.77.2.1 1 s
run_as h2 bob listen "${given[@]}" --no-register --local 10.77.2.2:7700 --count 100 --timeout 20
wait_for 10 logged bob listening
# From one that is in the table; who comes now is not.
options many0 10.77.1.1
in_host h1 "$sluice" send "$(agent bob)" "${given[@]}" --no-register --local 10.77.1.2:1024 --count 100 --rate 1000 \
  >"$work/out"
collect bob
is "what is in the table is forwarded" "$(report bob .received)" 100
# Two thirds leave: what was refused comes by itself.
agents_of 60000 30000 can/do >"$agents"
ask config reload >"$work/out"
whole() { gets true '.dataplane == .programmed' route count; }
check "with room, all that was refused is there without help" wait_for 30 whole
get . route count | tr -d '\n' | sed 's/^/# /'
echo
is "the last one is reached by its name" "$(heard 60000 89998 "$(agent many89998)")" 10
is "and by what it can do, for which there was no room" "$(heard 60000 89998 can/do89998 --capability)" 10
wait_for 5 accounted
is "every message is accounted for" "$(unaccounted_of r)" 0
finish
