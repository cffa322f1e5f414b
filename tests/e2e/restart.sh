#!/usr/bin/env bash
# What outlives a restart: registered agents with what is left of their leases, agents and peers added by command. The
# control plane killed, the machine cut off, and nobody does anything about it: the agents keep still. A store that is
# damaged or belongs to somebody else is refused with what to do.
# shellcheck source=tests/e2e/router.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/router.sh"

# With such a lease no agent sends anything for a quarter of an hour.
write_router r <<YAML
$two_ports
leases: {default-s: 3600}
YAML
start_router r 1 2
listen_as h2 bob 10.77.2.1 --capability e2e/echo
ask agent add "$(agent printer)" 10.77.1.2:7999 --tenant 2 --capability e2e/print >"$work/out"
ask peer add router-x 10.77.2.9 >"$work/out"
start_send h1 alice 10.77.1.1 bob --count 10000000 --rate 2000 --notify
wait_for 10 gets true '.ports[0].counters.forwarded > 1000' stats
begun=$(get .registered_ns agent show "$(agent bob)")
age_s() { get "(.lease_s * 1000000000 - .lease_left_ns) / 1000000000 | floor" agent show "$(agent bob)"; }
older_than() { [ "$(age_s)" -ge "$1" ]; }
wait_for 10 older_than 2

# ---- The control plane killed.
who() { get '[.agents[]? | "\(.name | split("/")[2]) \(.origin)"] | sort | join(", ")' agent list; }
for round in 1 2 3; do
  kill9 r-cp
  start_controlplane r
  is "round $round: everybody is there" "$(who)" "alice registered, bob registered, printer static"
done
is "bob is as old as he was" "$(get .registered_ns agent show "$(agent bob)")" "$begun"
check "and his lease goes on" older_than 2
is "his capabilities" "$(get '.capabilities | join(" ")' agent show "$(agent bob)")" e2e/echo
is "the printer's capability leads to it" "$(get '.members[0].name' agent resolve e2e/print)" "$(agent printer)"
is "its tenant" "$(get .tenant agent show "$(agent printer)")" 2
is "the peer" "$(get '[.peers[] | "\(.name) \(.address)"] | join(" ")' peer list)" "router-x 10.77.2.9:7600"
is "nobody has registered since" "$(get .registry.registrations status)" 0
is "status says how many came back" "$(get .store.restored_agents status)" 3
stop alice
wait_for 5 accounted
sent=$(report alice .sent)

# ---- An orderly stop and start; what was deleted stays deleted.
ask agent delete "$(agent printer)" >"$work/out"
ask peer delete router-x >"$work/out"
stop r-cp
start_controlplane r
is "what was deleted, or has left, stays away" "$(who)" "bob registered"
is "the peer, too" "$(get '.peers | length' peer list)" 0
is "no message was dropped all the time" "$(all_drops)" ""
stop bob
is "none was lost" "$(report bob .received)" "$sent"

# ---- The machine cut off: both killed at once. An agent that listens, and does nothing.
listen_as h2 bob 10.77.2.1
before=$(date +%s%N)
kill9 r-cp
kill9 r-dp
start_dataplane r
plug 1
plug 2
start_controlplane r
check "after a power cut the agents are reached at once" ping_as h1 erin 10.77.1.1 bob --count 3
note "power cut: answers after $((($(date +%s%N) - before) / 1000000)) ms, with both processes started anew"
is "without their doing" "$(get .registry.registrations status)" 1
stop bob
ask agent add "$(agent printer)" 10.77.1.2:7999 --tenant 2 >"$work/out"

# ---- A store that belongs to another one.
start_refused() {
  local status=0
  timeout 20 "$controlplane" --config "$1" >"$work/said" 2>&1 || status=$?
  cat "$work/said"
  [ "$status" -eq 1 ] && grep -qE -- "$2" "$work/said"
}
sed 's|run-dir: [^,]*, state-dir: [^}]*|run-dir: /run/other, state-dir: /run/other/state|' \
  "$work/r.yaml" >"$work/other.yaml"
echo 'store: {directory: /run/r/state/store}
metrics: {listen: off}' >>"$work/other.yaml"
check "two control planes cannot have one store" start_refused "$work/other.yaml" \
  'store: .*/run/r/state/store.*process [0-9]+.*store\.directory'
check "the first one is none the worse" is_ready r

# ---- A store that is damaged.
stop r-cp
cp -r /run/r/state/store "$work/good"
printf 'x' | dd of=/run/r/state/store/MANIFEST bs=1 seek=40 conv=notrunc 2>"$work/out"
check "a damaged store is named, with the remedy" start_refused "$work/r.yaml" \
  '/run/r/state/store/MANIFEST.*sluice store restore.*move /run/r/state/store away'
rm -r /run/r/state/store
cp -r "$work/good" /run/r/state/store
start_controlplane r
is "put right, all is as before" "$(who)" "printer static"
rm "$work/r-cp.log"
stop r-cp
mv /run/r/state/store "$work/away"
start_controlplane r
is "moved away, the router knows its configuration only" "$(get .registry.agents status)" 0
finish
