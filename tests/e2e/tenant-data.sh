#!/usr/bin/env bash
# What belongs to one tenant: how much the store has of it, its export, and its deletion, after which it is gone from
# registry, routes, dataplane, store and base segment, and stays gone over restarts; others notice nothing.
# shellcheck source=tests/e2e/router.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/router.sh"
agents=9

write_router r <<YAML
$two_ports
agents-file: $work/agents
store: {agents: 100000, base-delta-max: 1, base-interval-s: 0}
YAML
for ((i = 1; i <= agents; i++)); do echo "base/test/agent/$i 1 10.77.2.2:$((7000 + i))"; done >"$work/agents"
start_router r 1 2
add() { ask agent add "$(agent "$1")" "10.77.2.2:$2" --tenant "$3" >"$work/out"; }
for i in {1..9}; do add "two$i" $((9000 + i)) 2; done
add one1 9100 1
listen_as h2 bob 10.77.2.1
options carol 10.77.2.1 2
: >"$work/carol.log"
run_as h2 carol listen "${given[@]}" --capability e2e/two
wait_for 10 logged carol listening
# All but the two that may always differ from it.
in_use() { gets true ".base.entries >= $((agents + 10))" status; }
check "they are in a base segment" wait_for 20 in_use

# ---- Usage.
of_tenant() {
  get ".tenants[] | select(.tenant == $1) | \"\(.name) \(.agents) \(.tables[0].table) \(.tables[0].keys)\"" store usage
}
is "usage of tenant 2" "$(of_tenant 2)" "two 10 agents 10"
is "of tenant 1 without what the configuration has" "$(of_tenant 1)" "one $((agents + 2)) agents 2"
is "only of one" "$(get '[.tenants[].tenant] | join(" ")' store usage --tenant 2)" 2

# ---- Export.
check "an export" ask store export --tenant 2 --output "$work/two.jsonl"
is "has an object a line" "$(jq -s length "$work/two.jsonl")" 12
is "of agents" "$(jq -r 'select(.kind == "agent") | .name' "$work/two.jsonl" | sort | head -2 | tr '\n' ' ')" \
  "$(agent carol) $(agent two1) "
is "with all there is of them" \
  "$(jq -r "select(.name == \"$(agent carol)\") | \"\(.origin) \(.capabilities[0]) \(.lease_s > 0)\"" \
    "$work/two.jsonl")" \
  "registered e2e/two true"
is "and an end" "$(tail -n 1 "$work/two.jsonl" | jq -c '[.end, .items]')" "[true,10]"
is "standard output, too" "$(ask store export --tenant 2 | jq -s 'map(select(.kind == "agent")) | length')" 10
cp "$work/two.jsonl" "$work/kept.jsonl"
check "not of a tenant that nobody knows" refused 'no tenant 7; there are 1 \(one\), 2 \(two\)' \
  ask store export --tenant 7 --output "$work/two.jsonl"
check "which replaces nothing" cmp "$work/two.jsonl" "$work/kept.jsonl"

# ---- Deletion: never unasked, never of what the configuration has.
check "not without --yes" refused 'this ends 10 agents of tenant 2.*--yes' ask store delete --tenant 2
check "not of what the configuration has" refused 'in the configuration' ask store delete --tenant 1 --yes
check "not of a tenant that nobody knows" refused 'no tenant 7' ask store delete --tenant 7 --yes
is "nothing is gone" "$(of_tenant 2)" "two 10 agents 10"
stop carol
is "deleted" "$(get '"\(.agents) \(.configured)"' store delete --tenant 2 --yes)" "9 true"
who() { get '[.agents[]? | select(.tenant == 2)] | length' agent list --tenant 2; }
no_agents() { [ "$(who)" = 0 ]; }
check "no agent of it is known" no_agents
route() { ask route lookup "$(agent two3)"; }
check "there is no route" not route
options alice 10.77.1.1 2
in_host h1 "$sluice" --json send "$(agent two3)" "${given[@]}" --count 5 --notify --lifetime 0.1 --wait-notices 1 \
  >"$work/sent.json" || true
is "messages for it come back" "$(jq -r '.notices | add' "$work/sent.json")" 5
# What has just left is remembered for a minute, so that its last request is not taken again: carol and alice.
stored() { get '[.tenants[0].tables[]?.keys] | add // 0' store usage --tenant 2; }
is "the store has nothing but the times of last requests" \
  "$(ask store export --tenant 2 | jq -rs '[.[] | select(.kind == "agent")] | length')" 0
rebuilt() { gets 0 '.base.deleted + .base.uncovered' status; }
check "the base segment is built anew without it" wait_for 20 rebuilt
is "others notice nothing" "$(of_tenant 1 | cut -d' ' -f2)" $((agents + 2))
check "messages go to bob" ping_as h1 dave 10.77.1.1 bob --count 3

# ---- Over restarts.
kill9 r-cp
start_controlplane r
check "after a kill it is gone" no_agents
check "and has no route" not route
is "the others are there" "$(of_tenant 1 | cut -d' ' -f2)" $((agents + 2))
check "compacted" ask store compact
found() { grep -qa "$(agent two3)" /run/r/state/store/* /run/r/state/base/* 2>/dev/null; }
check "its names are in no file any more" not found
check "again: there is nothing left to do" ask store delete --tenant 2 --yes

# ---- The tenant is configured still, so an agent that runs may come back.
: >"$work/carol.log"
options carol 10.77.2.1 2
run_as h2 carol listen "${given[@]}"
wait_for 10 logged carol listening
is "an agent that runs registers anew" "$(who)" 1
finish
