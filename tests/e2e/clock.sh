#!/usr/bin/env bash
# A clock that goes back an hour, and forward again, under the control plane: while it runs, and while it is down.
# Nobody is lost, no lease becomes longer than was granted, and the store takes writes all the time.
# shellcheck source=tests/e2e/router.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/router.sh"

export SLUICE_CLOCK_SHIFT=$work/shift
shift_library=$build/tests/support/libclock_shift.so
[ -e "$shift_library" ] || bail "$shift_library is not built"
# set_clock SECONDS: from the real one, for all that was started under_shift, at once.
set_clock() { echo "$1" >"$work/shift.new" && mv "$work/shift.new" "$work/shift"; }
set_clock 0
# The control plane and the agents live on one machine: they have the same clock.
controlplane="$work/controlplane"
printf '#!/bin/sh\nLD_PRELOAD=%s exec %s "$@"\n' "$shift_library" "$(program sluice-controlplane)" >"$controlplane"
chmod +x "$controlplane"
real_sluice=$sluice
sluice="$work/sluice"
printf '#!/bin/sh\nLD_PRELOAD=%s exec %s "$@"\n' "$shift_library" "$real_sluice" >"$sluice"
chmod +x "$sluice"

write_router r <<YAML
$two_ports
leases: {default-s: 3600}
YAML
start_router r 1 2
seen_year() { date -u -d "@$(($(get .registered_ns agent show "$(agent "$1")") / 1000000000))" +%s; }
listen_as h2 bob 10.77.2.1
now=$(date +%s)
check "the clock of the control plane is the real one" [ $(($(seen_year bob) - now)) -ge -60 ]
who() { get '[.agents[]? | "\(.name | split("/")[2])"] | sort | join(" ")' agent list; }
left_s() { get '.lease_left_ns / 1000000000 | floor' agent show "$(agent "$1")"; }
is_granted() { [ "$(left_s "$1")" -le 3600 ] && [ "$(left_s "$1")" -gt 3000 ]; }

# ---- While it runs.
set_clock -3600
check "an agent comes while the clock is an hour back" listen_as h2 carol 10.77.2.1
check "its time is that of the clock" [ $(($(seen_year carol) - now)) -lt -3000 ]
check "an agent is added" ask agent add "$(agent printer)" 10.77.1.2:7999 --tenant 2
is "everybody is there" "$(who)" "bob carol printer"
check "bob's lease is not touched" is_granted bob
check "messages go to bob" ping_as h1 alice 10.77.1.1 bob --count 3
is "the store is good" "$(get '.error' store status)" ""

# ---- While it is down: what was stored lies in the future.
set_clock 0
kill9 r-cp
set_clock -3600
start_controlplane r
is "after a kill with the clock back everybody is there" "$(who)" "bob carol printer"
check "bob has no more than was granted" is_granted bob
check "nor has carol" is_granted carol
check "agents come" listen_as h2 dave 10.77.2.1
check "and are added" ask agent add "$(agent second)" 10.77.1.2:7998 --tenant 2
check "a verification finds nothing" ask store verify

# ---- Forward again, by an hour and more than a lease.
stop r-cp
set_clock 7200
start_controlplane r
is "two hours later by the clock, none is lost at once" "$(who)" "bob carol dave printer second"
check "bob has no more than was granted" [ "$(left_s bob)" -le 3600 ]
check "messages go to bob" ping_as h1 erin 10.77.1.1 bob --count 3
kill9 r-cp
set_clock 0
start_controlplane r
is "put right, all is as before" "$(who)" "bob carol dave printer second"
finish
