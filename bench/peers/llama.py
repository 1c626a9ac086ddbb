#!/usr/bin/python3
"""Tokens a second of llama.cpp on a random GPT-2, and of `crate bench` on models of about as many parameters, in turn.

Three types: f32, bf16, and bytes (their q8_0, our int8). The default sizes are those of the GPT-2 of 124 million
parameters; besides it, crate-lm and crate-one of about the same number, with one code in twenty not zero.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

TYPES = {"f32": "f32", "bf16": "bf16", "int8": "q8_0"}
# 124 million parameters each. crate-lm reads its dictionary four times a token, crate-one twice.
MODELS = {
    "gpt2": ["gpt2-base"],
    "crate-lm": ["crate-lm-12l", "--dim=1008", "--heads=14", "--codes=0.05"],
    "crate-one": ["crate-one-bench", "--dim=768", "--heads=24", "--layers=12", "--atoms=3808", "--vocab=50257", "--context=1024", "--codes=0.05"],
}


def options():
    p = argparse.ArgumentParser(description="llama.cpp's llama-bench against crate bench --only decode")
    p.add_argument("bench", help="llama.cpp's llama-bench")
    p.add_argument("--dtypes", nargs="+", choices=TYPES, default=list(TYPES))
    p.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--tokens", type=int, default=64, help="from an empty cache on")
    p.add_argument("--repeats", type=int, default=5, help="the median counts")
    p.add_argument("--against", metavar="CRATE", help="run `CRATE bench` in turn")
    return p.parse_args()


def theirs(o, file):
    command = [o.bench, "-m", file, "-p", "0", "-n", str(o.tokens), "-t", str(o.threads), "-r", str(o.repeats), "-o", "json"]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"bench/peers: {o.bench} failed; it said: {run.stderr[-500:]}")
    return statistics.median(json.loads(run.stdout)[0]["samples_ts"])


def ours(o, model, dtype):
    command = [o.against, "bench", *MODELS[model], "--only=decode", f"--dtype={dtype}", f"--decode-tokens={o.tokens}",
               f"--repeats={o.repeats}", f"--threads={o.threads}", "--json"]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return json.loads(run.stdout)["results"][0]


def main():
    o = options()
    files = os.path.join(os.path.dirname(os.path.abspath(__file__)), "llama_files.py")
    with tempfile.TemporaryDirectory() as folder:
        for dtype in o.dtypes:
            file = os.path.join(folder, f"{dtype}.gguf")
            subprocess.run([sys.executable, files, file, f"--dtype={TYPES[dtype]}"], check=True)
            before = theirs(o, file)
            results = {model: ours(o, model, dtype) for model in o.models} if o.against else {}
            speed = (before + theirs(o, file)) / 2
            line = {"peer": "llama.cpp", "what": "decode", "dtype": dtype, "their_type": TYPES[dtype], "threads": o.threads}
            print(json.dumps(line | {"family": "gpt2", "tokens_per_second": round(speed, 1)}), flush=True)
            for model, r in results.items():
                print(json.dumps(line | {"family": model, "tokens_per_second": round(speed, 1), "codes": round(r["codes"], 3),
                                         "crate_tokens_per_second": round(r["tokens_per_second"], 1),
                                         "bytes_a_token": round(r["bytes_a_step"]), "read_share": round(r["read_share"], 3),
                                         "speedup": round(r["tokens_per_second"] / speed, 2)}), flush=True)
            os.remove(file)


main()
