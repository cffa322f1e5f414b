# shellcheck shell=bash
# Sourced first by the scenarios of this folder, after which tests/support/netns.sh is there as well. Routers (the
# control plane alone, no dataplane) and serf agents, each on a host of its own, cables to one switch that can be split.
# shellcheck source=tests/support/netns.sh
. "$(dirname "$0")/../support/netns.sh"

controlplane=$(program sluice-controlplane)
sluice=$(program sluice)
command -v serf >/dev/null || { echo '1..0 # SKIP the Debian package serf is not installed'; finished=yes; exit 0; }

ip link add east type bridge
ip link set east up
ip link add west type bridge
ip link set west up

# Quick enough for a test, slow enough for a busy machine.
times='profile: local, probe-interval-ms: 500, probe-timeout-ms: 250, push-pull-interval-s: 3'

# place NAME NUMBER: a host at 10.66.0.NUMBER, on the east side.
place() {
  host "$1"
  veth "$1" eth0 - "to-$1"
  configure_link "$1" eth0 "10.66.0.$2/24"
  move "$1" east
}
move() { ip link set "to-$1" master "$2"; }

# write_router NAME NUMBER [MORE]: configuration; MORE is put into the section cluster, "key: value, ...".
write_router() {
  mkdir -p "$work/$1/run" "$work/$1/state"
  cat >"$work/$1.yaml" <<YAML
router: {name: $1, run-dir: $work/$1/run, state-dir: $work/$1/state}
dataplane: {workers: [1]}
ports: [{name: none, device: net_null0}]
metrics: {listen: off}
cluster: {bind: 10.66.0.$2, $times${3:+, $3}}
YAML
}
# once_more NAME PATTERN COMMAND...: runs it, and waits until the log says so once more than before.
once_more() {
  local name=$1 pattern=$2 before
  shift 2
  before=$(times_logged "$name" "$pattern")
  "$@"
  wait_for 20 logged_more "$name" "$pattern" "$before"
}
times_logged() { grep -cE -- "$2" "$work/$1.log" 2>/dev/null || true; }
logged_more() { [ "$(times_logged "$1" "$2")" -gt "${3:-0}" ]; }
start_router() { once_more "$1" event=started start_in "$1" "$1" "$controlplane" --config "$work/$1.yaml"; }
# on ROUTER COMMAND...: the sluice command.
on() {
  local router=$1
  shift
  "$sluice" --socket "$work/$router/run/api.sock" "$@"
}
# start_serf NAME NUMBER [OPTION...]
start_serf() {
  local name=$1 number=$2
  shift 2
  once_more "$name" 'Serf agent running' start_in "$name" "$name" serf agent -node="$name" \
    -bind="10.66.0.$number:7946" -rpc-addr=127.0.0.1:7373 -profile=local -log-level=info "$@"
}
on_serf() {
  local name=$1
  shift
  in_host "$name" serf "$@"
}

# What VIEWER, a router or a serf agent, says of NODE: alive, suspect, dead, left; serf says failed for dead.
state_at() {
  local viewer=$1 node=$2
  if [ -f "$work/$viewer.yaml" ]; then
    on "$viewer" node list --json | jq -r ".nodes[] | select(.name == \"$node\") | .state" | sed 's/^node_//'
  else
    on_serf "$viewer" members -format=json | jq -r ".members[] | select(.name == \"$node\") | .status" |
      sed 's/^failed$/dead/'
  fi
}
# agreed STATE NODE VIEWER...: all of them say so. A router forgets the dead and the left in time: it may not know it
# any more, when another needs longer.
agreed() {
  local state=$1 node=$2 viewer seen
  shift 2
  for viewer in "$@"; do
    seen=$(state_at "$viewer" "$node")
    [ "$seen" != '' ] || [ "$state" = alive ] || continue
    [ "$seen" = "$state" ] || { echo "$viewer: $node is '$seen'"; return 1; }
  done
}
# all_alive NODE...: every one of them sees every one of them alive.
all_alive() {
  local node
  for node in "$@"; do agreed alive "$node" "$@" || return 1; done
}
# doubted ROUTER NODE COMMAND...: runs it, and the router suspects the node thereupon. Told by its log: the state itself
# passes.
doubted() {
  local router=$1 node=$2
  shift 2
  once_more "$router" "event=cluster_suspected member=$node( |\$)" "$@"
}
tag_at() { # VIEWER NODE KEY
  if [ -f "$work/$1.yaml" ]; then
    on "$1" node show "$2" --json | jq -r ".nodes[0].tags[] | select(.key == \"$3\") | .value"
  else
    on_serf "$1" members -format=json | jq -r ".members[] | select(.name == \"$2\") | .tags.$3"
  fi
}
# start_peer NAME NUMBER [OPTION...]: a member made with the Go library (peer/main.go), which obeys `tell NAME WORD...`.
start_peer() {
  local name=$1 number=$2
  shift 2
  if [ ! -x "$work/peer" ]; then
    # What the compiler made of the libraries is kept from run to run.
    (cd "$source_root/tests/interop/peer" &&
      GO111MODULE=off GOFLAGS='' GOPATH=/usr/share/gocode GOCACHE="$build/meson-private/gocache" \
        go build -o "$work/peer" .)
  fi
  [ -p "$work/$name.in" ] || mkfifo "$work/$name.in"
  once_more "$name" '^ready' run_peer "$name" -name "$name" -bind "10.66.0.$number" "$@"
}
# Its input is opened both ways at both ends, so that nobody waits for the other nor ever sees an end.
run_peer() {
  local name=$1
  shift
  ip netns exec "$name" "$work/peer" "$@" >>"$work/$name.log" 2>&1 0<>"$work/$name.in" &
  pid_of[$name]=$!
}
tell() {
  local name=$1
  shift
  echo "$*" 1<>"$work/$name.in"
}
# peer_view NAME: who is alive for it.
peer_view() {
  once_more "$1" '^end' tell "$1" members &&
    tac "$work/$1.log" | awk '/^end/ {n++} n == 1 && /^member/ {print $2} n == 2 {exit}'
}
# peer_sees NAME COUNT: so many members are alive for it.
peer_sees() { [ "$(peer_view "$1" | wc -l)" = "$2" ]; }
# no_errors SERF...: nothing in their logs that is an error. Peers that were killed or cut off cannot be reached: that
# is not ours. Nor is a socket that serf itself has closed, under a ping of its own at its end.
no_errors() {
  local name lost='network is unreachable|connection reset by peer|use of closed network connection'
  for name in "$@"; do
    ! grep -E '\[ERR\]' "$work/$name.log" |
      grep -vE "connect: (connection refused|no route to host)|i/o timeout|Failed fallback ping|$lost" || return 1
  done
}
