#!/usr/bin/env bash
# Routers and a member made with the memberlist library itself, encrypted: join both ways round, user messages of a kind
# nobody knows, pause and refute, leave.
# shellcheck source=tests/interop/cluster.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/cluster.sh"

place r1 1
place r2 2
place g1 11
place g2 12
mkdir -p "$work/r1/state" "$work/r2/state"
"$sluice" cluster init --keys-file "$work/r1/state/cluster.keys" >/dev/null
cp -p "$work/r1/state/cluster.keys" "$work/r2/state/cluster.keys"
key=$(grep -v '^#' "$work/r1/state/cluster.keys")
write_router r1 1
write_router r2 2 'join: [10.66.0.11]'

start_router r1
start_peer g1 11 -key "$key" -join 10.66.0.1
check "the library joins at a router" wait_for 20 agreed alive g1 r1
start_router r2
check "a router joins at the library's member" wait_for 20 agreed alive g1 r1 r2
check "which sees both routers" wait_for 20 peer_sees g1 3
is "and has shown its tags" "$(tag_at r2 g1 kind)" go

tell g1 say Rhello
check "unknown user messages, by UDP and TCP, do no harm" wait_for 10 logged g1 '^said'
check "all still see all" wait_for 20 all_alive r1 r2

check "it is suspected while it stands still" doubted r1 g1 kill -STOP "${pid_of[g1]}"
kill -CONT "${pid_of[g1]}"
check "and refutes" wait_for 20 agreed alive g1 r1 r2
check "a router is suspected while it stands still" doubted r1 r2 kill -STOP "${pid_of[r2]}"
kill -CONT "${pid_of[r2]}"
check "and refutes" wait_for 20 agreed alive r2 r1
check "for the library too" wait_for 20 peer_sees g1 3

start_peer g2 12 -key "$key" -join 10.66.0.2
check "one more member is seen by all" wait_for 20 agreed alive g2 r1 r2
tell g1 leave
check "it takes leave, and has left" wait_for 20 agreed left g1 r1 r2
stop g1 TERM || true
check "the routers are one cluster still" wait_for 20 all_alive r1 r2
finish
