#!/usr/bin/env bash
# llama.cpp's decoding and ours. LLAMA_BENCH names its program, built by you: LLAMA_BENCH=path/to/llama-bench; or
# LLAMA_LIBRARY the folder of its shared libraries, built by others.
# More arguments go to llama.py. One JSON line a model and type; `speedup` is our tokens a second over theirs.
set -eu
cd "$(dirname "$0")/../.."
[ -z "${LLAMA_LIBRARY:-}" ] || LLAMA_BENCH=bench/peers/llama_library.py
if [ ! -x "${LLAMA_BENCH:-}" ]; then
  echo "bench/peers: neither LLAMA_BENCH (llama.cpp's llama-bench) nor LLAMA_LIBRARY is given, not compared" >&2
  exit 0
fi
against=""
[ ! -x build/bin/crate ] || against="--against build/bin/crate"
"${PYTHON:-/usr/bin/python3}" bench/peers/llama.py "$LLAMA_BENCH" $against "$@"
