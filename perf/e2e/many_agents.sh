#!/usr/bin/env bash
# A router with very many agents, both processes as they are: how long until all of them are forwarded, what memory and
# disk that takes, and the restart of either side. The fleet is an agents-file; what arrives is checked message by
# message. See perf/METHOD.md. Prints TAP and, at the end, one JSON object per phase.
#
#   AGENTS=1000000   how many          HOSTS=10000     on which they live
#   ROUTES=1000000   dataplane.routes: what the table holds beside the base
#   SAMPLE=20000     messages per check, to random agents
#   DATA=DIR         for the file and the router's state: 75 bytes per agent; the file is used again
#   SLUICE_BUILD     the build directory; default: build
# shellcheck source=tests/e2e/router.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/../../tests/e2e/router.sh"
agents=${AGENTS:-1000000} hosts=${HOSTS:-10000} routes=${ROUTES:-1000000} sample=${SAMPLE:-20000}
data=${DATA:-/var/tmp/sluice-many-$agents}
fleet=$source_root/perf/e2e/agents.py
# Reading the file, twice, is most of a start.
patience=$((60 + agents / 100000))
results=$work/results

now_ms() { echo $(($(date +%s%N) / 1000000)); }
began=$(now_ms)
step() { note "$(printf '%6.1f s  %s' "$(($(now_ms) - began))e-3" "$*")"; }

# memory PROCESS: of the running process, in MiB.
memory() {
  local pid=${pid_of[$1]}
  awk -v peak="$(awk '/^VmHWM/ {print $2}' "/proc/$pid/status")" '
    {sub(":", "", $1); of[$1] = $2 / 1024}
    END {
      printf "{\"rss\":%.0f,\"pss\":%.0f,\"anonymous\":%.0f,", of["Rss"], of["Pss"], of["Anonymous"]
      printf "\"of_it_huge\":%.0f,\"hugetlb\":%.0f,", of["AnonHugePages"], of["Private_Hugetlb"] + of["Shared_Hugetlb"]
      printf "\"file_pss\":%.0f,\"peak_rss\":%.0f}", of["Pss_File"], peak / 1024
    }' "/proc/$pid/smaps_rollup"
}
# start_fleet HOST NAME COMMAND...: agents.py in the background, what it prints in $work/NAME.json.
start_fleet() {
  local where=$1 name=$2
  shift 2
  : >"$work/$name.log"
  # shellcheck disable=SC2016  # for the inner shell
  start_in "$where" "$name" bash -c 'exec "${@:2}" >"$1"' - "$work/$name.json" "$fleet" "$@"
}
# phase NAME MILLISECONDS: one line of the results.
phase() {
  echo "{\"phase\":\"$1\",\"agents\":$agents,\"milliseconds\":$2,\"controlplane_mib\":$(memory r-cp)," \
    "\"dataplane_mib\":$(memory r-dp)}" >>"$results"
}

watch_agents() {
  start_fleet h2 watch watch "$hosts" "$@"
  wait_for 5 logged watch watching
}
send_to_agents() { in_host h1 "$fleet" send "$agents" "$hosts" "$@" >"$work/sent.json"; }
# all_right: a sample arrives, each message where it belongs.
all_right() {
  watch_agents --count "$sample" --idle 2
  send_to_agents --count "$sample" --seed "$(date +%N | sed 's/^0*//')"
  collect watch 60
  cat "$work/sent.json" "$work/watch.json"
  [ "$(report watch .right)" = "$sample" ]
}
# one_right: some message arrives.
one_right() {
  watch_agents --count 20 --idle 0.2
  send_to_agents --count 20 --rate 100000
  collect watch 10
  [ "$(report watch .right)" = 20 ]
}
looked_up() {
  local number name address port wrong=0
  while read -r number name address port; do
    gets "$address:$port" '"\(.adjacency.destination):\(.udp_port)"' route lookup "$name" </dev/null && continue
    wrong=$((wrong + 1))
    echo "agent $number"
  done < <("$fleet" number "$agents" "$hosts" "$RANDOM" 100)
  [ "$wrong" -eq 0 ]
}
in_use() { gets "$((agents + 1))" '.base.entries - .base.deleted + .base.uncovered' status; }
plug_all() {
  plug 1
  plug 2
  # The hosts with the agents are behind h2, which has all their addresses itself. The route needs the interface's
  # address, which the control plane gives it otherwise.
  ip link set dev sl-p2 up
  ip address replace 10.77.2.1/24 dev sl-p2
  ip route replace 10.128.0.0/9 via 10.77.2.2
  ip -n h2 route replace local 10.128.0.0/9 dev lo
}
# Longer than for other scenarios.
wait_ready() { wait_for "$patience" is_ready "$1"; }

# ---- The fleet.
mkdir -p "$data"
[ -s "$data/agents" ] || { step "writing the agents-file"; "$fleet" write "$agents" "$hosts" "$data/agents"; }
rm -rf "$data/state"
note "agents-file: $(($(stat -c %s "$data/agents") >> 20)) MiB"
cat >"$work/r.yaml" <<YAML
router: {name: r, run-dir: /run/r, state-dir: $data/state}
dataplane: {workers: [$core], idle: adaptive, huge-pages: off, memory-mb: 512, mbufs: 16384, routes: $routes}
$two_ports
agents-file: $data/agents
store: {agents: $((agents + 1000))}
YAML

# ---- Both start, with nothing on disk.
step "starting with nothing but the agents-file"
start=$(now_ms)
start_dataplane r
plug_all
start_in - r-cp "$controlplane" --config "$work/r.yaml"
check "the control plane is ready" wait_ready r
step "ready"
check "all agents are in the base" wait_for "$patience" in_use
check "a sample is forwarded" all_right
phase "cold start" $(($(now_ms) - start))
step "forwarding: $(cat "$work/watch.json")"
check "lookups tell the right places" looked_up
note "$(grep -E 'event=(started|base_|link_ready|store_open)' "$work/r-cp.log")"
note "disk: $(du -sm "$data/state/base" "$data/state/store" | tr '\t' ' ' | tr '\n' ' ')"

# ---- The control plane is killed under traffic.
step "control plane killed and started again under traffic"
watch_agents --count 1000000000 --idle 3
start_fleet h1 traffic send "$agents" "$hosts" --rate 2000 --count 1000000000
kill9 r-cp
start=$(now_ms)
start_in - r-cp "$controlplane" --config "$work/r.yaml"
check "the control plane is ready again" wait_ready r
check "the base was taken over" wait_for "$patience" in_use
phase "control plane restart" $(($(now_ms) - start))
stop traffic
collect watch 30
step "traffic meanwhile: $(cat "$work/watch.json")"
is "none of it was lost or went to a wrong place" "$(report watch .right)" "$(report traffic .sent)"
check "a sample is forwarded" all_right
note "$(grep -E 'event=(started|base_|link_ready)' "$work/r-cp.log" | tail -n 5)"

# ---- The dataplane is killed.
step "dataplane killed and started again"
kill9 r-dp
start=$(now_ms)
start_dataplane r
plug_all
check "some messages flow again" wait_for "$patience" one_right
phase "dataplane restart" $(($(now_ms) - start))
step "flowing"
check "a sample is forwarded" all_right
check "the base is in use" wait_for "$patience" in_use
note "$(grep -E 'event=(started|base_|sync_done)' "$work/r-dp.log" | tail -n 5)"

sed 's/^/result /' "$results"
[ -z "${OUT:-}" ] || cp "$results" "$OUT"
finish
