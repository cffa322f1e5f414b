#!/usr/bin/env bash
# scripts/quickstart itself, with the programs of this build: its last line and status, what --keep leaves and the
# commands it then names, --stop, and a run that was killed.
# shellcheck source=tests/support/netns.sh disable=SC2317,SC2016  # called by name; for inner shells
. "$(dirname "$0")/../support/netns.sh"

run=("$source_root/scripts/quickstart" --build "$build" --count 500 --rate 2000)
last_line() { tail -n 1 "$work/out"; }
nothing_left() { [ ! -e /run/sluice-quickstart ] && [ -z "$(ip netns list)" ] && ! pgrep -f sluice-dataplane; }

cd /
check "it succeeds, from any folder" bash -c '"$@" >"$0" 2>&1' "$work/out" "${run[@]}"
is "its last line" "$(last_line)" "quickstart: delivered 1000 of 1000 messages"
check "it shows the latency" grep -qE 'latency p99 +[0-9,.]+ us' "$work/out"
check "what was dropped" grep -q 'nothing was dropped' "$work/out"
check "and one message on its way" grep -qE '^ +egress +forward' "$work/out"
check "nothing is left of it" nothing_left

"${run[@]}" >"$work/out" 2>&1 </dev/null &
killed=$!
wait_for 20 grep -q '^4/5' "$work/out"
kill -KILL "$killed"
check "after one that was killed the next succeeds" bash -c '"$@" --keep >"$0" 2>&1' "$work/out" "${run[@]}"
is "its last line" "$(last_line)" "quickstart: delivered 1000 of 1000 messages"
check "--keep leaves it running" pgrep -f sluice-dataplane
# The commands that it names, one after the other.
sed -n '/^The router is still running/,/scripts\/quickstart --stop/p' "$work/out" | sed -n 's/^    //p' |
  sed -e 's/; \$s stats --watch/; $s stats/' -e 's/--count 5/--count 2/' -e 's/--timeout 600/--timeout 20/' \
    >"$work/commands.sh"
check "and the commands that it names work" bash -e "$work/commands.sh"
check "--stop takes all down" nothing_left

check "wrong usage is status 2" bash -c '"$0" --count x >"$1" 2>&1; [ $? -eq 2 ]' "${run[0]}" "$work/out"
finish
