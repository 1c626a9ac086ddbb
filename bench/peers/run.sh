#!/usr/bin/env bash
# The same training steps in PyTorch and here, then forwards and steps on images, in turn, so that both meet the same machine. `make bench` calls it.
# One JSON line a case; `speedup` is PyTorch's time over ours.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-/usr/bin/python3}
if ! "$python" -c "import torch" 2>/dev/null; then
  echo "bench/peers: no PyTorch here (apt-get install python3-torch libopenblas0-openmp), nothing compared"
  exit 0
fi
against=""
[ ! -x build/bin/crate ] || against="--against build/bin/crate"
"$python" bench/peers/train_step.py $against "$@"
[ $# -gt 0 ] || "$python" bench/peers/images.py $against
