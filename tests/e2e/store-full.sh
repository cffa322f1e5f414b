#!/usr/bin/env bash
# The disk of the store becomes full (store-start-full: it is so at the start): new agents are refused and told why,
# known ones are served and renewed, status and metrics say so; with room again everything goes on by itself, and
# nothing that was confirmed is lost.
# shellcheck source=tests/e2e/router.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/router.sh"

mkdir "$work/disk"
mount -t tmpfs -o size=24m,mode=755 tmpfs "$work/disk"
write_router r <<YAML
$two_ports
leases: {default-s: 2, min-s: 1, grace-s: 1}
store: {directory: $work/disk/store, overlay-mb: 1}
YAML
start_router r 1 2
listen_as h2 bob 10.77.2.1
is "the store is well" "$(get .store.error status)" ""

# Of another tenant, for a deletion.
for i in {1..400}; do ask agent add "$(agent "other$i")" "10.77.1.9:$i" --tenant 2 >"$work/out"; done
others() { get '[.agents[]? | select(.tenant == 2)] | length' agent list --tenant 2; }

failing() { [ -n "$(get .store.error status)" ]; }
dd if=/dev/zero of="$work/disk/filler" bs=64k 2>"$work/out" || true
# The log has some room of its own, which eight kilobytes an agent use up.
large=()
for i in {10..39}; do large+=(--capability "filler$i/$(printf 'x%.0s' {1..240})"); done
n=0
more() {
  n=$((n + 1))
  ask agent add "$(agent "filler$n")" "10.77.1.9:$((7000 + n))" --tenant 1 "$@" >"$work/out" 2>&1 || true
}
until failing || [ "$n" -gt 400 ]; do more "${large[@]}"; done
# What is left of pages and of files that were given up is used up by small ones, until it stays so.
stays_full() {
  for _ in {1..30}; do
    failing || return 1
    sleep 0.1
  done
}
until stays_full || [ "$n" -gt 800 ]; do
  dd if=/dev/zero of="$work/disk/filler$n" bs=4k 2>"$work/out" || true
  until failing || [ "$n" -gt 800 ]; do more; done
done
note "full after $n agents"
check "a full disk is noticed" failing
check "status names it" bash -c \
  "'$sluice' --socket /run/r/api.sock status | grep -qiE 'store +failing for .*(space|full)'"
check "so does the log" logged r-cp 'event=store_failed .*remedy='
status=0
ask agent add "$(agent late)" 10.77.1.9:9 --tenant 1 >"$work/said" 2>&1 || status=$?
is "an agent cannot be added" "$status" 1
check "and it is said why" grep -qiE 'space|full' "$work/said"
is "nor is it there" "$(get "[.agents[]? | select(.name == \"$(agent late)\")] | length" agent list)" 0
status=0
options carol 10.77.1.1
in_host h1 timeout 10 "$sluice" listen "${given[@]}" --timeout 1 >"$work/said" 2>&1 || status=$?
is "an agent cannot register" "$status" 1
check "and is told why" grep -qE 'cannot keep it over a restart' "$work/said"
check "nothing can be deleted, and it says why and what to do" \
  refused 'nothing was deleted, all 400 agents of tenant 2 are left; do it again when .*: .*([Ss]pace|full)' \
  ask store delete --tenant 2 --yes
is "nor was it" "$(others)" 400
renewed() { get .renewed_ns agent show "$(agent bob)"; }
before=$(renewed)
has_renewed() { [ "$(renewed)" -gt "$before" ]; }
check "known agents are renewed" wait_for 5 has_renewed
metric() { curl -s http://127.0.0.1:9464/metrics | awk -v name="$1" '$1 == name {print $2}'; }
is "the metric says so" "$(metric sluice_store_failing)" 1
told() { grep -c "event=$1" "$work/r-cp.log" || true; }
is "told once for each time" "$(told store_failed)" $(($(told store_works) + 1))

works() { ! failing; }
# Room for what waits, and not for a deletion.
for _ in {1..40}; do
  truncate -s -4096 "$work/disk/filler"
  if poll 1 works; then break; fi
done
wanted='deleted in part: 0 agents .*; 400 more agents are deleted, but .*; 0 agents are left; .*: .*([Ss]pace|full)'
check "a deletion in part says what it has done" refused "$wanted" ask store delete --tenant 2 --yes
rm "$work"/disk/filler*
check "with room again it works by itself" wait_for 10 works
check "and says so" logged r-cp 'event=store_works'
waiting_none() { gets 0 .store.waiting status; }
check "nothing is owed" wait_for 5 waiting_none
listen_as h1 carol 10.77.1.1
is "agents register again" "$(get .origin agent show "$(agent carol)")" registered
kill9 r-cp
start_controlplane r
both=$(get .origin agent show "$(agent carol)")/$(get .origin agent show "$(agent bob)")
is "and survive" "$both" registered/registered
is "what was deleted in part is gone" "$(others)" 0

finish
