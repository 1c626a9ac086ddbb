#!/bin/bash
# Files compressed one by one, decompressed, compared; bits a byte of each and of all together. Stops at the first that does
# not come back.
#   scripts/round-trip.sh "--model models/wiki-bytes --mix" FILE...     the options are those of crate compress
#   CRATE=A scripts/round-trip.sh ...                                   another build
set -euo pipefail
cd "$(dirname "$0")/.."
crate=${CRATE:-build/bin/crate}
options=$1
shift
# Decompressing needs the model alone, and only where it is not inside.
reading=""
[[ $options == *--model* && $options != *--embed* ]] && reading="--model $(sed 's/.*--model *\([^ ]*\).*/\1/' <<<"$options")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
raw=0 archives=0
for file in "$@"; do
  # shellcheck disable=SC2086  # the options are words
  "$crate" compress "$file" $options -o "$work/a.crz" --force --json >/dev/null
  "$crate" decompress "$work/a.crz" $reading -o "$work/back" --force --json >/dev/null
  cmp "$file" "$work/back"
  n=$(stat -Lc %s "$file") a=$(stat -c %s "$work/a.crz")
  raw=$((raw + n)) archives=$((archives + a))
  awk -v f="$(basename "$file")" -v n="$n" -v a="$a" 'BEGIN { printf "%-16s %9d -> %8d  %.3f\n", f, n, a, n ? 8 * a / n : 0 }'
done
awk -v f="$#" -v n="$raw" -v a="$archives" 'BEGIN { printf "%d files came back: %d -> %d  %.3f bits a byte\n", f, n, a, n ? 8 * a / n : 0 }'
