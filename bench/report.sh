#!/usr/bin/env bash
# Everything that docs/performance.md reports, measured one after the other into FOLDER as JSON lines and figures; about
# two hours on two quiet cores. A file that is there already is kept, so an interrupted report goes on where it stopped.
#   bench/report.sh FOLDER [PART...]      parts: machine speed memory ops grow peers, in this order
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || { echo "usage: bench/report.sh FOLDER [machine|speed|memory|ops|grow|peers ...]" >&2; exit 2; }
folder=$1
shift
parts=${*:-machine speed memory ops grow peers}
crate=build/bin/crate
[ -x $crate ] || { echo "bench/report.sh: no $crate here; make build" >&2; exit 1; }
mkdir -p "$folder"

# once NAME COMMAND...: its output as FOLDER/NAME, whole or not at all.
once() {
  local name=$1
  shift
  [ ! -e "$folder/$name" ] || return 0
  echo "$name" >&2
  "$@" > "$folder/$name.tmp" && mv "$folder/$name.tmp" "$folder/$name"
}

machine() {
  printf '{"cpu": "%s", "cores": %s, "kernel": "%s", "date": "%s", "commit": "%s", "load": "%s"}\n' \
    "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" "$(nproc)" "$(uname -sr)" "$(date -u +%F)" \
    "$(git describe --always --dirty)" "$(cut -d' ' -f1 /proc/loadavg)"
}

# Each a process of its own: what a process held at most is never forgotten.
memory() {
  local dtype family
  for dtype in f32 bf16; do
    for family in crate-lm crate-gpt crate-one gpt2 crate vit; do
      $crate bench $family --only memory --repeats 1 --dtype $dtype --json
    done
  done
}

for part in $parts; do
  case $part in
    machine) once machine.json machine ;;
    speed)
      for threads in 1 0; do
        for dtype in f32 bf16; do
          once speed-text-$dtype-$threads.json $crate bench crate-lm crate-gpt crate-one gpt2 --dtype $dtype --threads $threads --json
          once speed-images-$dtype-$threads.json $crate bench crate vit --dtype $dtype --threads $threads --json
        done
      done
      once explain.json $crate bench crate-lm --layers 12 --context 128 --only explain --json ;;
    memory) once memory.jsonl memory ;;
    ops)
      for dtype in f32 bf16; do once ops-$dtype.json $crate ops bench --dtype $dtype --json; done ;;
    grow)
      for by in tokens width depth batch vocab atoms; do
        families="crate-lm crate-gpt gpt2"
        [ $by != atoms ] || families="crate-lm gpt2"
        once grow-$by.json $crate grow $families --by $by --json -o "$folder/grow-$by.svg"
      done
      once grow-codes.json $crate grow crate-lm crate-one --by codes --dim 768 --layers 12 --heads 12 --atoms 3840 --vocab 50257 --json \
        -o "$folder/grow-codes.svg"
      once grow-image-tokens.json $crate grow crate vit --by tokens --json -o "$folder/grow-image-tokens.svg" ;;
    peers) once peers.jsonl bash bench/peers/run.sh ;;
    *) echo "bench/report.sh: no part '$part'" >&2; exit 2 ;;
  esac
done
