#!/usr/bin/env bash
# Other programs and ours on the same work, in turn, so that both meet the same machine. `make bench` calls it.
# PyTorch where it is installed; llm.c's trainer where LLMC names its program, llama.cpp's decoding where LLAMA_BENCH
# names its own. One JSON line a case; `speedup` is their time over ours, `memory_ratio` what their process grew by in
# training over what ours did. Arguments: those of text.py, and then models of text alone.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-/usr/bin/python3}
against=""
[ ! -x build/bin/crate ] || against="--against build/bin/crate"
if "$python" -c "import torch" 2>/dev/null; then
  "$python" bench/peers/text.py $against "$@"
  if [ $# -eq 0 ]; then
    "$python" bench/peers/images.py $against
    for dtype in f32 bf16; do "$python" bench/peers/ops.py $against --dtype $dtype; done
  fi
else
  echo "bench/peers: no PyTorch here (apt-get install python3-torch libopenblas0-openmp), not compared" >&2
fi
if [ $# -eq 0 ]; then
  bash bench/peers/llmc.sh
  bash bench/peers/llama.sh
fi
