#!/usr/bin/env bash
# The same training steps in PyTorch and here, one after the other, and their ratio. `make bench` calls it.
set -eu
cd "$(dirname "$0")/../.."
if ! /usr/bin/python3 -c "import torch" 2>/dev/null; then
  echo "bench/peers: no PyTorch here (apt-get install python3-torch libopenblas0-openmp), nothing compared"
  exit 0
fi
against=""
[ ! -x build/bin/crate ] || against="--against build/bin/crate"
exec /usr/bin/python3 bench/peers/train_step.py $against "$@"
