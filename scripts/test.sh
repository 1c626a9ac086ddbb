#!/usr/bin/env bash
# Runs the tests of a build with CTest and closes with one line of true counts: test.sh BUILD [ctest arguments]
set -u
build=$1
shift
# Two tests at a time on two cores: threads that spin while they wait would take the other test's time.
export OMP_WAIT_POLICY=passive
report=$(mktemp)
trap 'rm -f "$report"' EXIT
ctest --test-dir "$build" --output-on-failure --parallel 2 --output-junit "$report" "$@" | grep -vE '^ *[0-9]+/[0-9]+ .*(Passed|Skipped) '
status=${PIPESTATUS[0]}
count() { grep -c "$1" "$report"; }
tests=$(count '<testcase ') passed=$(count '<testcase .*status="run"')
# CTest files a program that could not be started under "skipped" too; only a test that skips itself is.
skipped=$(($(count '<skipped message="SKIP_') + $(count '<testcase .*status="disabled"')))
failed=$((tests - passed - skipped))
grep -h -o 'no [^"]* beside the project' "$report" | sort | uniq -c | sed 's/^/skipped: /'
echo "$passed passed, $failed failed, $skipped skipped"
[ "$tests" -gt 0 ] || { echo "no test ran" >&2; exit 1; }
[ "$failed" -eq 0 ] || exit 1
exit "$status"
