#!/usr/bin/env bash
# The sizes that the codec is held to, each archive decoded and compared: one JSON line a figure, with its target. Whole files take
# hours of a core, most of them learning while coding and the 100 MB; what is not beside the project is skipped.
#   bench/figures.sh [BYTES]     of every file its first BYTES, for a trial: the targets are those of whole files
set -euo pipefail
cd "$(dirname "$0")/.."
crate=build/bin/crate
data=../shared/data
most=${1:-1000000000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# have FILE: whether it is there; says so where it is not.
have() { [ -r "$1" ] || { echo "skipped: no $(basename "$1") beside the project" >&2 && return 1; }; }
# begin: the first bytes of standard input, whose rest is read, too, since a writer must not meet a closed pipe.
begin() { head -c "$most" && cat > /dev/null; }

# say NAME RAW BYTES TARGET: the target in bits a byte, or in bytes where that is what is asked.
say() { awk -v f="$1" -v n="$2" -v a="$3" -v t="$4" 'BEGIN {
  printf "{\"figure\": \"%s\", \"raw_bytes\": %d, \"bytes\": %d, \"bits_per_byte\": %.4f, \"target\": \"%s\"}\n", f, n, a, 8 * a / n, t }'; }

# code NAME TARGET FILE READING OPTION...: compresses with the options, decompresses with READING, compares.
code() {
  local name=$1 target=$2 file=$work/$3 reading=$4
  shift 4
  "$crate" compress "$file" "$@" -o "$work/a.crz" --force --json > /dev/null
  # shellcheck disable=SC2086  # the options are words
  "$crate" decompress "$work/a.crz" $reading -o "$work/back" --force --json > /dev/null
  cmp "$file" "$work/back"
  say "$name" "$(stat -c %s "$file")" "$(stat -c %s "$work/a.crz")" "$target"
}

if have $data/text/wiki-test.txt; then
  begin < $data/text/wiki-test.txt > "$work/test"
  code "wiki-test, white box alone, model apart" "at most 1.60" test "--model models/wiki-bytes-3m" --model models/wiki-bytes-3m --reach 255
fi
for corpus in calgary cantrbry; do
  have $data/compression/$corpus.tar.gz || continue
  mkdir "$work/$corpus"
  tar xzf $data/compression/$corpus.tar.gz -C "$work/$corpus"
  find "$work/$corpus" -type f -size +"${most}c" -exec truncate -s "$most" {} +
  total=$(find "$work/$corpus" -type f | sort | xargs scripts/round-trip.sh "--model models/wiki-bytes --mix" | tail -1)
  read -r raw bytes <<<"$(sed 's/.*: \([0-9]*\) -> \([0-9]*\) .*/\1 \2/' <<<"$total")"
  say "$corpus, file by file, mixed, model apart" "$raw" "$bytes" "all come back"
done
if have $data/text/wiki-train.txt.xz; then
  xz -dkc $data/text/wiki-train.txt.xz | begin > "$work/train"
  head -c 2000000 "$work/train" > "$work/text"
  "$crate" quantize models/wiki-bytes --bits 5 --text "$work/text" -o "$work/model.crq" --json > /dev/null
  others="below others"
  if command -v bzip3 > /dev/null; then others+=", bzip3 $(bzip3 -e -b 511 -c "$work/train" | wc -c)"; fi
  if command -v 7z > /dev/null; then
    7z a -bd -m0=PPMd:o8:mem=1024m "$work/p.7z" "$work/train" > /dev/null
    others+=", PPMd $(stat -c %s "$work/p.7z")"
  fi
  code "wiki-train, two-part, mixed" "$others" train "" --model "$work/model.crq" --embed --mix
fi
if have $data/compression/enwik8_prefix_4M.xml; then
  begin < $data/compression/enwik8_prefix_4M.xml > "$work/excerpt"
  code "4 MB of enwik8, learned while coding, white box alone" "at most 2.05" excerpt "" --online
  code "4 MB of enwik8, learned while coding, mixed" "at most 1.90" excerpt "" --online --mix
fi
