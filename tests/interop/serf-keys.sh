#!/usr/bin/env bash
# An encrypted cluster of routers and a serf agent: keys and tokens made by command, strangers kept out, the key changed
# under way without a gap, and compounds of as many parts as there may be.
# shellcheck source=tests/interop/cluster.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/cluster.sh"

place r1 1
place r2 2
place r3 3
place s1 11
place x 20

write_router x 20
refused() { ! "$controlplane" --config "$work/x.yaml" >"$work/refused.log" 2>&1; }
check "without keys a router does not start" refused
check "and says what to do" grep -q 'sluice cluster init' "$work/refused.log"

keys_of() { grep -v '^#' "$work/$1/state/cluster.keys"; }
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
stop x
"$sluice" cluster init --keys-file "$work/x/state/cluster.keys" >/dev/null
write_router x 20 'join: [10.66.0.1]'
: >"$work/x.log"
start_router x
check "who has another key stays alone" wait_for 20 logged x event=cluster_join_failed
is "and nobody has heard of it" "$(state_at r1 x)" ""
stop x

# The key is changed: routers by our command, the serf agent by its own.
fingerprints() { on "$1" cluster keys list --json | jq -r ".keys[] | select($2) | .fingerprint"; }
first=$(fingerprints r1 .primary_here)
on r1 cluster keys add >"$work/add.log"
second=$(fingerprints r1 'true' | grep -v "$first")
all_have() { [ "$(on r2 cluster keys list --json | jq ".keys[] | select(.fingerprint == \"$1\") | .routers")" = 3 ]; }
all_use() { [ "$(on r3 cluster keys list --json | jq ".keys[] | select(.fingerprint == \"$1\") | .primary")" = 3 ]; }
check "a new key reaches all routers" wait_for 10 all_have "$second"
new=$(keys_of r1 | grep -v "$old")
check "it is not used while a member may lack it" not on r1 cluster keys use "$second"
# It reports an error, because the routers do not answer its query, and does it all the same.
on_serf s1 keys -install="$new" >/dev/null || true
check "serf takes it" wait_for 10 grep -qF "$new" "$work/keyring.json"
on r2 cluster keys use "$second" --others-done >/dev/null
check "all use the new key" wait_for 10 all_use "$second"
check "the key in use cannot be removed" not on r1 cluster keys remove "$second" --others-done
on_serf s1 keys -use="$new" >/dev/null || true
on r3 cluster keys remove "$first" --others-done >/dev/null
gone() { [ -z "$(fingerprints r1 "$(printf '.fingerprint == "%s"' "$first")")" ]; }
check "the old key is gone" wait_for 10 gone
is "and from the files" "$(keys_of r2)" "$new"
check "nobody was lost" all_alive r1 r2 r3 s1
check "nor suspected" not grep -h event=cluster_suspected "$work"/r1.log "$work"/r2.log "$work"/r3.log
kill9 r3
start_router r3
check "a router that was killed comes back with the new key" wait_for 20 all_alive r1 r2 r3 s1
finish
