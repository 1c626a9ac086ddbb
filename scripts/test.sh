#!/usr/bin/env bash
# Runs the tests of a build with CTest and closes with one line of true counts: test.sh BUILD [ctest arguments]
set -u
build=$1
shift
report=$(mktemp)
trap 'rm -f "$report"' EXIT
ctest --test-dir "$build" --output-on-failure --parallel 2 --output-junit "$report" "$@" | grep -vE '^ *([0-9]+/[0-9]+ .*(Passed|Skipped)|Start +[0-9]+:)'
status=${PIPESTATUS[0]}
count() { sed -n "s/.*<testsuite.*[^a-z]$1=\"\([0-9]*\)\".*/\1/p; s/^[[:space:]]*$1=\"\([0-9]*\)\".*/\1/p" "$report" | head -n 1; }
tests=$(count tests) failed=$(count failures) skipped=$(count skipped)
grep -h -o 'no [^"]* beside the project' "$report" | sort | uniq -c | sed 's/^/skipped: /'
echo "$((${tests:-0} - ${failed:-0} - ${skipped:-0})) passed, ${failed:-0} failed, ${skipped:-0} skipped"
[ "${tests:-0}" -gt 0 ] || { echo "no test ran" >&2; exit 1; }
exit "$status"
