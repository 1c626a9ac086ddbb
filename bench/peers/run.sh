#!/usr/bin/env bash
# crate and PyTorch in turn, model by model, so that both meet the same machine: training steps, f32 and bf16.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-/usr/bin/python3}
if ! "$python" -c 'import torch' 2>/dev/null; then
  echo "peers: skipped, PyTorch is not installed (apt-get install python3-torch)"
  exit 0
fi
field() { sed -n "s/.*\"$1\":[[:space:]]*\([0-9.]*\).*/\1/p" | head -n 1; }
printf '%-10s %-5s %14s %14s %8s\n' model dtype "crate ms" "PyTorch ms" ratio
for dtype in f32 bf16; do
  for model in crate-lm crate-gpt gpt2; do
    ours=$(build/bin/crate bench "$model" --dtype $dtype --only train --json | sed 's/,"/\n"/g' | grep '^"ms"' | head -n 1 | cut -d: -f2)
    theirs=$("$python" bench/peers/train_step.py "$model" --dtype $dtype --threads "$(nproc)" | field ms)
    again=$(build/bin/crate bench "$model" --dtype $dtype --only train --json | sed 's/,"/\n"/g' | grep '^"ms"' | head -n 1 | cut -d: -f2)
    awk -v m=$model -v d=$dtype -v a="$ours" -v b="$again" -v t="$theirs" 'BEGIN { o = (a + b) / 2; printf "%-10s %-5s %14.0f %14.0f %7.2fx\n", m, d, o, t, t / o }'
  done
done
