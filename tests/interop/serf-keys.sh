#!/usr/bin/env bash
# An encrypted cluster of routers and a serf agent: keys and tokens made by command, strangers kept out, the key changed
# under way without a gap, and compounds of as many parts as there may be.
# shellcheck source=tests/interop/cluster.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/cluster.sh"
# shellcheck source=tests/interop/keys.sh
. "$(dirname "$0")/keys.sh"

place r1 1
place r2 2
place r3 3
place s1 11
place x 20

write_router x 20
refused() { ! "$controlplane" --config "$work/x.yaml" >"$work/refused.log" 2>&1; }
check "without keys a router does not start" refused
check "and says what to do" grep -q 'sluice cluster init' "$work/refused.log"

mkdir -p "$work/r1/state" "$work/r2/state" "$work/r3/state"
"$sluice" cluster init --keys-file "$work/r1/state/cluster.keys" >"$work/init.log"
is "keys are their owner's alone" "$(stat -c %a "$work/r1/state/cluster.keys")" 600
check "a second init does not replace them" not "$sluice" cluster init --keys-file "$work/r1/state/cluster.keys"
old=$(keys_of r1)

write_router r1 1
write_router r2 2 'join: [10.66.0.1]'
write_router r3 3 'join: [10.66.0.1]'
start_router r1
token=$(on r1 cluster join-token)
for router in r2 r3; do
  "$sluice" cluster init --token "$token" --keys-file "$work/$router/state/cluster.keys" >"$work/init.log"
done
is "a token carries the key" "$(keys_of r3)" "$old"
check "and tells whom to join" grep -q '10.66.0.1:7946' "$work/init.log"
start_router r2
start_router r3
printf '["%s"]\n' "$old" >"$work/keyring.json"
start_serf s1 11 -join=10.66.0.1 -keyring-file="$work/keyring.json"
check "routers and a serf agent share an encrypted cluster" wait_for 20 all_alive r1 r2 r3 s1

# A stranger without the key, and one with another.
mkdir -p "$work/x/state"
write_router x 20 'encryption: false, join: [10.66.0.1]'
start_router x
check "who has no key stays alone" wait_for 20 logged x event=cluster_join_failed
stop x TERM 25
"$sluice" cluster init --keys-file "$work/x/state/cluster.keys" >/dev/null
write_router x 20 'join: [10.66.0.1]'
: >"$work/x.log"
start_router x
check "who has another key stays alone" wait_for 20 logged x event=cluster_join_failed
is "and nobody has heard of it" "$(state_at r1 x)" ""
stop x TERM 25

# The key is changed: routers by our command, the serf agent by its own.
first=$(fingerprints r1 .primary_here)
on r1 cluster keys add >"$work/add.log"
second=$(fingerprints r1 'true' | grep -v "$first")
poll 5 key_known r2 "$second" 3 || ordered add "$second" key_known r2 "$second" 3
check "a new key reaches all routers" key_known r2 "$second" 3
new=$(keys_of r1 | grep -v "$old")
check "it is not used while a member may lack it" not on r1 cluster keys use "$second"
serf_key install "$new" s1
check "serf takes it" wait_for 20 grep -qF "$new" "$work/keyring.json"
check "all use the new key" ordered use "$second" key_used r3 "$second" 3
check "the key in use cannot be removed" not on r1 cluster keys remove "$second" --others-done
serf_key use "$new" s1
check "the old key is gone" ordered remove "$first" key_gone "$first" r1 r2 r3
is "and from the files" "$(keys_of r2)" "$new"
check "all are there" wait_for 20 all_alive r1 r2 r3 s1
check "and nobody was lost meanwhile" not grep -h event=cluster_failed "$work"/r1.log "$work"/r2.log "$work"/r3.log
kill9 r3
start_router r3
check "a router that was killed comes back with the new key" wait_for 20 all_alive r1 r2 r3 s1
finish
