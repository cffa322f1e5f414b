# shellcheck shell=bash
# shellcheck disable=SC2154  # work is cluster.sh's
# Keys of an encrypted cluster, for the scenarios of this folder; sourced after cluster.sh.

keys_of() { grep -v '^#' "$work/$1/state/cluster.keys"; }
# fingerprints ROUTER FILTER: of the keys in its list for which jq's filter holds.
fingerprints() { on "$1" cluster keys list --json | jq -r ".keys[] | select($2) | .fingerprint"; }
# key_known ROUTER FINGERPRINT COUNT: it sees so many routers that have the key; key_used: that use it.
key_known() { key_counts "$1" "$2" routers "$3"; }
key_used() { key_counts "$1" "$2" primary "$3"; }
key_counts() {
  [ "$(on "$1" cluster keys list --json | jq ".keys[] | select(.fingerprint == \"$2\") | .$3")" = "$4" ]
}
# key_gone FINGERPRINT ROUTER...
key_gone() {
  local fingerprint=$1 router
  shift
  for router in "$@"; do
    [ -z "$(fingerprints "$router" "$(printf '.fingerprint == "%s"' "$fingerprint")")" ] || return 1
  done
}
# ordered STEP FINGERPRINT CONDITION...: the order is given once, to the first router that has the key; who is passed by
# in the gossip hears it again from that one.
ordered() {
  local step=$1 fingerprint=$2 router
  shift 2
  for router in r2 r1 r3; do
    ! on "$router" cluster keys "$step" "$fingerprint" --others-done >/dev/null || break
  done
  poll 20 "$@"
}
# serf_key STEP KEY SERF...: "serf keys" on each. It reports an error, because the routers do not answer its query, and
# does it all the same.
serf_key() {
  local step=$1 key=$2 name
  shift 2
  for name in "$@"; do on_serf "$name" keys "-$step=$key" >/dev/null || true; done
}
