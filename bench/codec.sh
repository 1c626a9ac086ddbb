#!/usr/bin/env bash
# What the models of bytes reach as compressors, here and now: bits a byte of a text they have not seen, alone (two
# streams, so two threads) and mixed (one), and KB a second both ways, medians of three; what comes back is compared.
# One JSON line a model and mode; the model's bytes stand beside, since they are not in the archive.
#   bench/codec.sh [FILE [BYTES]]     the first 100,000 bytes of FILE, or of the held-out Wikipedia beside the project
set -euo pipefail
cd "$(dirname "$0")/.."
crate=build/bin/crate
file=${1:-../shared/data/text/wiki-test.txt}
bytes=${2:-100000}
[ -r "$file" ] || file=data/tinyshakespeare.txt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
head -c "$bytes" "$file" > "$work/text"

# of NAME JSON: a number in a line of JSON.
of() { sed -n "s/.*\"$1\":\([0-9.e+-]*\).*/\1/p" <<<"$2"; }
median() { sort -g | sed -n 2p; }

for model in models/wiki-bytes models/wiki-bytes-3m; do
  for mode in "--streams 2" "--mix"; do
    coding="" decoding=""
    for _ in 1 2 3; do
      # shellcheck disable=SC2086  # the mode is words
      line=$("$crate" compress "$work/text" --model $model $mode -o "$work/a.crz" --force --json)
      back=$("$crate" decompress "$work/a.crz" --model $model -o "$work/back" --force --json)
      cmp "$work/text" "$work/back"
      coding+="$(of seconds "$line")"$'\n' decoding+="$(of seconds "$back")"$'\n'
    done
    awk -v model=$model -v mode="$mode" -v file="$(basename "$file")" -v n="$(of raw_bytes "$line")" -v bits="$(of bits_per_byte "$line")" \
      -v size="$(of model_bytes "$line")" -v c="$(printf %s "$coding" | median)" -v d="$(printf %s "$decoding" | median)" 'BEGIN {
        printf "{\"model\": \"%s\", \"mode\": \"%s\", \"text\": \"%s\", \"raw_bytes\": %d, \"bits_per_byte\": %.4f, \"model_bytes\": %d, \"coded_kb_per_second\": %.1f, \"decoded_kb_per_second\": %.1f}\n",
          model, mode, file, n, bits, size, n / 1e3 / c, n / 1e3 / d }'
  done
done
