#!/usr/bin/env bash
# What models trained by scripts/vision_runs.sh on labels alone find in generated scenes, whose masks are exact, beside the
# same models before training: a line of JSON a model, appended to docs/results/vision_masks.jsonl, not computed twice.
#   scripts/vision_masks.sh [SET...]
# The scenes are scaled to three times the model's own size, so that a patch is small beside a shape. The threshold tau of
# the normalised cut is chosen on 40 scenes of the validation part; the IoU that counts is that of 200 scenes of the test
# part. Models of scenes have a class token: what its best head of the last layer looks at (the share of its attention that
# is kept chosen in the same way) is asked for too.
# Environment: CRATE (the command), OUT (models), RESULTS (the file), SEEDS, FAMILIES.
set -eu
cd "$(dirname "$0")/.."
crate=${CRATE:-build/bin/crate}
out=${OUT:-out/vision}
results=${RESULTS:-docs/results/vision_masks.jsonl}
seeds=${SEEDS:-1 2 3}
families=${FAMILIES:-crate crate-alpha vit}
touch "$results"

field() { sed -n "s/.*\"$1\": *\([-0-9.e]*\).*/\1/p"; }

iou_of() { # MODEL SCENES PART OPTIONS...
  "$crate" segment "$1" --json --threads 1 --data "synthetic:$2" --split "$3" --size $((3 * $(field height <"$1/config.json"))) "${@:4}"
}

# masks MODEL FIELD OPTION "VALUES" OPTIONS...: the option's best value and the command's JSON on the test part
masks() {
  local best=0 best_iou=-1
  for value in $4; do
    local found
    found=$(iou_of "$1" 40 val "$3" "$value" "${@:5}" | field "$2")
    if awk "BEGIN { exit !($found > $best_iou) }"; then best=$value best_iou=$found; fi
  done
  echo "{\"chosen\":$best,\"test\":$(iou_of "$1" 200 test "$3" "$best" "${@:5}")}"
}

cuts() { masks "$1" foreground_iou --tau "0.1 0.3 0.5 0.7"; }
heads() { masks "$1" best_iou --keep "0.6 0.8" --method attention --layer $(($(field layers <"$1/config.json") - 1)); }

for set in ${*:-mnist cifar10-jpg tiny-imagenet-20 scenes}; do
  for family in $families; do
    for seed in $seeds; do
      if grep -q "\"set\":\"$set\",\"family\":\"$family\",\"seed\":$seed," "$results"; then continue; fi
      trained="$out/$set/$family-seed-$seed" before="$out/$set/$family-before-$seed"
      line="\"cut\":$(cuts "$trained"),\"cut_untrained\":$(cuts "$before")"
      [ "$set" != scenes ] || line+=",\"head\":$(heads "$trained"),\"head_untrained\":$(heads "$before")"
      echo "{\"set\":\"$set\",\"family\":\"$family\",\"seed\":$seed,$line}" >>"$results"
    done
  done
done
