#!/usr/bin/env bash
# How the loss of crate-one and of its twins falls with size: recipes/compare-wiki.toml at five sizes, about four bytes of text a
# parameter each, then `crate scale` over all of them. Folders that are done are not run again.
#   scripts/scale.sh [SIZE...]      SIZE: 48 64 96 128 192, widths; all by default
# Environment: CRATE (the command), OUT (folder of the experiments), SET (more --set options for all).
set -eu
cd "$(dirname "$0")/.."
crate=${CRATE:-build/bin/crate}
out=${OUT:-out/scale}

# Layers, heads, steps of 2048 bytes, warm-up. Short runs of small models want higher rates; of the largest, one run an arm has to do.
settings() {
  case $1 in
    48) echo "2 4 135 8 --set compare.lr=[4e-3,8e-3,1.6e-2,3.2e-2]" ;;
    64) echo "3 4 325 20 --set compare.lr=[4e-3,8e-3,1.6e-2,3.2e-2]" ;;
    96) echo "4 4 922 58" ;;
    128) echo "4 4 1600 100" ;;
    192) echo "5 6 4430 277 --set compare.seeds=[1] --set compare.lr=[3e-3]" ;;
    *) echo "no setting for '$1'; known are 48 64 96 128 192" >&2 && exit 2 ;;
  esac
}

for dim in ${*:-48 64 96 128 192}; do
  read -r layers heads steps warmup more <<<"$(settings "$dim")"
  # shellcheck disable=SC2086
  "$crate" compare recipes/compare-wiki.toml --out "$out/$dim" --set model.dim="$dim" --set model.layers="$layers" \
    --set model.heads="$heads" --set train.steps="$steps" --set schedule.warmup="$warmup" $more ${SET:-}
done
[ $# -gt 0 ] || "$crate" scale "$out"/*/ -o "$out/scaling.svg"
