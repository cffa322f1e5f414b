#!/usr/bin/env bash
# The disk of the router's state is full, or read-only, when it starts: it serves all that the store has, to a dataplane
# that starts anew, too; refuses what it could not keep, and says so; with room again it goes on by itself. What is no
# matter of room is refused at the start.
# shellcheck source=tests/e2e/router.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/router.sh"

state=/run/r/state
mkdir -p "$state"
mount -t tmpfs -o size=8m,mode=755 tmpfs "$state"
# Without fsync per write the log reserves no room, of which an opening would live.
write_router r <<YAML
$two_ports
store: {overlay-mb: 1, fsync: interval}
YAML
start_router r 1 2
listen_as h2 bob 10.77.2.1 --capability e2e/echo
ask agent add "$(agent printer)" 10.77.1.2:7999 --tenant 2 >"$work/out"
ask peer add router-x 10.77.2.9 >"$work/out"
start_send h1 alice 10.77.1.1 bob --count 10000000 --rate 500 --notify

failing() { [ -n "$(get .store.error status)" ]; }
works() { ! failing; }
who() { get '[.agents[]? | "\(.name | split("/")[2]) \(.origin)"] | sort | join(", ")' agent list; }
metric() { curl -s http://127.0.0.1:9464/metrics | awk -v name="$1" '$1 == name {print $2}'; }
# Messages of alice reach bob.
flows() {
  local at
  at=$(counted forwarded)
  farther() { [ "$(counted forwarded)" -gt $((at + 200)) ]; }
  wait_for 10 farther
}
told() { grep -c "event=$1" "$work/r-cp.log" || true; }
fill() {
  dd if=/dev/zero of="$state/filler" bs=64k 2>"$work/out" || true
  dd if=/dev/zero of="$state/filler-" bs=4k 2>"$work/out" || true
  is "the disk is full" "$(df --output=avail "$state" | tail -n 1 | tr -d ' ')" 0
}
crash_and_start() {
  kill9 r-cp
  start_controlplane r
}
# nothing_new WHAT TEXT: agents are refused, and the status says why.
nothing_new() {
  check "$1: status says so" bash -c "'$sluice' --socket /run/r/api.sock status | grep -qE 'store +failing for .*$2'"
  check "$1: so does the status of the store" bash -c \
    "'$sluice' --socket /run/r/api.sock store status | grep -qE 'failing for .*$2'"
  is "$1: and the metric" "$(metric sluice_store_failing)" 1
  check "$1: no agent can be added" refused "$2" ask agent add "$(agent late)" 10.77.1.9:9 --tenant 1
  options dave 10.77.1.1
  check "$1: none registers, and is told why" refused 'cannot keep it over a restart' \
    in_host h1 timeout 10 "$sluice" listen "${given[@]}" --timeout 1
}

# ---- Full, after a power cut: both processes start on what is there.
check "with room alice's messages reach bob" flows
before=$(who)
kill9 r-cp
kill9 r-dp
fill
start_dataplane r
plug 1
plug 2
start_controlplane r
is "full: everybody is there" "$(who)" "$before"
is "full: with what they can do" "$(get '.capabilities | join(" ")' agent show "$(agent bob)")" e2e/echo
is "full: the peer, too" "$(get '[.peers[].name] | join(" ")' peer list)" router-x
check "full: the new dataplane has the routes" flows
nothing_new full 'No space left on device'
check "full: the log says so, and what to do" logged r-cp 'event=store_failed .*No space left.*remedy='
crash_and_start
is "full: so it is after every start" "$(who)" "$before"
check "full: the store can be verified" ask store verify
check "full: and backed up to another disk" ask store backup "$work/backup-full"
stop r-cp
start_controlplane r
is "full: and after an orderly stop" "$(who)" "$before"
check "full: it still refuses" failing
is "full: told once for each start" "$(told store_failed)" 3

rm "$state"/filler*
check "with room again it works by itself" wait_for 10 works
check "and says so" logged r-cp 'event=store_works'
listen_as h1 carol 10.77.1.1
check "a new agent is reached" ping_as h2 erin 10.77.2.1 carol --count 3
now=$(who)
crash_and_start
is "and all survive" "$(who)" "$now"
check "with nothing wrong in the store" ask store verify

# ---- Read-only.
kill9 r-cp
mount -o remount,ro "$state"
sum_of() { find "$state" -type f -exec sha256sum {} + | sort -k 2; }
sum=$(sum_of)
start_controlplane r
is "read-only: everybody is there" "$(who)" "$now"
nothing_new read-only 'mounted read-only'
check "read-only: the agents are reached" flows
check "read-only: --check passes it" "$controlplane" --check --config "$work/r.yaml"
sed -e "s|run-dir: [^,]*, state-dir: [^}]*|run-dir: $state, state-dir: $state/new|" "$work/r.yaml" >"$work/new.yaml"
for key in run-dir state-dir; do
  check "read-only: --check does not pass it as $key" refused \
    "router.$key: .* Read-only file system; mount its file system for writing" \
    "$controlplane" --check --config "$work/new.yaml"
done
sed -e 's|run-dir: [^,]*, state-dir: [^}]*|run-dir: /run/other, state-dir: /run/other/state|' \
  -e "s|^store: {|&directory: $state/store, |" "$work/r.yaml" >"$work/other.yaml"
echo 'metrics: {listen: off}' >>"$work/other.yaml"
check "read-only: it has one owner" refused 'store: .* has this store open' "$controlplane" --config "$work/other.yaml"
check "read-only: of the state folder, too" refused 'another control plane uses' \
  "$controlplane" --config "$work/r.yaml"
check "read-only: the store can be verified" ask store verify
check "read-only: and backed up to another disk" ask store backup "$work/backup"
check "read-only: but not to its own" refused 'mounted read-only' ask store backup "$state/backup"
is "read-only: nothing changes" "$(sum_of)" "$sum"
mount -o remount,rw "$state"
check "writable again it works by itself" wait_for 10 works
check "read-only: the owner stays the only one" refused 'store: .* has this store open' \
  "$controlplane" --config "$work/other.yaml"
ask agent add "$(agent late)" 10.77.1.9:9 --tenant 1 >"$work/out"
late=$(who)
crash_and_start
is "and all survive" "$(who)" "$late"

# ---- What was backed up meanwhile is whole.
stop r-cp
for backup in backup-full backup; do
  check "$backup has no damage" "$sluice" store verify --directory "$work/$backup"
done
check "it can be restored" "$sluice" --config "$work/r.yaml" store restore "$work/backup" --replace
mount -o remount,ro "$state"
start_controlplane r
is "served from a read-only disk that nobody had open, it has everybody" "$(who)" "$now"
check "with one owner" refused 'store: .* has this store open' "$controlplane" --config "$work/other.yaml"
mount -o remount,rw "$state"
check "it takes writes when the disk does" wait_for 10 works
check "and has the one owner" refused 'store: .* has this store open' "$controlplane" --config "$work/other.yaml"

# ---- Nothing to serve, or no matter of room: refused, with what to do.
stop r-cp
mkdir "$work/small"
mount -t tmpfs -o size=64k,mode=755 tmpfs "$work/small"
sed -i "s|$state/store|$work/small/store|" "$work/other.yaml"
dd if=/dev/zero of="$work/small/filler" bs=4k 2>"$work/out" || true
check "a new store needs room" refused "store: .*$work/small/store.*No space left.*make room on the file system of" \
  "$controlplane" --config "$work/other.yaml"
mount -o remount,ro "$work/small"
check "and a disk that can be written" refused "store: .*$work/small/store.*read-only.*for writing" \
  "$controlplane" --config "$work/other.yaml"
mount -o remount,rw "$work/small"
rm -r "$work/small/filler" "$work/small/store"
touch "$work/small/store"
check "a file is no folder" refused "store.directory: .*$work/small/store.* is no folder" \
  "$controlplane" --config "$work/other.yaml"
finish
