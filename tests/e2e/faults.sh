#!/usr/bin/env bash
# Either process killed at any moment, under load: without the control plane not one message is lost, however often it
# is killed; without the dataplane the control plane says so at once, and everything works again without help when it
# returns, agents that registered in-band included. A dataplane that no control plane has programmed forwards what
# belongs to the kernel and says what it does with messages.
#
#   KILLS=20 RATE=2000   how often the control plane is killed, and messages per second meanwhile
# shellcheck source=tests/e2e/router.sh disable=SC2317  # functions are called by name
. "$(dirname "$0")/router.sh"
kills=${KILLS:-20}
rate=${RATE:-2000}

write_router r <<<"$two_ports"
start_dataplane r
plug 1
plug 2

# ---- No control plane: the kernel's traffic flows once somebody gives it addresses; messages do not.
configure_link - sl-p1 10.77.1.1/24
check "without a control plane host traffic flows" in_host h1 ping -q -c 2 -i 0.1 -W 2 10.77.1.1
check "and the dataplane says that it is alone" logged r-dp 'event=no_control_plane'
in_host h1 /usr/bin/python3 "$wire_tool" bad wire1 --case good --count 5 --wait 0 \
  --router-mac "$(cat /sys/class/net/sl-p1/address)" --from 10.77.1.2:9000 --to 10.77.1.1:7600 \
  --source 00000000-0000-8000-8000-000000000001 \
  --destination 00000000-0000-8000-8000-000000000002 >"$work/out"
start_controlplane r
is "messages of that time were dropped and counted" "$(all_drops)" "no_route_table=5"
buffers=$(mbufs_free)

# ---- The control plane killed under load.
# More than all kills take: the sender is stopped when they are done.
listen_as h2 bob 10.77.2.1
listen_as h1 carol 10.77.1.1
bob_id=$(get .id agent show "$(agent bob)")
start_send h1 alice 10.77.1.1 bob --count 10000000 --rate "$rate" --notify
start_send h2 dave 10.77.2.1 carol --count 10000000 --rate "$rate" --notify
wait_for 10 gets true ".ports | all(.counters.forwarded > $rate)" stats
begin=$(date +%s%N)
slowest=0
back_early=0
for ((i = 0; i < kills; i++)); do
  # At every phase of its life: while it starts, connects, synchronises, and when it is ready.
  kill9 r-cp
  back=$(date +%s%N)
  start r-cp "$controlplane" --config "$work/r.yaml"
  case $((i % 4)) in
    0) ;;
    1) poll 5 test -S /run/r/api.sock || true ;;
    2 | 3)
      poll 5 is_ready r || true
      took=$((($(date +%s%N) - back) / 1000000))
      [ "$took" -le "$slowest" ] || slowest=$took
      ;;
  esac
  [ $((i % 4)) -ge 2 ] || back_early=$((back_early + 1))
done
wait_ready r
note "$kills kills in $((($(date +%s%N) - begin) / 1000000)) ms, $back_early of them before it was ready"
note "ready again after $slowest ms at most"
check "the agents are still known: their leases were not forgotten" wait_for 20 gets 4 .registry.agents status
stop alice
stop dave
sent_to_bob=$(report alice .sent)
sent_to_carol=$(report dave .sent)
wait_for 5 accounted
stop bob
stop carol
is "$kills kills under load: messages to bob lost" "$((sent_to_bob - $(report bob .received)))" 0
is "$kills kills under load: messages to carol lost" "$((sent_to_carol - $(report carol .received)))" 0
is "no notice came" "$(report alice '.notices | length')$(report dave '.notices | length')" 00
is "nothing else was dropped" "$(all_drops)" "no_route_table=5"
lost=$((sent_to_bob - $(report bob .received) + sent_to_carol - $(report carol .received)))
note "$((sent_to_bob + sent_to_carol)) messages sent, $lost lost"
check "no buffer is lost" wait_for 5 no_leak "$buffers"

# ---- The dataplane killed under load.
listen_as h2 bob 10.77.2.1
listen_as h1 carol 10.77.1.1
start_send h1 alice 10.77.1.1 bob --count 10000000 --rate "$rate"
wait_for 10 gets true '.ports[0].counters.forwarded > 1000' stats
before=$(date +%s%N)
kill9 r-dp
check "the control plane notices at once" poll 1 gets disconnected .link.state status
noticed=$((($(date +%s%N) - before) / 1000000))
check "and says why" bash -c "'$sluice' --socket /run/r/api.sock status | grep -q 'not connected'"
check "its log says so" logged r-cp 'event=link_lost'
is "the agents are not forgotten" "$(get .registry.agents status)" 3
start_dataplane r
plug 1
plug 2
wait_ready r
ready=$((($(date +%s%N) - before) / 1000000))
forwards() { [ "$(counted forwarded)" -gt 100 ]; }
check "messages flow again without help" wait_for 10 forwards
flow=$((($(date +%s%N) - before) / 1000000))
note "dataplane killed: noticed after $noticed ms, programmed again after $ready ms, messages flow after $flow ms"
check "the same agent answers" ping_as h1 erin 10.77.1.1 carol --count 5
is "bob has the id he had" "$(get .id agent show "$(agent bob)")" "$bob_id"
enough() { [ "$(counted forwarded)" -gt 700 ]; }
wait_for 10 enough
stop alice
note "sender: $(report alice .sent) sent, $(report alice .errors) errors while the router was away"
stop bob
check "and gets them" test "$(report bob .received)" -gt 500
stop carol
wait_for 5 accounted
is "every message since is accounted for" "$(unaccounted_of r)" 0
finish
