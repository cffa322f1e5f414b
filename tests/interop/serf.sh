#!/usr/bin/env bash
# Routers and stock serf agents in one cluster: join both ways round, tags, pause and refute, kill, leave, partition and
# heal. serf is the referee: it was written by others.
# shellcheck source=tests/interop/cluster.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/cluster.sh"

place r1 1
place r2 2
place s1 11
place s2 12
write_router r1 1 'encryption: false, zone: z1, join: [10.66.0.11]'
write_router r2 2 'encryption: false, join: [10.66.0.1]'

# r1 asks for somebody who is not there yet, and goes on asking.
start_router r1
wait_for 20 logged r1 event=cluster_join_failed
start_serf s1 11
check "a router finds a serf agent that came later" wait_for 20 all_alive r1 s1
start_serf s2 12 -join=10.66.0.1
check "a serf agent joins at a router" wait_for 20 all_alive r1 s1 s2
start_router r2
check "a router joins at a router, and all see all" wait_for 20 all_alive r1 r2 s1 s2

is "serf shows a router's tags" "$(tag_at s2 r1 zone) $(tag_at s2 r1 sluice)" "z1 1"
on_serf s1 tags -set colour=red >/dev/null
has_tag() { [ "$(tag_at "$1" s1 colour)" = red ]; }
check "routers see a changed tag of serf" wait_for 10 has_tag r2

# A stopped process is suspected, and refutes when it goes on.
for paused in s2 r2; do
  check "$paused is suspected while it stands still" doubted r1 "$paused" kill -STOP "${pid_of[$paused]}"
  kill -CONT "${pid_of[$paused]}"
  check "$paused refutes" wait_for 20 all_alive r1 r2 s1 s2
done

kill9 s2
check "a killed serf agent is dead for all" wait_for 30 agreed dead s2 r1 r2 s1
start_serf s2 12 -join=10.66.0.2
check "and back for all" wait_for 20 all_alive r1 r2 s1 s2
kill9 r2
check "a killed router is dead for all" wait_for 30 agreed dead r2 r1 s1 s2
start_router r2
check "and back for all" wait_for 20 all_alive r1 r2 s1 s2

on_serf s2 leave >/dev/null
check "a serf agent that leaves has left" wait_for 20 agreed left s2 r1 r2 s1
stop s2
stop r2 TERM 25
check "a router that stops has left, for serf too" wait_for 20 agreed left r2 r1 s1
start_router r2
check "and is back after a restart" wait_for 20 all_alive r1 r2 s1

move s1 west
move r2 west
check "cut off, each side holds the other for dead" wait_for 40 agreed dead r2 r1
check "on the other side too" wait_for 40 agreed dead r1 r2 s1
move s1 east
move r2 east
check "one cluster again, without help" wait_for 60 all_alive r1 r2 s1

check "no errors in serf's logs" no_errors s1 s2
finish
