#!/usr/bin/env bash
# llm.c's CPU trainer and ours on the same sizes. LLMC names its program, built by you: LLMC=path/to/train_gpt2
# More arguments go to llmc.py. One JSON line a case; `speedup` is their time over ours.
set -eu
cd "$(dirname "$0")/../.."
if [ ! -x "${LLMC:-}" ]; then
  echo "bench/peers: LLMC names no program (llm.c's train_gpt2), not compared" >&2
  exit 0
fi
against=""
[ ! -x build/bin/crate ] || against="--against build/bin/crate"
"${PYTHON:-/usr/bin/python3}" bench/peers/llmc.py "$LLMC" $against "$@"
