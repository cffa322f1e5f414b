#!/usr/bin/env bash
# The disk for the logs is full: both processes go on, lines that could not be written are counted and said so when
# there is room again, and a control plane can start meanwhile.
# shellcheck source=tests/e2e/router.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/router.sh"

mkdir "$work/small"
mount -t tmpfs -o size=256k tmpfs "$work/small"
log=$work/small/router.log
write_router r <<YAML
$two_ports
log: {file: $log}
YAML
# Started by their sockets: what they log goes elsewhere.
start r-dp "$dataplane" --config "$work/r.yaml"
wait_for 20 grep -q 'process=dataplane event=started' "$log"
plug 1
plug 2
start_controlplane r
check "both log to one file" grep -q 'process=controlplane event=link_ready' "$log"
is "no line is lost" "$(get .control_plane.logs_lost status)" 0

dd if=/dev/zero of="$work/small/filler" bs=4k 2>"$work/out" || true
is "the disk is full" "$(df --output=avail "$work/small" | tail -n 1 | tr -d ' ')" 0
# The last page of the log has room for some lines.
lines_lost() { [ "$(get .control_plane.logs_lost status)" -gt 0 ]; }
for i in {1..40}; do
  ask agent add "$(agent "a$i")" "10.77.1.9:$((7000 + i))" --tenant 1 >"$work/out"
  send_as h1 alice 10.77.1.1 nobody --count 1 --lifetime 0.001
  ! lines_lost || break
done
check "lines are lost and counted" lines_lost
check "status says so" bash -c "'$sluice' --socket /run/r/api.sock status | grep -q 'log lines lost'"
listen_as h2 bob 10.77.2.1 --count 1000 --timeout 20
send_as h1 alice 10.77.1.1 bob --count 1000 --rate 5000
collect bob
is "messages flow" "$(report bob .received)" 1000
# One line of the dataplane, too: it loses it, and its control plane.
kill9 r-cp
start_controlplane r
check "the control plane starts with a full disk" is_ready r
check "the dataplane lives" alive r-dp

rm "$work/small/filler"
for i in {1..5}; do send_as h1 "carol$i" 10.77.1.1 nobody --count 1 --lifetime 0.001; done
check "with room again the log goes on" wait_for 5 grep -q 'name=e2e/test/carol5/1' "$log"
check "the control plane says how much is missing" grep -q 'process=controlplane event=log_lines_lost lines=' "$log"
kill9 r-cp
start_controlplane r
check "so does the dataplane" wait_for 5 grep -q 'process=dataplane event=log_lines_lost lines=' "$log"
wait_for 5 accounted
is "every message is accounted for" "$(unaccounted_of r)" 0
finish
