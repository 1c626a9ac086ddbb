#!/bin/bash
# Archives of one compiler's build decoded by another's, both ways: with a model, with the model inside, mixed. What learns
# while it codes must refuse with its error, or decode to the same bytes; which of the two is told.
#   scripts/other-compiler.sh                     builds the command with clang++ into build-clang first
#   CRATE=A OTHER=B scripts/other-compiler.sh     two builds that exist
set -euo pipefail
cd "$(dirname "$0")/.."
crate=${CRATE:-build/bin/crate}
other=${OTHER:-}
if [ -z "$other" ]; then
  cmake -S . -B build-clang -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_COMPILER=clang -DCRATE_TESTS=OFF >/dev/null
  ninja -C build-clang crate >/dev/null
  other=build-clang/bin/crate
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
text=data/tinyshakespeare.txt
head -c 6000 "$text" >"$work/text"
"$crate" train recipes/demo.toml --out "$work/model" --json --set model.dim=32 --set train.steps=30 --set train.eval_every=0 >/dev/null
"$crate" quantize "$work/model" --bits 6 -o "$work/model.crq" >/dev/null

both_ways() { # name, what compress gets, what decompress gets
  for from in "$crate" "$other"; do
    to=$other
    [ "$from" = "$other" ] && to=$crate
    "$from" compress "$work/text" $2 -o "$work/a.crz" --force --json >/dev/null
    "$to" decompress "$work/a.crz" $3 -o "$work/back" --force --json >/dev/null
    cmp "$work/text" "$work/back"
    sha256sum <"$work/a.crz"
  done | uniq | wc -l | sed "s/^1\$/the same archive, decoded both ways: $1/; s/^2\$/decoded both ways, archives differ: $1/"
}
both_ways "model apart" "--model $work/model.crq" "--model $work/model.crq"
both_ways "model inside" "--model $work/model.crq --embed" ""
both_ways "mixed" "--model $work/model.crq --mix" "--model $work/model.crq"

"$crate" compress "$work/text" --online --set dim=16 --set heads=2 -o "$work/o.crz" --json >/dev/null
if message=$("$other" decompress "$work/o.crz" -o "$work/back" --force --json 2>&1 >/dev/null); then
  cmp "$work/text" "$work/back"
  echo "learned while coding: decoded to the same bytes"
else
  case $message in
  *"learns other numbers"*) echo "learned while coding: refused, $message" ;;
  *) echo "failed: $message" && exit 1 ;;
  esac
fi
