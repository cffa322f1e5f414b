#!/usr/bin/env bash
# Everything that can be wrong with a message, one thing at a time: exactly one drop reason counts it, the sender gets
# exactly the notice that belongs to the reason, nothing crashes, nothing leaks, and what is good passes.
# shellcheck source=tests/e2e/router.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/router.sh"

write_router r <<YAML
$two_ports
hold: {per-id: 4, time-ms: 200}
limits: {negative-cache-ms: 5000, notices-per-second: 1000}
YAML
start_router r 1 2
count=3

# The sender of the frames; its endpoint never moves. And somebody to send to, in either tenant.
ask agent add "$(agent raw)" 10.77.1.2:9000 --tenant 1 >"$work/out"
ask agent add "$(agent raw6)" '[fd77:1::2]:9006' --tenant 1 >"$work/out"
raw=$(get .id agent show "$(agent raw)")
raw6=$(get .id agent show "$(agent raw6)")
listen_as h2 bob 10.77.2.1
options eve 10.77.2.1 2
run_as h2 eve listen "${given[@]}"
wait_for 10 logged eve listening
bob=$(get .id agent show "$(agent bob)")
eve=$(get .id agent show "$(agent eve)")
# Both hosts are neighbours that the router knows.
in_host h1 ping -q -c 1 -W 2 10.77.1.1 >"$work/out"
in_host h1 ping -q -c 1 -W 2 fd77:1::1 >"$work/out"
wait_for 5 reach_is raw up
wait_for 5 reach_is raw6 up
wait_for 5 reach_is bob up
mac=$(cat /sys/class/net/sl-p1/address)
buffers=$(mbufs_free)

# throw --case CASE [OPTION...]: $count frames with that mistake; notices in $told.
throw() {
  told=$(in_host h1 /usr/bin/python3 "$wire_tool" bad wire1 --router-mac "$mac" --from 10.77.1.2:9000 \
    --to 10.77.1.1:7600 --source "$raw" --destination "$bob" --count "$count" "$@")
}
throw6() { throw --from '[fd77:1::2]:9006' --to '[fd77:1::1]:7600' --source "$raw6" "$@"; }

# Counters of port p1, as "frames messages forwarded to_host dropped: reason=count ...".
counters() {
  get '.ports[0].counters | [.frames, .messages, .forwarded, .to_host, .dropped, ([.drops[] | "\(.reason)=\(.count)"]
    | join(","))] | join(" ")' stats --port p1
}
# moved WANTED BEFORE: the difference is the wanted one.
moved() {
  local now
  now=$(counters)
  echo "before: $2"
  echo "now:    $now"
  /usr/bin/python3 -c '
import sys
def parts(text):
    *numbers, drops = (text + " ").split(" ")[:6]
    return [int(n) for n in numbers], {d.split("=")[0]: int(d.split("=")[1]) for d in drops.split(",") if d}
(n0, d0), (n1, d1) = parts(sys.argv[1]), parts(sys.argv[2])
grown = {r: c - d0.get(r, 0) for r, c in d1.items() if c != d0.get(r, 0)}
_, messages, forwarded, to_host, dropped = (b - a for a, b in zip(n0, n1))
words = [f"{r}={c}" for r, c in grown.items()]
if forwarded: words.append(f"forwarded={forwarded}")
# The kernels talk, too: at least so many.
if "to_host" in sys.argv[3] and to_host >= int(sys.argv[3].split("=")[1]): words.append(sys.argv[3])
got = " ".join(sorted(words))
print("moved: ", got)
sys.exit(got != sys.argv[3] or sum(grown.values()) != dropped)' "$2" "$now" "$1"
}

# expect CASE WANTED-COUNTER NOTICE [OPTION...]: NOTICE none waits a moment for one that must not come.
expect_with() {
  local how=$1 case=$2 wanted=$3 notice=$4 before wait=(--wait 5 --expect "$count")
  shift 4
  [ "$notice" != none ] || wait=(--wait 0.05)
  before=$(counters)
  "$how" --case "$case" "${wait[@]}" "$@"
  check "${how#throw} $case: $wanted" wait_for 3 moved "$wanted" "$before"
  if [ "$notice" = none ]; then
    is "${how#throw} $case: no notice" "$told" "notices none"
  else
    is "${how#throw} $case: notice" "$told" "notices $notice=$count"
  fi
}
expect() { expect_with throw "$@"; }
expect6() { expect_with throw6 "$@"; }

n=$count
expect good "forwarded=$n" none
expect options "forwarded=$n" none
expect trailer "forwarded=$n" none
expect no-udp-checksum "forwarded=$n" none
expect hop-limit-1 "forwarded=$n" none
# Heard, but sent to another station: a TAP port hears everything.
expect good "foreign_mac=$n" none --router-mac 02:77:00:00:00:99
expect cut-in-ip "truncated=$n" none
expect cut-in-udp "truncated=$n" none
expect cut-in-envelope "bad_ip_header=$n" none
expect cut-in-payload "bad_ip_header=$n" none
expect short-datagram "truncated=$n" none
expect ip-length-beyond "bad_ip_header=$n" none
expect ip-header-length "bad_ip_header=$n" none
expect ip-checksum "bad_ip_checksum=$n" none
expect first-fragment "fragment=$n" none
# Without its first fragment nobody can tell what it belongs to: the kernel's.
expect later-fragment "to_host=$n" none
expect udp-length-beyond "bad_udp_length=$n" none
expect udp-length-short "bad_udp_length=$n" none
expect version-0 "bad_version=$n" none
expect version-2 "bad_version=$n" none
expect header-short "bad_header_length=$n" none
expect header-beyond "bad_header_length=$n" none
expect payload-length-beyond "bad_payload_length=$n" none
expect unknown-type "unknown_type=$n" none
expect type-reply "type_not_allowed=$n" none
expect type-resolve-reply "type_not_allowed=$n" none
expect type-notice "type_not_allowed=$n" none
expect type-link-probe "type_not_allowed=$n" none
expect reserved-flag "reserved_bits=$n" none
expect reason-in-data "reserved_bits=$n" none
expect hop-limit-0 "hop_limit=$n" hop_limit
expect silent "hop_limit=$n" none
expect expired "expired=$n" expired
expect spoofed-source "source_denied=$n" source_denied
expect foreign-tenant "source_denied=$n" source_denied
expect good "tenant_denied=$n" tenant_denied --destination "$eve"
expect unknown-destination "hold_expired=$n" unknown_destination
# It is known to be unknown now, for a while.
expect unknown-destination "unknown_destination=$n" unknown_destination

expect6 good "forwarded=$n" none
expect6 good "foreign_mac=$n" none --router-mac 02:77:00:00:00:99
expect6 no-udp-checksum "no_udp_checksum=$n" none
expect6 ip-length-beyond "bad_ip_header=$n" none
expect6 udp-length-beyond "bad_udp_length=$n" none
expect6 version-2 "bad_version=$n" none
expect6 hop-limit-0 "hop_limit=$n" hop_limit
expect6 spoofed-source "source_denied=$n" source_denied

# More to one unknown agent than may wait, once it may be asked for again.
throw --case spoofed-port --wait 0.5 --expect "$n"
is "who is told of a spoofed source is the one who sent it" "$told" "notices none"
count=6
throw --case good --wait 3 --expect 6 --destination 00000000-0000-8000-8000-00000000abcd
is "more than may wait: the rest is told at once, the others later" "$told" "notices congested=2 unknown_destination=4"
is "counted as" "$(dropped hold_full)" 2

# The agent's neighbour is gone, and the port: two reasons why it cannot be reached.
ip -n h2 link set dev wire2 down
ip neighbour replace 10.77.2.2 dev sl-p2 nud failed
wait_for 10 reach_is bob down
count=3
expect good "adjacency_down=$n" unreachable
ip -n h2 link set dev wire2 up
in_host h2 ping -q -c 1 -W 2 10.77.2.1 >"$work/out"
wait_for 10 reach_is bob up
expect good "forwarded=$n" none

ask agent add "$(agent nowhere)" 192.0.2.99:7601 --tenant 1 >"$work/out"
wait_for 5 reach_is nowhere no_route
expect good "unreachable=$n" unreachable --destination "$(get .id agent show "$(agent nowhere)")"

wait_for 5 accounted
is "every message is accounted for" "$(unaccounted_of r)" 0
note "$(all_drops)"
check "no buffer is lost" wait_for 5 no_leak "$buffers"
is "nothing waits any more" "$(get .dataplane.tables.held status)" 0
stop bob
is "what was good arrived" "$(report bob .received)" $((7 * n))
stop eve
is "and nothing of another tenant" "$(report eve .received)" 0
finish
