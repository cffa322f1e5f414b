#!/usr/bin/env bash
# A tenant that is taken out of the configuration: its agents are served by nobody any more, in registry, table and base
# segment, over restarts of either process; the store keeps them, under a number that no other tenant gets, until the
# tenant is back or deleted.
# shellcheck source=tests/e2e/router.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/router.sh"

# Without a source guard on p1 nothing but the routes keeps messages of host h1 from an agent.
write_router r <<YAML
ports:
$(port 1 'source-guard: false')
$(port 2)
$tenants
store: {base-delta-max: 1, base-interval-s: 0}
leases: {restart-grace-s: 0}
YAML
cp "$work/r.yaml" "$work/with-two.yaml"
with_two() { cp "$work/with-two.yaml" "$work/r.yaml"; }
without_two() { grep -v 'id: 2, name: two' "$work/with-two.yaml" >"$work/r.yaml"; }
other_two() { sed 's/id: 2, name: two/id: 2, name: other/' "$work/with-two.yaml" >"$work/r.yaml"; }
start_router r 1 2

add() { ask agent add "$(agent "$1")" "10.77.2.2:$2" --tenant "$3" >"$work/out"; }
add one1 9100 1
for i in {1..9}; do add "two$i" $((9000 + i)) 2; done
options carol 10.77.2.1 2
: >"$work/carol.log"
run_as h2 carol listen "${given[@]}" --capability e2e/two
wait_for 10 logged carol listening
options eve 10.77.1.1 2
# All but what may always differ from it.
in_use() { gets true '.base.entries >= 10' status; }
rebuilt() { gets 0 '.base.deleted + .base.uncovered' status; }
check "they are in a base segment" wait_for 20 in_use

who() { get '[.agents[]? | select(.tenant == 2)] | length' agent list; }
has_agents() { [ "$(who)" = "$1" ]; }
route() { ask route lookup "$(agent "$1")"; }
# forwards SHORT N: N of five messages in tenant 2 to this agent leave the router.
forwards() {
  local before
  before=$(counted forwarded)
  in_host h1 "$sluice" send "$(agent "$1")" "${given[@]}" --no-register --count 5 --lifetime 0.2 >"$work/out" 2>&1
  wait_for 5 accounted
  echo "forwarded $(($(counted forwarded) - before))"
  [ "$(($(counted forwarded) - before))" = "$2" ]
}
unserved() {
  has_agents 0 && not route two3 && not route carol && not ask agent resolve e2e/two &&
    not ask agent show "$(agent two3)"
}
served() { has_agents 10 && route two3 && route carol && ask agent resolve e2e/two; }
away() { get '.tenants[] | "\(.tenant) \(.name) \(.configured) \(.agents) \(.tables[0].keys)"' store usage --tenant 2; }
check "they are served" wait_for 10 served
check "messages reach them" wait_for 10 forwards two3 5
check "and carol" forwards carol 5

# ---- While the router runs.
without_two
check "taken out" ask config reload
check "the log says how many wait" logged r-cp 'event=tenant_away tenant=2 name=two agents=10 '
check "they are not served" unserved
check "nor reached" forwards two3 0
check "nor is carol" forwards carol 0
check "the others are" route one1
check "their routes leave the base segment, too" wait_for 20 rebuilt
check "nor reached then" forwards two3 0
check "nobody registers in it" refused 'no tenant 2' in_host h1 timeout 20 "$sluice" listen "${given[@]}" --count 1
check "nobody is added to it" refused 'no tenant 2' ask agent add "$(agent two4)" 10.77.2.2:9004 --tenant 2

is "the store has them" "$(away)" "2 two false 0 10"
check "and tells people" bash -c \
  "'$sluice' --socket /run/r/api.sock store usage --tenant 2 | grep -q 'two (not configured)'"
is "its status names the tenant" "$(get '.away[] | "\(.tenant) \(.name)"' store status)" "2 two"
is "they are exported" "$(ask store export --tenant 2 | jq -s 'map(select(.kind == "agent")) | length')" 10
check "an unknown tenant stays unknown" refused 'no tenant 7; there are 1 \(one\), 2 \(two, not configured\)' \
  ask store usage --tenant 7
check "also to an export" refused 'no tenant 7' ask store export --tenant 7
check "and to a deletion" refused 'no tenant 7' ask store delete --tenant 7
check "which tells what would go" refused 'this forgets 10 records .* tenant 2.*--yes' ask store delete --tenant 2
other_two
check "no other tenant gets its number" refused "'other' has the number 2 of 'two'" ask config reload
check "which changes nothing" unserved

with_two
check "and back" ask config reload
check "with its agents" wait_for 10 served
check "messages reach them" wait_for 10 forwards two3 5
check "and carol" forwards carol 5
is "none is away" "$(get '.away | length' store status)" 0

# ---- Over restarts; the dataplane goes on, with a base segment that has them.
check "they are in a base segment again" wait_for 20 in_use
stop carol KILL
without_two
kill9 r-cp
start_controlplane r
check "taken out over a restart" unserved
check "they are not reached" forwards two3 0
check "nor is carol" forwards carol 0
is "the store has them" "$(away)" "2 two false 0 10"
kill9 r-dp
start_dataplane r
plug 1
plug 2
wait_ready r
check "nor reached through a new dataplane" forwards two3 0
check "migrated" ask store migrate --lanes 3
check "compacted" ask store compact
check "backed up" ask store backup "$work/backup"
stop r-cp
other_two
check "no start with another tenant under its number" refused "'other' has the number 2 of 'two'" \
  "$controlplane" --config "$work/r.yaml"
with_two
check "restored" "$sluice" --config "$work/r.yaml" store restore "$work/backup" --replace
start_controlplane r
check "back over a restart" wait_for 10 ask route lookup "$(agent two3)"
check "messages reach them" wait_for 10 forwards two3 5

# ---- One that is here may be renamed: a tenant is its number.
other_two
check "renamed" ask config reload
check "the log tells it" logged r-cp 'event=tenant_renamed tenant=2 from=two to=other'
check "it has its agents" forwards two3 5
with_two
check "and named as before" ask config reload

# ---- Deleted while it is away.
without_two
check "out once more" ask config reload
is "deleted for good" "$(get .configured store delete --tenant 2 --yes)" false
# What has just left is remembered for a minute; the tenant is not.
is "none is away" "$(get '.away | length' store status)" 0
other_two
check "its number is free" ask config reload
check "nobody comes back" has_agents 0
kill9 r-cp
start_controlplane r
check "nor with a restart" has_agents 0
finish
