# shellcheck shell=bash
# shellcheck disable=SC2034  # variables are for scenarios
# What scenarios with a router share, on top of tests/support/netns.sh, which this sources. Routers are known by a name;
# router "r" runs in the scenario's own namespace unless placed elsewhere, and is the one that ask and get talk to.
# Port pN has 10.77.N.1 and fd77:N::1; host hN at its wire has 10.77.N.2 and fd77:N::2. Agents have short names.
#
#   . "$(dirname "$0")/router.sh"
#   write_router r <<<"$two_ports"            # the configuration but for its first sections
#   start_router r 1 2                        # both processes, hosts h1 and h2 plugged in, all programmed
#   listen_as h2 bob 10.77.2.1 --count 100
#   send_as h1 alice 10.77.1.1 bob --count 100
#   collect bob 10
#   is "delivered" "$(report bob .received)" 100

# shellcheck source=tests/support/netns.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/netns.sh"

sluice=$(program sluice)
dataplane=$(program sluice-dataplane)
controlplane=$(program sluice-controlplane)
wire_tool=$source_root/tests/e2e/wire.py
# The last core that may be used: the worker's. Idle workers sleep, so routers can share it.
core=$(taskset -cp $$ | sed 's/.*[ ,-]//')
# port N [MORE KEYS]: the line of a configuration.
port() {
  local addresses="addresses: [10.77.$1.1/24, \"fd77:$1::1/64\"]"
  echo "  - {name: p$1, device: \"net_tap$1,iface=wire$1\", $addresses${2:+, $2}}"
}
tenants='tenants:
  - {id: 1, name: one, token-key: 00112233445566778899aabbccddeeff}
  - {id: 2, name: two, token-key: ffeeddccbbaa99887766554433221100}'
two_ports="ports:
$(port 1)
$(port 2)
$tenants"
declare -A place_of=()  # router: the host it runs on, when not the scenario's own namespace
declare -a given=()

# ---- Routers.

# write_router NAME [LINE OF dataplane]... <<<YAML; a line goes before the one of the same key here.
write_router() {
  local name=$1 line own
  shift
  {
    echo "router: {name: $name, run-dir: /run/$name, state-dir: /run/$name/state}"
    printf 'dataplane:\n'
    for line in "workers: [$core]" 'idle: adaptive' 'huge-pages: off' 'memory-mb: 192' 'mbufs: 16384' \
      'routes: 16384'; do
      for own in "$@"; do [ "${own%%:*}" != "${line%%:*}" ] || continue 2; done
      echo "  $line"
    done
    for own in "$@"; do echo "  $own"; done
    cat
  } >"$work/$name.yaml"
}

times_started() { grep -c 'event=started' "$work/$1.log" 2>/dev/null || true; }
has_started() { [ "$(times_started "$1")" -gt "$2" ] || ! alive "$1"; }

start_dataplane() {
  local before
  before=$(times_started "$1-dp")
  start_in "${place_of[$1]:--}" "$1-dp" "$dataplane" --config "$work/$1.yaml"
  wait_for 20 has_started "$1-dp" "${before:-0}"
  alive "$1-dp" || bail "the dataplane of $1 ended"
}

start_controlplane() {
  start_in "${place_of[$1]:--}" "$1-cp" "$controlplane" --config "$work/$1.yaml"
  wait_ready "$1"
}

# start_router NAME [N]...: both processes, and host hN at the wire of port pN, until the router is programmed.
start_router() {
  local name=$1 n
  shift
  start_dataplane "$name"
  for n in "$@"; do plug "$n"; done
  start_controlplane "$name"
}

# plug N [ROUTER]: the wire of port pN becomes the interface of host hN, with a link address of the host's own.
plug() {
  local n=$1 at=${place_of[${2:-r}]:--}
  [ -e "/run/netns/h$n" ] || host "h$n"
  wait_for 10 in_host "$at" ip link show dev "wire$n"
  in_host "$at" ip link set dev "wire$n" netns "h$n"
  # A busy host leaves frames of the router waiting for a moment.
  ip -n "h$n" link set dev "wire$n" address "02:77:00:00:00:0$n" txqueuelen 10000
  configure_link "h$n" "wire$n" "10.77.$n.2/24" "fd77:$n::2/64"
}

ask_of() {
  local name=$1
  shift
  "$sluice" --socket "/run/$name/api.sock" "$@"
}
ask() { ask_of r "$@"; }
is_ready() { ask_of "$1" status --wait 1; }
wait_ready() { wait_for 20 is_ready "$1"; }

# get_of ROUTER JQ-FILTER COMMAND...: the filter over what `sluice --json COMMAND...` prints.
get_of() {
  local name=$1 filter=$2
  shift 2
  ask_of "$name" --json "$@" | jq -r "$filter"
}
get() { get_of r "$@"; }
# gets WANTED JQ-FILTER COMMAND...: for wait_for and check.
gets() {
  local wanted=$1 got
  shift
  got=$(get "$@")
  echo "got $got, wanted $wanted"
  [ "$got" = "$wanted" ]
}

# ---- Agents.

# agent SHORT: its whole name.
agent() { echo "e2e/test/$1/1"; }
reach_is() { gets "$2" .reachability agent show "$(agent "$1")"; }

# options SHORT ROUTER-ADDRESS [TENANT [ROUTER]]: what an agent's commands need, in the array `given`.
options() {
  local file=$work/$1.token tenant=${3:-1}
  ask_of "${4:-r}" agent token "$(agent "$1")" --tenant "$tenant" >"$file"
  given=(--name "$(agent "$1")" --tenant "$tenant" --token-file "$file" --router "$2")
}

# run_as HOST SHORT COMMAND...: in the background as process SHORT, with its JSON in $work/SHORT.json.
run_as() {
  local where=$1 short=$2
  shift 2
  # shellcheck disable=SC2016  # for the inner shell
  start_in "$where" "$short" bash -c 'exec "${@:2}" >"$1"' - "$work/$short.json" "$sluice" --json "$@"
}
# listen_as HOST SHORT ROUTER-ADDRESS [OPTION...]: waits until it is registered.
listen_as() {
  local where=$1 short=$2 address=$3
  shift 3
  : >"$work/$short.log"
  options "$short" "$address"
  run_as "$where" "$short" listen "${given[@]}" "$@"
  wait_for 10 logged "$short" listening
}
# start_send HOST SHORT ROUTER-ADDRESS TO [OPTION...]
start_send() {
  local where=$1 short=$2 address=$3 to=$4
  shift 4
  options "$short" "$address"
  run_as "$where" "$short" send "$(agent "$to")" "${given[@]}" "$@"
}
# send_as, as start_send: waits for its end.
send_as() {
  start_send "$@"
  collect "$2" 60
}
# collect NAME [SECONDS]: waits for the end of a process, whose status is in $exit_status then.
collect() {
  wait_for "${2:-10}" not alive "$1"
  exit_status=0
  wait "${pid_of[$1]}" 2>/dev/null || exit_status=$?
  unset "pid_of[$1]"
}
# report NAME JQ-FILTER: out of what it printed.
report() { jq -r "$2" "$work/$1.json"; }

# ping_as HOST SHORT ROUTER-ADDRESS TO [OPTION...]: TO is an agent's short name or router/NAME.
ping_as() {
  local where=$1 short=$2 address=$3 to=$4
  shift 4
  case $to in */*) ;; *) to=$(agent "$to") ;; esac
  options "$short" "$address"
  in_host "$where" "$sluice" ping "$to" "${given[@]}" --interval 0.02 "$@"
}

# ---- Counters.

# Messages received less those accounted for (the invariant of include/sluice/link/status.hpp): 0.
unaccounted_of() {
  get_of "$1" '[.ports[].counters] | (map(.messages + .released) | add)
    - (map(.forwarded + .replicated + .held + .punted + .answered + .dropped) | add)' stats
}
accounted() { [ "$(unaccounted_of "${1:-r}")" = 0 ]; }
# counted FIELD: over all ports.
counted() { get "[.ports[].counters.$1] | add" stats; }
# dropped REASON: how many messages on all ports.
dropped() { get "[.ports[].drops[] | select(.reason == \"$1\") | .count] | add // 0" drops; }
# All that was dropped, as "reason=count reason=count".
all_drops() {
  get '[.ports[].drops[]] | group_by(.reason) | map("\(.[0].reason)=\(map(.count) | add)") | join(" ")' drops
}
drops_are() {
  local got
  got=$(all_drops)
  echo "got '$got', wanted '$1'"
  [ "$got" = "$1" ]
}
mbufs_free() { get .dataplane.tables.mbufs_free status; }
# Buffers in the drivers and caches move; none may stay away.
no_leak() {
  local now
  now=$(mbufs_free)
  echo "$now buffers free, $1 before"
  [ "$now" -ge $(($1 - ${2:-64})) ]
}
# refused TEXT COMMAND...: status 1, and the text (an extended regular expression) in what it says. A program, not a
# function, has 20 seconds to say it.
refused() {
  local text=$1 status=0
  shift
  [ "$(type -t "$1")" = function ] || set -- timeout 20 "$@"
  "$@" >"$work/said" 2>&1 || status=$?
  cat "$work/said"
  echo "status $status; text wanted: $text"
  [ "$status" -eq 1 ] && grep -qE -- "$text" "$work/said"
}
# start_pair R S: two routers with one host each, h1 at the first and h2 at the second.
start_pair() {
  start_dataplane "$1"
  start_dataplane "$2"
  plug 1 "$1"
  plug 2 "$2"
  start_controlplane "$1"
  start_controlplane "$2"
}
