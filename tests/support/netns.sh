# shellcheck shell=bash
# Sourced first by every end-to-end scenario. The scenario is started again inside mount, network and process namespaces
# of its own: /run is empty and private, the only interface is lo, and when the scenario ends, however it
# ends, the kernel ends every process in it and drops every interface and namespace it made. So names can be plain
# ("h1", "router"), scenarios cannot disturb one another, and nothing leaks. Needs root; no NIC, no huge pages.
#
#   . "$(dirname "$0")/../support/netns.sh"
#   host h1                                   # a network namespace with lo up
#   start router "$(program sluice-dataplane)" --config "$work/router.yaml"
#   wait_for 10 logged router 'ready'         # polls a command until it succeeds
#   give_link tap0 h1 10.0.0.2/24
#   check "h1 reaches the router" in_host h1 ping -c1 -W2 10.0.0.1
#   stop router
#   is "the router ended cleanly" "$exit_status" 0
#   finish
#
# Output is TAP. A command that fails outside check ends the scenario at once, with its place. On failure the
# end of every log is shown, and all of $work is kept under the build directory (meson-logs/e2e/<scenario>).

set -Eeuo pipefail

if [ "${SLUICE_SCENARIO:-}" != "$0" ] || [ "$$" -ne 1 ]; then
  [ "$(id -u)" -eq 0 ] || { echo "Bail out! end-to-end scenarios need root"; exit 1; }
  SLUICE_SCENARIO=$0 exec unshare --mount --net --pid --fork --kill-child --mount-proc -- bash "$0" "$@"
fi
unset SLUICE_SCENARIO

source_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${SLUICE_BUILD:-$source_root/build}
scenario=$(basename "$0" .sh)
# All that the scenario writes; files that a process logs to are $work/<name>.log.
work=/run/scenario

declare -A pid_of=()
checks=0
failures=0
finished=no
failed_at=
# shellcheck disable=SC2034  # for scenarios
exit_status=

mount -t tmpfs -o size=1g,mode=755 tmpfs /run
# The file system view of interfaces must be this namespace's.
mount -t sysfs sysfs /sys
mkdir -p "$work" /run/netns
ip link set dev lo up

note() { printf '%s\n' "$*" | sed 's/^/# /'; }

bail() {
  failed_at=${failed_at:-$*}
  exit 1
}

# Runs in every exit: also of a signal or of a failed command (set -e).
leave() {
  local status=$? name log kept
  trap - EXIT ERR INT TERM
  set +e
  [ "$finished" = yes ] || echo "Bail out! $scenario ended before its end (status $status) ${failed_at:-}"
  if [ "$failures" -gt 0 ] || [ "$finished" != yes ]; then
    for log in "$work"/*.log; do
      [ -f "$log" ] || continue
      note "---- end of $(basename "$log")"
      tail -n 40 "$log" | sed 's/^/#   /'
    done
    kept=$build/meson-logs/e2e/$scenario
    rm -rf "$kept" && mkdir -p "$kept" && cp -r "$work/." "$kept/" && note "kept in $kept"
  fi
  for name in "${!pid_of[@]}"; do kill -KILL "${pid_of[$name]}" 2>/dev/null; done
  if [ "$finished" = yes ] && [ "$failures" -eq 0 ]; then exit 0; fi
  exit 1
}
trap leave EXIT
trap 'failed_at="at ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND"' ERR
# The first process of a namespace ignores signals that it does not handle.
trap 'failed_at="by a signal"; exit 1' INT TERM

# program NAME: the path of a program in the build directory.
program() {
  local found
  found=$(find "$build" -type f -name "$1" -perm -u+x -not -path '*.p/*' -print -quit)
  [ -n "$found" ] || { echo "no program $1 in $build" >&2; return 1; }
  echo "$found"
}

# ---- Hosts and links. '-' as a host means the scenario's own namespace, where the router lives.

host() {
  ip netns add "$1"
  ip -n "$1" link set dev lo up
}

in_host() {
  local where=$1
  shift
  if [ "$where" = - ]; then "$@"; else ip netns exec "$where" "$@"; fi
}

# configure_link HOST INTERFACE [ADDRESS/LENGTH...]: brings it up; IPv6 addresses can be used at once.
configure_link() {
  local where=$1 interface=$2 address
  shift 2
  for address in "$@"; do
    case $address in
      *:*) in_host "$where" ip -6 address add "$address" dev "$interface" nodad ;;
      *) in_host "$where" ip address add "$address" dev "$interface" ;;
    esac
  done
  in_host "$where" ip link set dev "$interface" up
}

# give_link INTERFACE HOST [ADDRESS/LENGTH...]: waits until the interface is there, moves it to the host.
give_link() {
  local interface=$1 where=$2
  shift 2
  wait_for 10 test -e "/sys/class/net/$interface"
  ip link set dev "$interface" netns "$where"
  configure_link "$where" "$interface" "$@"
}

# veth HOST_A INTERFACE_A HOST_B INTERFACE_B: a cable between two hosts; configure_link gives addresses.
veth() {
  local a=() b=()
  [ "$1" = - ] || a=(netns "$1")
  [ "$3" = - ] || b=(netns "$3")
  ip link add name "$2" "${a[@]}" type veth peer name "$4" "${b[@]}"
  in_host "$1" ip link set dev "$2" up
  in_host "$3" ip link set dev "$4" up
}

# ---- Processes, known by a name of the scenario's choosing.

# start_in HOST NAME COMMAND...: in the background; output goes to $work/NAME.log, after that of an earlier start.
start_in() {
  local where=$1 name=$2
  shift 2
  ! alive "$name" || bail "start: $name is running already"
  if [ "$where" = - ]; then
    "$@" >>"$work/$name.log" 2>&1 </dev/null &
  else
    # ip execs the command: the process id is the command's.
    ip netns exec "$where" "$@" >>"$work/$name.log" 2>&1 </dev/null &
  fi
  pid_of[$name]=$!
}
start() { start_in - "$@"; }

alive() { [ -n "${pid_of[$1]:-}" ] && kill -0 "${pid_of[$1]}" 2>/dev/null; }

# stop NAME [SIGNAL] [SECONDS]: ends it and leaves its status in $exit_status. Fails when it does not end in time;
# it is killed then.
stop() {
  local name=$1 signal=${2:-TERM} seconds=${3:-10} pid=${pid_of[$1]:-} in_time=yes
  [ -n "$pid" ] || bail "stop: no process $name"
  kill "-$signal" "$pid" 2>/dev/null || true
  if ! poll "$seconds" not alive "$name"; then
    in_time=no
    kill -KILL "$pid" 2>/dev/null || true
  fi
  # shellcheck disable=SC2034  # for scenarios
  { exit_status=0; wait "$pid" 2>/dev/null || exit_status=$?; }
  unset "pid_of[$name]"
  if [ "$in_time" = no ]; then
    note "$name did not end within $seconds s of SIG$signal"
    return 1
  fi
}

# As a crash or the out-of-memory killer would.
kill9() { stop "$1" KILL; }

logged() { grep -qE -- "$2" "$work/$1.log" 2>/dev/null; }
not() { ! "$@"; }

# ---- Waiting: always for a condition.

# poll SECONDS COMMAND...: tries every 50 ms until it succeeds; fails after SECONDS. A try counts for two at most: while
# the whole machine stands still (suspended, or frozen for a measurement) what is waited for cannot come about.
poll() {
  local left=$(($1 * 1000)) before now took
  shift
  before=$(date +%s%3N)
  until "$@" >"$work/.poll" 2>&1; do
    now=$(date +%s%3N)
    took=$((now - before < 2000 ? now - before : 2000))
    left=$((left - took))
    before=$now
    [ "$left" -gt 0 ] || return 1
    sleep 0.05
  done
}

# wait_for SECONDS COMMAND...: as poll, and says what it waited for when it fails.
wait_for() {
  local seconds=$1
  shift
  if poll "$seconds" "$@"; then return 0; fi
  note "waited $seconds s in vain for: $*"
  tail -n 5 "$work/.poll" | sed 's/^/#   /'
  return 1
}

# ---- Verdicts.

verdict() {
  local good=$1 text=$2
  checks=$((checks + 1))
  if [ "$good" = yes ]; then
    echo "ok $checks - $text"
  else
    echo "not ok $checks - $text"
    failures=$((failures + 1))
  fi
}

# check TEXT COMMAND...: passes when the command succeeds; its output is shown when it does not.
check() {
  local text=$1
  shift
  if "$@" >"$work/.check" 2>&1; then
    verdict yes "$text"
  else
    verdict no "$text"
    note "failed: $*"
    tail -n 20 "$work/.check" | sed 's/^/#   /'
  fi
}

# is TEXT GOT WANTED
is() {
  if [ "$2" = "$3" ]; then
    verdict yes "$1"
  else
    verdict no "$1"
    note "got:    $2"
    note "wanted: $3"
  fi
}

# The last line of every scenario. What was started and never stopped must still run: a crash nobody looked for is a
# failure.
finish() {
  local name
  for name in "${!pid_of[@]}"; do check "$name still runs at the end" alive "$name"; done
  [ "$checks" -gt 0 ] || bail "no check was made"
  echo "1..$checks"
  finished=yes
  exit 0
}
