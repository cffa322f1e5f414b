#!/usr/bin/env bash
# Agents with good tokens and bad intent: nobody becomes the router, or receives what is for another agent.
# shellcheck source=tests/e2e/router.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/router.sh"

write_router r <<<"$two_ports"
start_router r 1 2
check "the router answers" ping_as h1 pinger 10.77.1.1 router/r --count 2
router=$(get .router_id status)

# ---- The router's own id: registered, added, and as the name of a capability.
ask agent token "$router" --tenant 1 >"$work/router.token"
start_in h1 evil "$sluice" listen --id "$router" --tenant 1 --token-file "$work/router.token" --router 10.77.1.1
collect evil
check "the router's id cannot be registered" logged evil "this router's own"
check "nor added" not ask agent add "$router" 10.77.1.2:9999 --tenant 1
listen_as h1 evil 10.77.1.1 --capability router/r
check "the router still answers" ping_as h2 pinger 10.77.2.1 router/r --count 2
stop evil
is "and nobody else got that" "$(report evil .received)" 0
check "also when they are gone" ping_as h2 pinger 10.77.2.1 router/r --count 2

# ---- Addresses that no agent can have, or no other router.
# refused WHY COMMAND...: it fails and says so.
refused() {
  local why=$1
  shift
  not ask "$@" >"$work/said" 2>&1 && grep -q "$why" "$work/said"
}
for address in '10.77.1.1:9 own' '10.77.1.255:9 broadcast' '255.255.255.255:9 broadcast' '127.0.0.1:9 loopback' \
  '224.0.0.9:9 multicast' '0.0.0.0:9 unspecified' '[fd77:1::1]:9 own' '[ff02::9]:9 multicast'; do
  check "no agent is added at ${address% *}" \
    refused "${address#* }" agent add "$(agent none)" "${address% *}" --tenant 1
done
check "nor a peer at the router itself" refused own peer add mirror 10.77.1.1
check "the broadcast address of somebody else's network may be a host here" \
  ask agent add "$(agent far)" 192.0.2.255:9 --tenant 1
ask agent delete "$(agent far)" >"$work/out"

# ---- A capability with the name of an agent that is away.
listen_as h1 eve 10.77.1.1 --capability "$(agent carl)"
send_as h2 alice 10.77.2.1 carl --count 5 --wait-notices 2
is "messages for an agent that is away are undeliverable" \
  "$(report alice '.notices | tostring')" '{"unknown destination":5}'
options alice 10.77.2.1
in_host h2 "$sluice" send "$(agent carl)" --capability "${given[@]}" --count 2 >"$work/out"
wait_for 5 accounted
stop eve
is "who offers its name gets only what is for the capability" "$(report eve .received)" 2

check "all is accounted for" accounted
finish
