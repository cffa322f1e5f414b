#!/usr/bin/env bash
# `sluice store` on a running router: status, verify, backup, compaction and migration while agents come and go, and a
# backup put back in place of the store.
# shellcheck source=tests/e2e/router.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/router.sh"

write_router r <<YAML
$two_ports
store: {lanes: 2, overlay-mb: 1}
YAML
start_router r 1 2
add() { ask agent add "$(agent "$1")" "10.77.1.9:$2" --tenant 1 >"$work/out"; }
agents() { get '.registry.agents' status; }
for i in {1..20}; do add "before$i" $((7000 + i)); done
before=$(agents)
is "status names directory and tables" "$(get '"\(.directory) \([.tables[].name] | join(" "))"' store status)" \
  "/run/r/state/store agents peers tenants"
is "the layout is the configured one" "$(get .lanes store status)" 2
check "status for people" bash -c "'$sluice' --socket /run/r/api.sock store status | grep -q '^state  *good'"
is "verify finds no damage" "$(get '"\(.files > 0) \(.damaged | length)"' store verify)" "true 0"

# ---- Backup, while it runs.
is "a backup" "$(get .directory store backup "$work/backup")" "$work/backup"
check "not twice to one place" refused 'not empty' ask store backup "$work/backup"
check "nor where no folder is" refused "the folder $work/no is not there" ask store backup "$work/no/backup"
check "nor into the store" refused 'in the store itself' ask store backup /run/r/state/store/backup
for i in {1..5}; do add "after$i" $((7100 + i)); done

# ---- Another layout, while it runs.
is "migrated" "$(get '"\(.lanes_before) \(.lanes)"' store migrate --lanes 5)" "2 5"
is "and says so" "$(get .lanes store status)" 5
check "compacted" ask store compact
is "at most one segment in each lane" "$(get '[.trees[].segment_entries | length] | max <= 1' store status)" true
add after6 7106
is "nothing is damaged" "$(get '.damaged | length' store verify)" 0
kill9 r-cp
start_controlplane r
is "all is there after a kill" "$(agents)" $((before + 6))
is "in the new layout" "$(get .lanes store status)" 5
# A store of an older version, which hashes ids in another way, and back.
format() { get '"\(.format_before) \(.format)"' store migrate --format "$1"; }
is "the format of before" "$(format 2)" "3 2"
add after8 7108
kill9 r-cp
start_controlplane r
is "all is there in it" "$(agents)" $((before + 7))
is "migrated to the newest" "$(format 3)" "2 3"
check "what was written before is found and deleted" ask agent delete "$(agent after8)"
is "and nothing else" "$(agents)" $((before + 6))
kill9 r-cp
start_controlplane r
is "also after a kill" "$(agents)" $((before + 6))

# ---- Its folder is moved away, or another one put in its place.
store=/run/r/state/store
failing() { get .error store status | grep -q "$1"; }
works() { [ -z "$(get .error store status)" ]; }
mv "$store" "$store.moved"
check "a folder that is moved away is noticed" wait_for 10 failing 'moved away'
check "by the status of the router, too" wait_for 10 bash -c \
  "'$sluice' --socket /run/r/api.sock status | grep -qE 'store +failing for .*moved away'"
check "and by the log" logged r-cp 'event=store_failed .*moved away.*put the folder back'
check "nothing new is taken" refused 'cannot keep it over a restart' add after8 7108
cp -r "$store.moved" "$store"
sum_of() { find "$store" -type f -exec sha256sum {} + | sort -k 2; }
sum=$(sum_of)
check "another folder is not taken for it" wait_for 10 failing 'replaced by another folder'
check "nor verified" refused 'replaced by another folder' ask store verify
check "nor written" refused 'cannot keep it over a restart' add after8 7108
is "it stays as it is" "$(sum_of)" "$sum"
rm -r "$store"
mv "$store.moved" "$store"
check "back in its place it goes on by itself" wait_for 10 works
is "with everybody" "$(agents)" $((before + 6))

# ---- Restore.
restore() { "$sluice" --config "$work/r.yaml" store restore "$work/backup" "$@"; }
check "never over a store unasked" refused 'holds a store already' restore
check "nor under a running control plane" refused 'is the control plane stopped' restore --replace
is "which goes on" "$(agents)" $((before + 6))
stop r-cp
check "restored" restore --replace
check "the old store is kept" test -e /run/r/state/store.old-1/MANIFEST
start_controlplane r
is "what the backup had is there, and no more" "$(agents)" "$before"
is "in the layout it had" "$(get .lanes store status)" 2
check "and it takes new ones" add after7 7107

is "an estimate needs nobody" "$("$sluice" store estimate --agents 1M --memory 4G --json | jq .fits)" true
finish
