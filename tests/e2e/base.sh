#!/usr/bin/env bash
# Routes in a base segment: built by itself, kept on disk, handed to a dataplane that restarts before anything else;
# changes and deletions win over it; a control plane that restarts takes it over; a damaged file is not believed.
#
#   AGENTS=20000   how many the agents-file has; more than the dataplane's table holds
# shellcheck source=tests/e2e/router.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/router.sh"
agents=${AGENTS:-20000}

for ((i = 1; i <= agents; i++)); do
  echo "base/test/agent/$i 1 10.77.2.2:$((7000 + i % 50000))"
done >"$work/agents"
write_router r <<YAML
$two_ports
agents-file: $work/agents
store: {agents: 1000000, base-delta-max: 1000, base-interval-s: 0}
YAML
start_router r 1 2
in_use() { gets "$1" '.base.entries' status; }
check "a base is built and in use" wait_for 20 in_use "$agents"
few() { [ "$(get .dataplane.tables.routes status)" -lt 100 ]; }
check "the dataplane's table is nearly empty" wait_for 10 few
is "none differs" "$(get '.base.uncovered + .base.deleted' status)" 0
route_of() { get .kind route lookup "base/test/agent/$1"; }

# listen_static N: the N-th agent of the file, on host h2.
listen_static() {
  : >"$work/agent$1.log"
  options "agent$1" 10.77.2.1
  given[1]=base/test/agent/$1
  ask agent token "base/test/agent/$1" --tenant 1 >"$work/agent$1.token"
  run_as h2 "agent$1" listen "${given[@]}" --no-register --local "10.77.2.2:$((7000 + $1 % 50000))" \
    --count 100 --timeout 20
  wait_for 10 logged "agent$1" listening
}
# reached N: 100 messages to the N-th agent arrive.
reached() {
  listen_static "$1"
  options alice 10.77.1.1
  in_host h1 "$sluice" send "base/test/agent/$1" "${given[@]}" --count 100 --rate 5000 >"$work/out"
  collect "agent$1" 25
  echo "received $(report "agent$1" .received)"
  [ "$(report "agent$1" .received)" = 100 ]
}
check "messages reach an agent out of the base" reached 17

# ---- Differences.
sed -i '1,10d' "$work/agents"
echo "base/test/agent/new 1 10.77.2.2:7777" >>"$work/agents"
ask config reload >"$work/out"
is "ten deleted and a new one differ" "$(get '"\(.base.uncovered) \(.base.deleted)"' status)" "1 10"
gone() {
  options alice 10.77.1.1
  in_host h1 "$sluice" --json send "base/test/agent/$1" "${given[@]}" --count 5 --notify --lifetime 0.1 \
    --wait-notices 1 >"$work/sent.json"
  jq -r '.notices | add' "$work/sent.json"
  [ "$(jq -r '.notices | add' "$work/sent.json")" = 5 ]
}
check "a deleted agent is not reached any more" gone 3

# ---- The dataplane restarts.
kill9 r-dp
before=$(date +%s%N)
start_dataplane r
plug 1
plug 2
wait_ready r
note "dataplane killed: programmed again $((($(date +%s%N) - before) / 1000000)) ms after its start, synchronised in \
$(get '.link.last_sync_ns / 1000000 | floor' status) ms"
check "it got the base and the differences, not every route" test "$(get .link.sequence status)" -lt 500
is "the base is in use" "$(get .base.entries status)" "$agents"
check "messages reach an agent out of the base" reached 18
check "the deleted one is still gone" gone 4

# ---- The control plane restarts, and has lost some more meanwhile.
stop r-cp
sed -i '1,5d' "$work/agents"
start_controlplane r
check "the base was taken over" \
  logged r-cp "event=base_adopted entries=$agents known=$((agents - 15)) uncovered=[0-9]+ deleted=15"
check "messages reach an agent out of the base" reached 19
check "those that went meanwhile are gone" gone 12

# ---- The machine is cut off.
kill9 r-cp
kill9 r-dp
start_dataplane r
plug 1
plug 2
start_controlplane r
check "after a power cut the base is there" logged r-cp "event=base_adopted"
check "and messages flow" reached 20
check "as they shall" gone 13

# ---- A damaged file.
stop r-cp
file=$(echo /run/r/state/base/*.segment)
printf 'xxxx' | dd of="$file" bs=1 seek=$((4096 * 5 + 77)) conv=notrunc 2>"$work/out"
start_controlplane r
check "a damaged base is not believed" logged r-cp 'event=base_unusable error=.*segment.*remedy='
check "another is built" wait_for 20 in_use "$((agents - 14))"
check "messages flow" reached 21
is "only its files are left" "$(find /run/r/state/base -type f | wc -l)" 2
wait_for 5 accounted
is "every message is accounted for" "$(unaccounted_of r)" 0
finish
