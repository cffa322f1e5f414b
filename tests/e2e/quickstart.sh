#!/usr/bin/env bash
# scripts/quickstart itself, with the programs of this build: its last line and status, what --keep leaves and the
# commands it then names, --stop, and a run that was killed.
# shellcheck source=tests/support/netns.sh disable=SC2317,SC2016  # called by name; for inner shells
. "$(dirname "$0")/../support/netns.sh"

run=("$source_root/scripts/quickstart" --build "$build" --count 500 --rate 2000)
last_line() { tail -n 1 "$work/out"; }
nothing_left() { [ ! -e /run/sluice-quickstart ] && [ -z "$(ip netns list)" ] && ! pgrep -f sluice-dataplane; }
lock_is_held() { ! flock --nonblock /run/sluice-quickstart.lock true; }

# Its output stays in $work/out, and is shown when it failed.
succeeds() { "${run[@]}" "$@" >"$work/out" 2>&1 </dev/null || { cat "$work/out"; return 1; }; }

cd /
check "it succeeds, from any folder" succeeds
is "its last line" "$(last_line)" "quickstart: delivered 1000 of 1000 messages"
check "it shows the latency" grep -qE 'latency p99 +[0-9,.]+ us' "$work/out"
check "what was dropped" grep -q 'nothing was dropped' "$work/out"
check "and one message on its way" grep -qE '^ +egress +forward' "$work/out"
check "nothing is left of it" nothing_left

"${run[@]}" >"$work/out" 2>&1 </dev/null &
killed=$!
wait_for 20 grep -q '^4/5' "$work/out"
kill -KILL "$killed"
# What it was waiting for ends later than it, and has inherited its lock.
flock --no-fork /run/sluice-quickstart.lock sleep 3 &
check "after one that was killed the next succeeds" succeeds --keep
is "its last line" "$(last_line)" "quickstart: delivered 1000 of 1000 messages"
check "--keep leaves it running" pgrep -f sluice-dataplane
# The commands that it names, one after the other.
sed -n '/^The router is still running/,/scripts\/quickstart --stop/p' "$work/out" | sed -n 's/^    //p' |
  sed -e 's/; \$s stats --watch/; $s stats/' -e 's/--count 5/--count 2/' -e 's/--timeout 600/--timeout 20/' \
    >"$work/commands.sh"
check "and the commands that it names work" bash -e "$work/commands.sh"
check "--stop takes all down" nothing_left

flock --no-fork /run/sluice-quickstart.lock sleep 60 &
holder=$!
wait_for 5 lock_is_held
check "beside another that runs it gives up" bash -c '! "$@" >"$0" 2>&1' "$work/out" "${run[@]}"
check "and says why" grep -q 'another quickstart is running; wait for it to end' "$work/out"
kill "$holder"

check "wrong usage is status 2" bash -c '"$0" --count x >"$1" 2>&1; [ $? -eq 2 ]' "${run[0]}" "$work/out"
finish
