#!/usr/bin/env bash
# What cannot start says why, what to do, and ends with status 1; what is there already is not disturbed. (The machine's
# own reasons, one by one: tests/integration/dataplane/refusals.sh.)
# shellcheck source=tests/e2e/router.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/router.sh"

changed() { sed "$1" "$work/r.yaml" >"$work/changed.yaml"; }

write_router r <<<"$two_ports"
changed "s/workers: .*/workers: [77]/"
check "no such core" refused 'no core 77.*dataplane\.workers' "$dataplane" --config "$work/changed.yaml"
changed "s/net_tap1,iface=wire1/0000:ff:1f.7/"
check "no such device" refused 'no PCI device 0000:ff:1f\.7' "$dataplane" --config "$work/changed.yaml"
changed "s/mbufs: .*/mbufs: 1048576/"
check "memory that does not suffice" refused 'MiB needed.*dataplane\.memory-mb' \
  "$dataplane" --config "$work/changed.yaml"
changed "s/memory-mb: .*/memory-mb: 900000/; s/mbufs: .*/mbufs: 16000000/"
check "memory that the machine has not" refused 'MiB needed, [0-9]+ MiB available' \
  "$dataplane" --config "$work/changed.yaml"
for program in "$dataplane" "$controlplane"; do
  name=$(basename "$program")
  check "$name: no configuration" refused '/nowhere\.yaml' "$program" --config /nowhere.yaml
  check "$name: a folder as configuration" refused "$work" "$program" --config "$work"
  head -c 2000 /bin/ls >"$work/binary.yaml"
  check "$name: a configuration that is none" refused 'binary\.yaml' "$program" --config "$work/binary.yaml"
  changed "s/burst: 1/&/; s/idle: adaptive/idle: sometimes/"
  check "$name: a mistake, with line and column" refused "changed\.yaml:4:9: dataplane\.idle" \
    "$program" --config "$work/changed.yaml"
done

start_router r 1 2
instance=$(get .dataplane.instance status)
check "a second dataplane on the same run-dir" refused 'already|another|second' "$dataplane" --config "$work/r.yaml"
check "a second control plane" refused 'already|another|second|running' "$controlplane" --config "$work/r.yaml"
changed 's|state-dir: [^}]*|state-dir: /run/other|'
check "a second control plane with another state-dir" refused 'already|another|second|running' \
  "$controlplane" --config "$work/changed.yaml"
check "the first ones are not disturbed" is_ready r
is "and are the same" "$(get .dataplane.instance status)" "$instance"
check "messages flow" ping_as h1 alice 10.77.1.1 router/r --count 3

# Connected over the run-dir, but without the host interfaces in its sight.
stop r-cp
host elsewhere
start_in elsewhere r-cp "$controlplane" --config "$work/r.yaml"
check "a control plane in another network namespace says so" poll 10 logged r-cp \
  'event=host_interface_missing port=.*remedy="run both processes in one network namespace'
finish
