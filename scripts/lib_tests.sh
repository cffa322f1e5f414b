# shellcheck shell=bash
# Sourced by scripts/test and .ci/run: runs tests of a build directory and adds up the cases.
# Callers read `passed` and `failed`.

# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

passed=0
failed=0

# count_case LABEL COMMAND...: one case that passes when COMMAND does.
count_case() {
  local label=$1 log
  shift
  log=$root/build/ci-logs/$(tr -c 'a-zA-Z0-9\n' '-' <<<"$label").log
  if with_progress "$label" "$log" "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
}

# fail_case WHAT: something could not even run.
fail_case() {
  say "  $1"
  failed=$((failed + 1))
}

# run_tests DIR SUITE LOGNAME TEST...: runs these tests, already built, prints the suite's totals. What must not
# share the machine runs one at a time. Callers may set the arrays test_options (of meson) and test_wrapper (a
# command before it).
run_tests() {
  local name=$1 dir=$root/$1 suite=$2 log_name=$3 parallel=1 totals status=0 case_passed case_failed
  shift 3
  case $suite in unit | golden | fuzz-smoke) parallel=$jobs ;; esac
  # meson reads <test>.xml after each gtest program; one left by an earlier run would count for a program that crashed.
  rm -f "$dir"/*.xml "$dir/meson-logs/$log_name".*
  with_progress "test $name $suite" "$dir/$log_name.log" \
    "${test_wrapper[@]}" meson test -C "$dir" --no-rebuild --print-errorlogs --logbase "$log_name" \
    --num-processes "$parallel" --suite "$suite" "${test_options[@]}" "$@" || status=$?
  if ! totals=$(/usr/bin/python3 "$root/scripts/test_totals.py" "$dir" "$log_name"); then
    fail_case "$name $suite: meson test left no readable report (status $status)"
    return
  fi
  read -r case_passed case_failed <<<"$(tail -n 1 <<<"$totals")"
  sed '$d' <<<"$totals"
  # meson can fail without any test failing, for instance when it cannot start.
  if [ "$status" -ne 0 ] && [ "$case_failed" -eq 0 ]; then
    fail_case "$name $suite: meson test ended with status $status"
  fi
  say "suite $suite ($name): $case_passed passed, $case_failed failed"
  passed=$((passed + case_passed))
  failed=$((failed + case_failed))
}
test_options=()
test_wrapper=()

# build_and_run_tests DIR SUITE [test_select.py filters...]: builds what the selected tests need and runs them.
# No test at all is a failure. The directory must be configured.
build_and_run_tests() {
  local name=$1 suite=$2 selected log_name names=() targets=() test files paths
  shift 2
  log_name=$suite
  if ! selected=$(/usr/bin/python3 "$root/scripts/test_select.py" "$root/$name" --suite "$suite" "$@"); then
    fail_case "$name $suite: cannot select tests"
    return
  fi
  if [ -z "$selected" ]; then
    fail_case "$name $suite: there is no test to run"
    return
  fi
  while IFS=$'\t' read -r test files; do
    names+=("$test")
    read -ra paths <<<"$files"
    targets+=("${paths[@]}")
  done <<<"$selected"
  # Without arguments ninja builds everything; a test of scripts alone needs nothing built.
  if [ "${#targets[@]}" -gt 0 ] && ! build_targets "$name" "${targets[@]}"; then
    fail_case "$name $suite: does not build"
    return
  fi
  run_tests "$name" "$suite" "$log_name" "${names[@]}"
}
