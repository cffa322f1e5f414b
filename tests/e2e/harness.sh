#!/usr/bin/env bash
# The harness of the scenarios itself: isolation, links, processes, waiting, and that failures are reported.
# shellcheck source=tests/support/netns.sh
. "$(dirname "$0")/../support/netns.sh"

# What inner scenarios leave: not under /run, theirs is another.
inner_build=$build/meson-logs/e2e/harness-inner
rm -rf "$inner_build"
mkdir -p "$inner_build"

# inner NAME: runs the text on stdin as a scenario of its own; output in $work/NAME.out, status in $inner_status.
inner_status=
inner() {
  {
    printf '. "%s/tests/support/netns.sh"\n' "$source_root"
    cat
  } >"$work/$1.sh"
  inner_status=0
  SLUICE_BUILD=$inner_build bash "$work/$1.sh" >"$work/$1.out" 2>&1 || inner_status=$?
}

is "lo is the only interface" "$(ls /sys/class/net)" lo
is "the scenario is the first process of its namespace" "$$" 1

host h1
host h2
veth h1 a h2 b
configure_link h1 a 10.9.0.1/24 fd00:9::1/64
configure_link h2 b 10.9.0.2/24 fd00:9::2/64
check "hosts reach each other over IPv4" in_host h1 ping -c1 -W2 10.9.0.2
check "hosts reach each other over IPv6" in_host h1 ping -6 -c1 -W2 fd00:9::2
ip tuntap add dev spare mode tap
give_link spare h2 10.10.0.1/24
check "an interface can be given to a host" in_host h2 ping -c1 -W2 10.10.0.1
check "and is gone here" not test -e /sys/class/net/spare

start sleeper bash -c 'echo up; trap "exit 7" TERM; while :; do sleep 0.05; done'
wait_for 5 logged sleeper '^up$'
check "a started process is alive" alive sleeper
stop sleeper
is "its exit status is known" "$exit_status" 7
check "and it is not alive afterwards" not alive sleeper
start_in h1 sleeper sleep 1000
wait_for 5 pgrep -f '^sleep 1000$'
is "a process can be started on a host" "$(ip netns pids h1)" "${pid_of[sleeper]}"
kill9 sleeper
is "killed by SIGKILL" "$exit_status" 137

(sleep 0.3; touch "$work/there") &
check "wait_for sees a condition come true" wait_for 5 test -e "$work/there"
check "wait_for gives up" not wait_for 1 false
start stubborn bash -c 'trap "" TERM; echo up; while :; do sleep 0.05; done'
wait_for 5 logged stubborn up
check "a process that ignores SIGTERM is reported and killed" not stop stubborn TERM 1
check "no process of that name is left" not pgrep -f 'trap "" TERM'

inner good <<'TEXT'
start left sleep 987654
check "fine" true
finish
TEXT
is "a good scenario passes" "$inner_status" 0
check "with its plan" grep -qx '1..2' "$work/good.out"
check "and leaves no process" not pgrep -f 'sleep 987654'

inner bad <<'TEXT'
echo "some words" >"$work/router.log"
check "wrong" false
finish
TEXT
is "a failed check fails the scenario" "$inner_status" 1
check "it is named" grep -qx 'not ok 1 - wrong' "$work/bad.out"
check "logs are shown" grep -q '^#   some words' "$work/bad.out"
check "logs are kept" grep -qx 'some words' "$inner_build/meson-logs/e2e/bad/router.log"

inner early <<'TEXT'
check "fine" true
ls /nowhere
finish
TEXT
is "a failing command ends the scenario" "$inner_status" 1
check "with its place" grep -qE '^Bail out! .*early.sh:3: ls /nowhere' "$work/early.out"

inner crash <<'TEXT'
start router false
wait_for 5 not alive router
check "fine" true
finish
TEXT
is "a process that ended unasked fails the scenario" "$inner_status" 1

inner empty <<'TEXT'
finish
TEXT
is "a scenario without a check fails" "$inner_status" 1

inner killed <<'TEXT' &
start left sleep 876543
touch "$build/up"
wait_for 60 false
TEXT
wait_for 10 test -e "$inner_build/up"
unsharer=$(pgrep -f "unshare .*killed.sh" | head -n 1)
kill -KILL "$unsharer"
check "a scenario killed from outside leaves no process" wait_for 5 not pgrep -f 'sleep 876543'

rm -rf "$inner_build"
finish
