# shellcheck shell=bash
# Sourced by the scripts of this folder, by .ci/run and by tests: messages, progress, build directories.
# Needs bash; sets `root` (the top of the source tree) and `jobs`. Prints to stdout only what is for a person.
#
#   build/         the product and its tests, release       build-native/  the same with -march=native, for benchmarks
#   build-asan/    address and undefined sanitizers and     build-tsan/    thread sanitizer
#                  libFuzzer targets, clang 19

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() {
  printf '%s: error: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# Compilers here need up to 1.5 GB each: as many jobs as CPUs, fewer when memory is short.
build_jobs() {
  local cpus memory_mb by_memory
  cpus=$(nproc)
  memory_mb=$(awk '/^MemAvailable:/ {print int($2 / 1024)}' /proc/meminfo)
  by_memory=$((memory_mb / 1500))
  [ "$by_memory" -ge 1 ] || by_memory=1
  if [ "$cpus" -lt "$by_memory" ]; then echo "$cpus"; else echo "$by_memory"; fi
}
jobs=${SLUICE_JOBS:-$(build_jobs)}

# The same objects are found again from another clone of this tree.
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1

# with_progress LABEL LOG COMMAND...: runs COMMAND with all its output in LOG. After two seconds it shows the
# time and the last line of the log (on a terminal every second in place, else every 15 seconds a line). Ends
# with a line saying how long it took; on failure with the log's end. Returns COMMAND's status. Ctrl-C ends
# COMMAND and its children too. COMMAND is a program, not a shell function.
with_progress() {
  local label=$1 log=$2 pid status=0 begin=$SECONDS next=2 last
  shift 2
  mkdir -p "$(dirname "$log")"
  : >"$log"
  # In a process group of its own, so that all it started can be ended with it.
  setsid "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  trap 'kill -TERM -- "-$pid" 2>/dev/null; wait "$pid" 2>/dev/null; trap - INT TERM; exit 130' INT TERM
  while kill -0 "$pid" 2>/dev/null; do
    if [ $((SECONDS - begin)) -ge "$next" ]; then
      last=$(tail -c 400 "$log" | tr '\r' '\n' | tr -cd '[:print:]\n' | grep -v '^ *$' | tail -n 1)
      if [ -t 1 ]; then
        printf '\r\033[K%s: %d s  %.70s' "$label" $((SECONDS - begin)) "$last"
        next=$((SECONDS - begin + 1))
      else
        printf '%s: %d s  %.100s\n' "$label" $((SECONDS - begin)) "$last"
        next=$((SECONDS - begin + 15))
      fi
    fi
    sleep 0.2
  done
  wait "$pid" || status=$?
  trap - INT TERM
  [ ! -t 1 ] || printf '\r\033[K'
  if [ "$status" -eq 0 ]; then
    say "$label: done in $((SECONDS - begin)) s"
  else
    printf '%s: failed with status %d after %d s; the end of %s:\n' "$label" "$status" $((SECONDS - begin)) "$log" >&2
    tail -n 60 "$log" | sed 's/^/    /' >&2
  fi
  return "$status"
}

# setup_build DIR [meson options...]: makes DIR (relative to the tree) a configured build directory. An unusable one,
# or one that was configured with other options, is configured anew. CXX from the environment counts as an option.
setup_build() {
  local dir=$root/$1 stamp wanted
  shift
  stamp=$dir/.configured-with
  wanted="${CXX:-default} $*"
  if [ -f "$dir/build.ninja" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    # Again when a meson.build has changed.
    with_progress "configure $(basename "$dir")" "$dir/setup.log" flock "$dir/.lock" ninja -C "$dir" build.ninja
    return
  fi
  local wipe=()
  [ ! -d "$dir/meson-private" ] || wipe=(--wipe)
  mkdir -p "$dir"
  with_progress "configure $(basename "$dir")" "$dir.setup.log" \
    meson setup "${wipe[@]}" "$dir" "$root" "$@" || return 1
  mv "$dir.setup.log" "$dir/setup.log"
  printf '%s\n' "$wanted" >"$stamp"
}

# build_targets DIR [ninja targets...]: everything when no target is named. Two callers take turns.
build_targets() {
  local name=$1 dir=$root/$1
  shift
  with_progress "build $name" "$dir/build.log" flock "$dir/.lock" ninja -C "$dir" -j "$jobs" "$@"
}

# The build that people use, that tests run against and that quickstart starts: one set of options, one directory.
setup_product() { setup_build build; }
