#!/usr/bin/env bash
# The configuration while the router runs: mistakes are named by line and column, agents, tenants, peers and limits
# change at once and messages feel it, a change that needs a restart is refused whole, and nothing of it is lost.
# shellcheck source=tests/e2e/router.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/router.sh"

# config TENANT-LINES REST [LINE OF dataplane]
config() {
  write_router r "${@:3}" <<YAML
ports:
$(port 1)
$(port 2)
tenants:
$1
$2
YAML
}
one="  - {id: 1, name: one, token-key: 00112233445566778899aabbccddeeff"
two="  - {id: 2, name: two, token-key: ffeeddccbbaa99887766554433221100"
static="agents:
  - {name: $(agent bob), tenant: 1, endpoint: \"10.77.2.2:7700\"}
  - {name: $(agent eve), tenant: 2, endpoint: \"10.77.2.2:7702\"}"
config "$one}
$two}" "$static"
start_router r 1 2
as_loaded=$(ask --json config show)
changes() { get '[.applied[].key] | sort | join(" ")' config reload; }
refused() {
  local text=$1
  ! ask config reload >"$work/stdout" 2>"$work/stderr" || return 1
  cat "$work/stderr"
  grep -qF -- "$text" "$work/stderr"
}
# notices SHORT TO COUNT: what its sender is told, as "REASON=N ..." or nothing.
notices() {
  send_as h1 "$1" 10.77.1.1 "$2" --count "$3" --rate "${4:-500}" --wait-notices 0.7
  report "$1" '.notices | to_entries | map("\(.key)=\(.value)") | join(" ")'
}

is "what is in effect is valid JSON with its defaults" "$(jq -r .dataplane.burst <<<"$as_loaded")" 32
ask config show >"$work/shown"
check "secrets are not shown" not grep -q 00112233445566778899aabbccddeeff "$work/shown"
check "an unchanged file changes nothing" gets 0 '.applied | length' config reload

# ---- Mistakes.
cp "$work/r.yaml" "$work/good.yaml"
{
  cat "$work/good.yaml"
  printf 'hold: {per-id: 0}\nnonsense: 1\n'
} >"$work/r.yaml"
lines=$(wc -l <"$work/good.yaml")
is "mistakes have line and column" \
  "$("$sluice" config check "$work/r.yaml" | sed 's/: .*//' | tr '\n' ' ')" \
  "$work/r.yaml:$((lines + 1)):16 $work/r.yaml:$((lines + 2)):1 "
check "so has a reload, which is refused" refused "$work/r.yaml:$((lines + 2)):1: nonsense: unknown key"
is "and changes nothing" "$(ask --json config show)" "$as_loaded"
printf 'ports: [\n' >"$work/r.yaml"
check "a file that is no YAML is refused" refused "$work/r.yaml:"
mv "$work/r.yaml" "$work/away.yaml"
check "a file that is not there is refused" refused "$work/r.yaml"
check "and the router goes on" is_ready r

# ---- Tenants.
is "a foreign tenant may not be addressed" "$(notices ann eve 3)" "tenant denied=3"
config "$one, allow: [2]}
$two}" "$static"
is "changed: tenants" "$(changes)" tenants
is "now it may" "$(notices ann eve 3)" ""
config "$one, allow: [2], rate: 100, burst: 10}
$two}" "$static"
changes >"$work/out"
told=$(notices ann bob 100 0)
note "100 messages at once, 100 per second allowed, 10 at once: $told"
is "its rate is limited now" "${told%=*}" "rate limited"
check "to that" test "${told##*=}" -ge 80 -a "${told##*=}" -le 90
config "$one}
$two}" "$static"
changes >"$work/out"
is "without limit and permission again: all go" "$(notices ann bob 100 0)" ""
is "and none to the other tenant" "$(notices ann eve 3)" "tenant denied=3"

# ---- Agents and peers.
more="$static
  - {name: $(agent new), tenant: 1, endpoint: \"10.77.2.2:7710\", capabilities: [do/things]}
peers:
  - {name: far, address: 10.77.2.2, agents: [{name: $(agent zoe), tenant: 1}]}"
is "an agent that is not configured is unknown" "$(notices ann new 3)" "unknown destination=3"
config "$one}
$two}" "$more"
is "changed: agents and peers" "$(changes)" "agents peers"
wait_for 5 reach_is new up
is "the new agent is reached" "$(notices ann new 3)" ""
is "so is the peer's" "$(notices ann zoe 3)" ""
is "and the capability" "$(get '.members | length' agent resolve do/things)" 1
config "$one}
$two}" "$static"
is "taken away again" "$(changes)" "agents peers"
is "it is unknown" "$(notices ann new 3)" "unknown destination=3"
is "the peer is gone" "$(get '.peers | length' peer list)" 0

# ---- Limits and hold.
config "$one}
$two}" "$static
limits: {notices-per-second: 0}
hold: {total: 0}"
is "changed: limits" "$(changes)" "hold.total limits.notices-per-second"
before=$(dropped hold_full)
is "no notices any more" "$(notices ann nobody 3)" ""
is "and nothing waits" "$(($(dropped hold_full) - before))" 3

# ---- What needs a restart, beside what does not: refused whole.
config "$one}
$two}" "$more
limits: {notices-per-second: 5000}" 'burst: 16'
config_before=$(ask --json config show)
check "a change that needs a restart is refused, and which" refused dataplane.burst
is "all of it" "$(ask --json config show)" "$config_before"
check "also of what could change" not ask agent show "$(agent new)"
restarts=$(get '[.differences[] | select(.live | not) | .key + " " + .restart] | join(",")' config check)
is "and the check says what needs a restart of what" "$restarts" "dataplane.burst sluice-dataplane"
wait_for 5 accounted
is "every message is accounted for" "$(unaccounted_of r)" 0
finish
