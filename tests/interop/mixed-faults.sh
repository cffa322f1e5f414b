#!/usr/bin/env bash
# mixed-faults.sh [SECONDS [SEED]]: three routers, three serf agents and a member made with the Go library in one
# encrypted cluster, and one fault after another, in an order that the seed decides: kill -9, a stopped process, a cable
# pulled, one that loses every third packet and is slow, a partition, leave and return, a change of keys. After each,
# every member's view must agree with what is within the protocol's bound; how long that took is told, and in the end
# nothing in serf's logs is an error of our making. In the suite for 30 s; the long form is run by hand with 600.
# shellcheck source=tests/interop/cluster.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/cluster.sh"
# shellcheck source=tests/interop/keys.sh
. "$(dirname "$0")/keys.sh"

seconds=${1:-30}
RANDOM=${2:-1}

# Bounds in seconds. A death: somebody's turn to probe it (7 members, 1 s), and the longest suspicion of serf's profile
# local (3 s, six times that without a second witness). A return: the next push/pull, a dialled one that waits for a
# timeout of TCP before. A partition: serf's and our search for the lost.
dies_within=40
returns_within=30
heals_within=60

routers=(r1 r2 r3)
serfs=(s1 s2 s3)
nodes=("${routers[@]}" "${serfs[@]}" g1)
declare -A number=([r1]=1 [r2]=2 [r3]=3 [s1]=11 [s2]=12 [s3]=13 [g1]=21)
declare -A truth=() # of each node: alive, dead, left

# ---- Members.

# others NODE: addresses of who is alive besides it.
others() {
  local node
  for node in "${nodes[@]}"; do
    [ "$node" = "$1" ] || [ "${truth[$node]:-}" != alive ] || echo "10.66.0.${number[$node]}"
  done
}
begin() {
  local name=$1 joins=() seed
  mapfile -t joins < <(others "$name")
  case $name in
    r*) start_router "$name" ;;
    s*) start_serf "$name" "${number[$name]}" -keyring-file="$work/$name.keys" "${joins[@]/#/-join=}" ;;
    g*)
      seed=$(IFS=,; echo "${joins[*]}")
      start_peer "$name" "${number[$name]}" -key "$(keys_of r1)" -join "$seed"
      ;;
  esac
  truth[$name]=alive
}
take_leave() {
  case $1 in
    r*) stop "$1" TERM 30 ;;
    s*)
      on_serf "$1" leave >/dev/null
      stop "$1"
      ;;
    g*)
      tell "$1" leave
      wait_for 20 not alive "$1"
      stop "$1"
      ;;
  esac
  truth[$1]=left
}

# ---- Views. Who is not there any more may be missing: routers forget the dead, the library does not list them, and who
# was started again never knew them.

view_of() {
  case $1 in
    r*) on "$1" node list --json | jq -r '.nodes[] | "\(.name) \(.state)"' | sed 's/ node_/ /' ;;
    s*) on_serf "$1" members -format=json | jq -r '.members[] | "\(.name) \(.status)"' | sed 's/ failed$/ dead/' ;;
    g*) peer_view "$1" | sed 's/$/ alive/' ;;
  esac | sort
}
in_truth() {
  local node
  for node in "${nodes[@]}"; do echo "$node ${truth[$node]}"; done | sort
}
# What may be said of the others. Who left may have failed for a serf agent that the intent passed by: with profile
# local each sends it twice only, and who leaves by the library alone sends none. serf.sh shows that they learn it.
may_be_gone() {
  in_truth | grep -v ' alive$' || true
  in_truth | sed -n 's/ left$/ dead/p'
}
# seen_by VIEWER...: their views are the truth.
seen_by() {
  local viewer difference
  for viewer in "$@"; do
    difference=$(diff <(in_truth | grep ' alive$') <(view_of "$viewer" | grep -vxFf <(may_be_gone))) ||
      { echo "$viewer: $difference"; return 1; }
  done
}
living() {
  local node
  for node in "${nodes[@]}"; do [ "${truth[$node]}" != alive ] || echo "$node"; done
}
# settled TEXT BOUND [VIEWER...]: their views agree with the truth in time; everybody's who is alive by default.
settled() {
  local text=$1 bound=$2 began viewers
  shift 2
  if [ $# -gt 0 ]; then viewers=("$@"); else mapfile -t viewers < <(living); fi
  began=$(date +%s%N)
  check "$text" wait_for "$bound" seen_by "${viewers[@]}"
  note "$(printf '%4d s  %-58s %6d ms' "$SECONDS" "$text" $((($(date +%s%N) - began) / 1000000)))"
}
without() { living | grep -vx "$1"; }

# ---- Faults, each with its end.

fault_kill() {
  kill9 "$1"
  truth[$1]=dead
  settled "$1 was killed" "$dies_within"
  begin "$1"
  settled "$1 is back" "$returns_within"
}
fault_restart() {
  kill9 "$1"
  begin "$1"
  settled "$1 was killed and started at once" "$returns_within"
}
fault_stop() {
  local viewers
  mapfile -t viewers < <(without "$1")
  kill -STOP "${pid_of[$1]}"
  truth[$1]=dead
  settled "$1 stands still" "$dies_within" "${viewers[@]}"
  kill -CONT "${pid_of[$1]}"
  truth[$1]=alive
  settled "$1 goes on" "$returns_within"
}
# Only until somebody doubts it.
fault_blink() {
  local judge=r1
  [ "$1" != r1 ] || judge=r2
  check "$1 stood still for a moment" doubted "$judge" "$1" kill -STOP "${pid_of[$1]}"
  kill -CONT "${pid_of[$1]}"
  settled "$1 refutes" "$returns_within"
}
fault_unplug() {
  local viewers
  mapfile -t viewers < <(without "$1")
  ip link set "to-$1" down
  truth[$1]=dead
  settled "$1 has no cable" "$dies_within" "${viewers[@]}"
  ip link set "to-$1" up
  truth[$1]=alive
  settled "$1 has a cable again" "$heals_within"
}
# Three packets of ten are lost on the way out, by classic BPF (a random number above 0.3 passes), and a link of 64
# kbit/s with its queue delays by up to 300 ms what goes in. Meanwhile somebody else is killed and comes back.
fault_bad_link() {
  local lose='4,32 0 0 4294963256,37 0 1 1288490188,6 0 0 0,6 0 0 2' until=$((SECONDS + 10))
  pick_other "$1"
  tc qdisc add dev "to-$1" clsact
  tc filter add dev "to-$1" ingress bpf bytecode "$lose" direct-action
  tc qdisc add dev "to-$1" root tbf rate 64kbit burst 2k latency 300ms
  kill9 "$picked"
  begin "$picked"
  # As long as the fault lasts: whether somebody loses it meanwhile is chance.
  [ "$SECONDS" -ge "$until" ] || sleep $((until - SECONDS))
  tc qdisc delete dev "to-$1" clsact
  tc qdisc delete dev "to-$1" root
  settled "$1 had a bad link, $picked was started again" "$heals_within"
}
# Two or three of the seven on the other side.
fault_partition() {
  local far=("$1") near node
  pick_other "$1"
  far+=("$picked")
  pick_other "$1"
  [ "$picked" = "${far[1]}" ] || far+=("$picked")
  for node in "${far[@]}"; do
    move "$node" west
    truth[$node]=dead
  done
  mapfile -t near < <(living)
  settled "${far[*]} cut off" "$dies_within" "${near[@]}"
  for node in "${far[@]}"; do
    move "$node" east
    truth[$node]=alive
  done
  settled "${far[*]} on this side again" "$heals_within"
}
fault_leave() {
  take_leave "$1"
  settled "$1 took leave" "$returns_within"
  begin "$1"
  settled "$1 is back" "$returns_within"
}
in_keyrings() { local s; for s in "${serfs[@]}"; do grep -qF "$1" "$work/$s.keys" || return 1; done; }
fault_keys() {
  local old first second new
  old=$(keys_of r1)
  first=$(fingerprints r1 .primary_here)
  on r1 cluster keys add >/dev/null
  second=$(fingerprints r1 'true' | grep -v "$first")
  new=$(keys_of r1 | grep -vF "$old")
  poll 5 key_known r2 "$second" 3 || ordered add "$second" key_known r2 "$second" 3
  serf_key install "$new" "${serfs[@]}"
  wait_for 20 in_keyrings "$new"
  once_more g1 '^add-key <nil>' tell g1 add-key "$new"
  ordered use "$second" key_used r3 "$second" 3
  serf_key use "$new" "${serfs[@]}"
  once_more g1 '^use-key <nil>' tell g1 use-key "$new"
  ordered remove "$first" key_gone "$first" "${routers[@]}"
  serf_key remove "$old" "${serfs[@]}"
  wait_for 20 not in_keyrings "$old"
  once_more g1 '^remove-key <nil>' tell g1 remove-key "$old"
  settled "the key was changed ($second)" "$returns_within"
}

# ---- The run.

faults=(kill stop blink partition leave keys unplug bad_link restart)
# Into $picked: the order of random numbers is this shell's alone.
pick_other() {
  picked=$1
  while [ "$picked" = "$1" ]; do picked=${nodes[RANDOM % ${#nodes[@]}]}; done
}
shuffled() {
  local all=("$@") i j swap
  for ((i = ${#all[@]} - 1; i > 0; --i)); do
    j=$((RANDOM % (i + 1)))
    swap=${all[i]} all[i]=${all[j]} all[j]=$swap
  done
  order=("${all[@]}")
}

for node in "${nodes[@]}"; do place "$node" "${number[$node]}"; done
mkdir -p "$work"/r{1,2,3}/state
"$sluice" cluster init --keys-file "$work/r1/state/cluster.keys" >/dev/null
for router in r2 r3; do cp -p "$work/r1/state/cluster.keys" "$work/$router/state/"; done
for serf in "${serfs[@]}"; do printf '["%s"]\n' "$(keys_of r1)" >"$work/$serf.keys"; done
for router in "${routers[@]}"; do
  write_router "$router" "${number[$router]}" "join: [10.66.0.1, 10.66.0.2, 10.66.0.3]"
done
for node in "${nodes[@]}"; do begin "$node"; done
settled "seven members, one cluster" "$returns_within"

SECONDS=0
count=0
while [ "$SECONDS" -lt "$seconds" ] && [ "$failures" -eq 0 ]; do
  shuffled "${faults[@]}"
  for fault in "${order[@]}"; do
    pick_other none
    "fault_$fault" "$picked"
    count=$((count + 1))
    if [ "$SECONDS" -ge "$seconds" ] || [ "$failures" -gt 0 ]; then break; fi
  done
done
note "$count faults in $SECONDS s; what serf's logs call errors, without the numbers:"
note "$(grep -h '\[ERR\]' "$work"/s[123].log | sed -E 's/.*\[ERR\] //; s/[0-9]+/N/g' | sort | uniq -c | sort -rn)"
check "no errors of ours in serf's logs" no_errors "${serfs[@]}"
finish
