#!/usr/bin/env bash
# Trains CRATE, CRATE-alpha and ViT of equal parameters on three sets of images with three seeds each and appends a line of
# JSON a run to docs/results/vision.jsonl. What is there already is not run again; a run that was cut short is resumed.
#   scripts/vision_runs.sh [SET...]     SET: mnist, cifar10-jpg, tiny-imagenet-20, scenes; all by default
# Beside each the same model before its training, for scripts/vision_masks.sh.
# Each family first tries the same learning rates for a quarter of the steps with seed 1; the best validation loss wins.
# Environment: CRATE (the command), DATA (folder of the sets), OUT (models), RESULTS (the file), SEEDS.
set -eu
cd "$(dirname "$0")/.."
crate=${CRATE:-build/bin/crate}
data=${DATA:-../shared/data/vision}
out=${OUT:-out/vision}
results=${RESULTS:-docs/results/vision.jsonl}
seeds=${SEEDS:-1 2 3}
mkdir -p "$out" "$(dirname "$results")"
touch "$results"

# Widths at which three layers (of scenes: six) of the families have nearly the same number of parameters (within 5 % in
# all): CRATE has 3d^2 a layer, CRATE-alpha 10d^2, ViT 12d^2. width FAMILY SET
width() {
  case $1-$2 in
    crate-scenes) echo 128 ;;
    crate-alpha-scenes) echo 72 ;;
    vit-scenes) echo 64 ;;
    crate-tiny-imagenet-20) echo 88 ;;
    crate-alpha-*) echo 52 ;;
    crate-*) echo 92 ;;
    vit-*) echo 48 ;;
  esac
}

# The sets for as long as one core needs some minutes for: recipe, source, steps of 128 images.
settings() {
  case $1 in
    mnist) echo "recipes/mnist.toml $data/mnist 1400" ;;
    cifar10-jpg) echo "recipes/cifar10.toml $data/cifar10-jpg.tar 780" ;;
    tiny-imagenet-20) echo "recipes/tiny-imagenet-20.toml $data/tiny-imagenet-20.tar 780" ;;
    scenes) echo "recipes/scenes.toml synthetic:100000 6000" ;;
    *) echo "no setting for '$1'; known are mnist, cifar10-jpg, tiny-imagenet-20, scenes" >&2 && exit 2 ;;
  esac
}

# train SET FAMILY SEED LR STEPS NAME: prints the command's JSON.
train() {
  read -r recipe source _ <<<"$(settings "$1")"
  local layers=3
  [ "$1" != scenes ] || layers=6
  "$crate" train "$recipe" --json --threads 1 --resume --out "$out/$1/$2-$6" --set data.train="$source" --set data.workers=1 \
    --set model.family="$2" --set model.dim="$(width "$2" "$1")" --set model.heads=4 --set model.layers=$layers \
    --set train.seed="$3" --set optimizer.lr="$4" --set train.epochs=0 --set train.steps="$5" \
    --set schedule.warmup_epochs=0 --set schedule.warmup=$(($5 / 10)) \
    --set train.dtype=f32 --set train.eval_every=0 --set train.checkpoint_every=200
}

field() { sed -n "s/.*\"$1\":\([-0-9.e]*\).*/\1/p"; }

best_rate() { # SET FAMILY
  local best="" best_loss=""
  read -r _ _ steps <<<"$(settings "$1")"
  for lr in 1e-3 3e-3; do
    local loss
    loss=$( (train "$1" "$2" 1 "$lr" $((steps / 4)) "lr-$lr" || true) | field validation_loss)
    [ -n "$loss" ] || loss=1e9 # diverged: the command has said so
    if [ -z "$best" ] || awk "BEGIN { exit !($loss < $best_loss) }"; then best=$lr best_loss=$loss; fi
  done
  echo "$best"
}

for set in ${*:-mnist cifar10-jpg tiny-imagenet-20 scenes}; do
  read -r _ source steps <<<"$(settings "$set")"
  for family in crate crate-alpha vit; do
    lr=""
    for seed in $seeds; do
      if grep -q "\"set\":\"$set\",\"family\":\"$family\",\"seed\":$seed," "$results"; then continue; fi
      [ -n "$lr" ] || lr=$(best_rate "$set" "$family")
      trained=$(train "$set" "$family" "$seed" "$lr" "$steps" "seed-$seed")
      train "$set" "$family" "$seed" "$lr" 0 "before-$seed" >/dev/null
      evaluated=$source
      [ "$set" != scenes ] || evaluated=synthetic:1000
      measured=$("$crate" eval "$out/$set/$family-seed-$seed" --json --threads 1 --data "$evaluated" --part val)
      echo "{\"set\":\"$set\",\"family\":\"$family\",\"seed\":$seed,\"lr\":$lr,\"steps\":$steps,\"train\":$trained,\"eval\":$measured}" \
        >>"$results"
    done
  done
done
