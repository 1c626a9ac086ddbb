#!/usr/bin/python3
"""Training steps of llm.c's CPU trainer on a random GPT-2, and of `crate bench gpt2` on the same sizes, in turn.

The trainer's batch is fixed: 4 sequences of 64 tokens; width, layers, heads and vocabulary come from the model it reads.
It prints the time of each step between evaluations, which are not timed; it is stopped when there are enough.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

BATCH, CONTEXT = 4, 64


def options():
    p = argparse.ArgumentParser(description="llm.c's CPU trainer against crate bench gpt2")
    p.add_argument("trainer", help="llm.c's train_gpt2, as built by its `make train_gpt2`")
    for name, value in (("dim", 384), ("layers", 6), ("heads", 6), ("vocab", 257)):
        p.add_argument(f"--{name}", type=int, default=value)
    p.add_argument("--threads", type=int, nargs="+", default=sorted({1, len(os.sched_getaffinity(0))}))
    p.add_argument("--repeats", type=int, default=9, help="after a warm-up; the median counts")
    p.add_argument("--against", metavar="CRATE", help="run `CRATE bench` before and after")
    return p.parse_args()


def theirs(o, folder, threads):
    """Median ms of a step."""
    env = dict(os.environ, OMP_NUM_THREADS=str(threads))
    times, said = [], []
    with subprocess.Popen(["stdbuf", "-oL", o.trainer], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace") as run:
        for line in run.stdout:
            said.append(line)
            if found := re.match(r"step \d+: .*\(took ([\d.]+) ms\)", line):
                times.append(float(found[1]))
            if len(times) > o.repeats:
                run.terminate()
                break
    if len(times) < 2:
        sys.exit(f"bench/peers: {o.trainer} timed no steps; it said: {''.join(said[-3:])}")
    return statistics.median(times[1:])


def ours(o, threads):
    command = [o.against, "bench", "gpt2", "--only", "train", "--json", "--batch", str(BATCH), "--context", str(CONTEXT)]
    command += [f"--{name}={value}" for name, value in
                (("dim", o.dim), ("layers", o.layers), ("heads", o.heads), ("vocab", o.vocab), ("repeats", o.repeats), ("threads", threads))]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return json.loads(run.stdout)["results"][0]["ms"]


def main():
    o = options()
    o.trainer = os.path.abspath(o.trainer)
    sizes = {name: getattr(o, name) for name in ("dim", "layers", "heads", "vocab")}
    with tempfile.TemporaryDirectory() as folder:
        files = os.path.join(os.path.dirname(os.path.abspath(__file__)), "llmc_files.py")
        subprocess.run([sys.executable, files, folder, *(f"--{k}={v}" for k, v in sizes.items())], check=True)
        for threads in o.threads:
            before = ours(o, threads) if o.against else 0
            ms = theirs(o, folder, threads)
            line = {"peer": "llm.c", "family": "gpt2", "what": "train", "dtype": "f32", "threads": threads,
                    "batch": BATCH, "context": CONTEXT, **sizes, "ms": round(ms, 2)}
            if o.against:
                mean = (before + ours(o, threads)) / 2
                line |= {"crate_ms": round(mean, 2), "speedup": round(ms / mean, 2)}
            print(json.dumps(line), flush=True)


main()
