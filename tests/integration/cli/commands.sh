#!/usr/bin/env bash
# The `sluice` command against a real control plane and a real dataplane: every command, as text and as JSON, its
# errors, completion in a real shell, and the agent's side over software ports.
# Functions are called by check and wait_for, quoted programs are for a shell of their own:
# shellcheck disable=SC2016,SC2317
# shellcheck source=tests/support/netns.sh
. "$(dirname "$0")/../../support/netns.sh"

sluice=$(program sluice)
core=$(taskset -cp $$ | sed 's/.*[ ,-]//')
config=$work/r.yaml
api=/run/r/api.sock
cat >"$config" <<YAML
router: {name: r, run-dir: /run/r, state-dir: /run/r/state}
dataplane: {workers: [$core], idle: adaptive, huge-pages: off, memory-mb: 192, mbufs: 16384, routes: 16384}
ports:
  - {name: p1, device: "net_tap1,iface=wire1", addresses: [10.77.1.1/24]}
  - {name: p2, device: "net_tap2,iface=wire2", addresses: [10.77.2.1/24]}
tenants:
  - {id: 1, name: one, token-key: 00112233445566778899aabbccddeeff}
YAML
translate=acme/prod/translate/7

ask() { "$sluice" --config "$config" "$@"; }
# says STATUS PATTERN COMMAND...: the exit status, and a pattern in what it printed on either stream.
says() {
  local wanted=$1 pattern=$2 status=0
  shift 2
  "$@" >"$work/.says" 2>&1 || status=$?
  cat "$work/.says"
  [ "$status" -eq "$wanted" ] && grep -qE -- "$pattern" "$work/.says"
}
# json FILTER COMMAND...: several values in one line.
json() {
  local filter=$1
  shift
  ask --json "$@" | jq -r "$filter" | paste -sd ' '
}

# ---- Without a control plane.
check "nothing runs: it says what to do" says 1 "cannot reach the control plane at $api: it is not running" ask status
check "a configuration is checked without anything running" says 0 good "$sluice" config check "$config"
check "and the usual one, too" says 0 'not compared with what is in effect: .* it is not running' ask config check
echo 'nonsense: 1' >"$work/wrong.yaml"
check "a wrong one is refused with its place" \
  says 1 'wrong.yaml:1:1: nonsense' "$sluice" config check "$work/wrong.yaml"
# What an estimate prints, in a file with the cores and ports of this machine.
estimated() {
  "$sluice" store estimate --agents 200k --capabilities 100 --hosts 1000 --mbufs 16384 --json >"$work/estimate.json"
  {
    jq -r .configuration.yaml "$work/estimate.json" | sed "s/^dataplane:/&\n  workers: [$core]\n  huge-pages: off/"
    sed -n '/^ports:/,/^tenants:/p' "$config" | sed '$d'
  } >"$work/estimated.yaml"
  cat "$work/estimated.yaml"
}
check "the configuration of an estimate" estimated
check "it is a good one" says 0 good "$sluice" config check "$work/estimated.yaml"
check "and its memory is enough for the dataplane" \
  says 0 'PASS  memory' "$(program sluice-dataplane)" --check --config "$work/estimated.yaml"
# --check names what a start would stumble over, and makes nothing.
ip tuntap add wire1 mode tap
check "an interface that is in the way is named" says 1 'FAIL  interfaces: ports\[0\].device: wire1 is there already' \
  "$(program sluice-dataplane)" --check --config "$config"
ip link delete dev wire1
check "and a good machine passes" says 0 'PASS  interfaces' "$(program sluice-dataplane)" --check --config "$config"
sed "s|run-dir: /run/r,|run-dir: $work/wrong.yaml/r,|" "$config" >"$work/no-folder.yaml"
check "a folder that cannot be made is named with its place" \
  says 1 "no-folder.yaml:1:[0-9]+: router.run-dir: '$work/wrong.yaml/r' cannot be made" \
  "$(program sluice-controlplane)" --check --config "$work/no-folder.yaml"
check "and by the dataplane" says 1 "FAIL  run-dir: $work/wrong.yaml is not a folder" \
  "$(program sluice-dataplane)" --check --config "$work/no-folder.yaml"
check "a good configuration passes" says 0 ': ok' "$(program sluice-controlplane)" --check --config "$config"
chmod 644 "$config"
check "a secret that others can read is warned of" says 0 'warning: .*/r.yaml:.*tenants\[0\].token-key: .*chmod 600' \
  "$(program sluice-controlplane)" --check --config "$config"
made_nothing() { [ ! -e /run/r ]; }
check "nothing was made by looking" made_nothing
check "unknown commands have near names" says 2 "Did you mean 'agent'" "$sluice" agnet
check "version" says 0 '^sluice [0-9]' "$sluice" version

# ---- With a control plane only.
start cp "$(program sluice-controlplane)" --config "$config"
wait_for 20 ask status
check "it is logged at the start, too" logged cp 'level=warning .*event=config_warning .*token-key'
chmod 600 "$config"
is "status without a dataplane" "$(json '.link.state, (.dataplane | type)' status)" "disconnected null"
for command in stats drops trace; do
  check "$command without a dataplane says so" says 1 'dataplane' ask "$command"
done
is "ports are listed as configured" "$(json '.ports[] | .name, .link_up' port list)" "p1 false p2 false"
check "status --wait gives up" says 1 'not connected' ask status --wait 200ms
check "add an agent" ask agent add $translate 10.77.1.2:7601 --tenant 1 --capability translate
check "adding it again is refused" says 1 'is there already' ask agent add $translate 10.77.1.2:7601 --tenant 1
is "it is listed" "$(json '.agents[] | .name, .endpoint, .capabilities[0], .tenant' agent list --tenant 1)" \
  "$translate 10.77.1.2:7601 translate 1"
is "and shown" "$(json .origin agent show $translate)" static
is "and resolved by what it offers" "$(json '.members[0].name' agent resolve translate)" $translate
check "unknown agents have near names" says 1 "did you mean '?$translate" ask agent show acme/prod/trnaslate/7
check "a token has 64 digits" says 0 '^[0-9a-f]{64}$' ask agent token $translate --tenant 1
check "tokens of unknown tenants are refused" says 1 'tenant' ask agent token $translate --tenant 9
check "lists of unknown tenants are refused, and name the known" \
  says 1 'no tenant 99; there is 1 \(one\)' ask agent list --tenant 99
check "so is what the store has of one" says 1 'no tenant 99; there is 1 \(one\)' ask store usage --tenant 99
is "nobody of a known one is no mistake" "$(json '.agents | length' agent list --tenant 1 --origin peer)" 0
check "add a peer" ask peer add r2 192.0.2.2
is "it is listed" "$(json '.peers[0] | .name, .address' peer list)" "r2 192.0.2.2:7600"
is "and has no agents, which is no mistake" "$(json '.agents | length' agent list --peer r2)" 0
check "lists of unknown peers are refused, and name the known" \
  says 1 "no peer 'r3'; there is r2" ask agent list --peer r3
check "delete it" ask peer delete r2
is "it is gone" "$(json '.peers | length' peer list)" 0
check "and so is the list of its agents" says 1 "no peer 'r2'; there are none" ask agent list --peer r2
is "a capability that nobody offers is no mistake" "$(json '.agents | length' agent list --capability none/such)" 0
check "lists of unknown ports are refused" says 1 "no port 'p9'" ask adjacency list --port p9
is "tenants are listed" "$(json '.tenants[0].name' tenant list)" one
is "routes are counted" "$(json .agents route count)" 1
check "config show" says 0 '^router:' ask config show
is "and as JSON" "$(json .router.name config show)" r
check "config reload without a change" says 0 'nothing changed' ask config reload
check "config check of the one in use" says 0 'good' ask config check
# The socket of root is closed to others.
check "others are refused with the remedy" says 1 'no permission; run it as root' \
  setpriv --reuid 65534 --regid 65534 --clear-groups "$sluice" --socket $api status

# ---- Completion in a real shell.
"$sluice" completion bash >"$work/completion.bash"
check "the completion script is bash" bash -n "$work/completion.bash"
completes() {
  PATH=$(dirname "$sluice"):$PATH bash -c '
    . "$1"
    COMP_LINE=$2 COMP_POINT=${#2}
    _sluice
    printf "%s\n" "${COMPREPLY[@]}"' - "$work/completion.bash" "$1" | paste -sd ' '
}
is "bash completes commands" "$(completes 'sluice adj')" adjacency
is "and agents the router knows" "$(completes "sluice --socket $api agent show ac")" $translate

# ---- With a dataplane, and agents on both sides.
start dp "$(program sluice-dataplane)" --config "$config"
# Not earlier: the wires must not move while the devices are still being set up.
wait_for 20 logged dp 'event=started'
for n in 1 2; do
  host "h$n"
  # The device's own link address is the router's.
  ip link set dev "wire$n" netns "h$n" address "02:77:00:00:00:0$n" txqueuelen 10000
  configure_link "h$n" "wire$n" "10.77.$n.2/24"
done
check "status --wait sees it become ready" ask status --wait 20
is "two ports" "$(json '.ports[].name' port list)" "p1 p2"
is "one port" "$(json '.ports[0].host_interface' port show p2)" sl-p2
check "unknown ports are refused" says 1 p9 ask port show p9
is "bash completes ports" "$(completes "sluice --socket $api port show p")" "p1 p2"

# as NAME ROUTER-ADDRESS: who an agent's command is, in $given.
as() {
  ask agent token "$1" --tenant 1 >"$work/${1//\//-}.token"
  given=(--name "$1" --tenant 1 --token-file "$work/${1//\//-}.token" --router "$2")
}
reach() { [ "$(json .reachability agent show t/t/in/1)" = up ]; }
traced() { [ "$(json '.workers[].traced | select(. > 0)' stats)" != "" ]; }

as t/t/in/1 10.77.2.1
start_in h2 listener bash -c 'file=$1; shift; exec "$@" >"$file"' - "$work/heard.json" \
  "$sluice" --json listen --count 5000 --timeout 60 --capability hear "${given[@]}"
wait_for 20 reach
as t/t/out/1 10.77.1.1
# The kernel may take longer to find a neighbour than messages wait for one: the counts below are of a path that works.
answered() { says 0 '1 answered' in_host h1 "$sluice" ping t/t/in/1 --count 1 "${given[@]}"; }
check "a first ping is answered" wait_for 20 answered
ask stats --clear >/dev/null
check "ping" says 0 '3 sent, 3 answered, 0 % lost' \
  in_host h1 "$sluice" ping t/t/in/1 --count 3 --interval 20ms "${given[@]}"
check "ping of the router itself" says 0 '1 answered' in_host h1 "$sluice" ping router/r --count 1 "${given[@]}"
start trace bash -c 'file=$1; shift; exec "$@" >"$file"' - "$work/trace.json" \
  "$sluice" --config "$config" --json trace --destination t/t/in/1 --timeout 30
# The trace may begin after the first message: that is why there are many.
in_host h1 "$sluice" --json send t/t/in/1 --count 4000 --rate 10k --size 100 --notify "${given[@]}" >"$work/sent.json"
is "all were sent" "$(jq .sent "$work/sent.json")" 4000
check "the rate is kept within 2 %" jq -e '.rate_per_second | . > 9800 and . < 10200' "$work/sent.json"
in_host h1 "$sluice" --json send hear --capability --count 1000 --rate 10k "${given[@]}" >"$work/shared.json"
wait_for 30 not alive listener
unset 'pid_of[listener]'
is "all were received, in order" \
  "$(jq -c '[.received, .lost, .reordered, .duplicates]' "$work/heard.json")" '[5000,0,0,0]'
wait_for 30 not alive trace
unset 'pid_of[trace]'
is "a message was traced" "$(jq -r '[.ingress_port, .egress_port, .verdict,
  .headers_before["message.hop_limit"], .headers_after["message.hop_limit"]] | join(" ")' "$work/trace.json")" \
  "p1 p2 forward 16 15"
check "and counted" traced
status=0
in_host h1 "$sluice" --json send t/t/nobody/1 --count 3 --wait-notices 3 "${given[@]}" >"$work/undelivered.json" ||
  status=$?
is "what was not delivered is a failure" "$status" 1
is "notices say why" "$(jq -c .notices "$work/undelivered.json")" '{"unknown destination":3}'
for command in status "agent list" "adjacency list" "port list" "neighbor list" stats drops "route count" \
  "route lookup $translate"; do
  # shellcheck disable=SC2086  # several words
  check "$command" ask $command
  # shellcheck disable=SC2086
  check "$command --json" json . $command
done
check "stats --watch has rates" says 0 'per second' ask stats --watch 200ms --samples 2
is "a drop is counted" "$(json '.ports[].drops[].reason' drops)" hold_expired
check "counters are cleared" ask stats --clear
cleared() { says 0 'nothing was dropped' ask drops; }
check "nothing was dropped since" wait_for 5 cleared
check "the agent is deleted" says 0 "deleted $translate" ask agent delete $translate
check "and unknown" says 1 "$translate" ask agent show $translate
stop dp
check "trace without the dataplane says so again" says 1 'dataplane' ask trace
stop cp
is "the control plane ended cleanly" "$exit_status" 0
finish
