#!/usr/bin/python3
"""The operators in plain PyTorch, forward and backward, on the shapes that `crate ops bench` times, in turn with it.

One JSON line a case this file knows the formula of; the speedups are PyTorch's time over ours. Autocast serves for bf16.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time


def options():
    p = argparse.ArgumentParser(description="operators in PyTorch against crate ops bench")
    p.add_argument("operators", nargs="*", default=["linear", "layer_norm", "mssa", "mha", "ista", "ista_wide", "mlp", "cross_entropy"])
    p.add_argument("--against", metavar="CRATE", default="build/bin/crate")
    p.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--repeats", type=int, default=9, help="after a warm-up; the median counts")
    return p.parse_args()


o = options()
# Read by the libraries when they are loaded, hence before the import.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(o.threads)
try:
    import torch
    from torch.nn import functional as F

    from formulas import ista, ista_wide
except ImportError:
    print("bench/peers: no PyTorch here (Debian: python3-torch libopenblas0-openmp), nothing compared", file=sys.stderr)
    sys.exit(0)


def attention(q, k, v, heads, causal):
    b, n, d = q.shape
    q, k, v = (x.view(b, n, heads, d // heads).transpose(1, 2) for x in (q, k, v))
    scores = (q @ k.transpose(2, 3)) * (d // heads) ** -0.5
    if causal:
        scores = scores.masked_fill(torch.ones(n, n, dtype=torch.bool).triu(1), -torch.inf)
    return (scores.softmax(dim=3) @ v).transpose(1, 2).reshape(b, n, d)


def mlp(t, act):
    return F.linear(act(F.linear(t["x"], t["w_in"], t["b_in"])), t["w_out"], t["b_out"]) + t["residual"]


def formula(op, name, t):
    """The case as a function of its inputs, or none where this file has no formula for its options."""
    causal = "seen_both_ways" not in name
    if "options" in name or "rotary" in name or "decode" in name:
        return None
    return {
        "linear": lambda: F.linear(t["x"], t["w"], t["b"]),
        "layer_norm": lambda: F.layer_norm(t["x"], t["x"].shape[-1:], t["scale"], t["shift"]),
        "mssa": lambda: attention(t["w"], t["w"], t["w"], t["temperature"].shape[0], causal),
        "mha": lambda: attention(*t["qkv"].chunk(3, dim=2), t["temperature"].shape[0], causal),
        "ista": lambda: ista(t["v"], t["dict"]),
        "ista_wide": lambda: ista_wide(t["v"], t["dict"]),
        "mlp": lambda: mlp(t, F.relu if "relu" in name else F.gelu),
        "cross_entropy": lambda: F.cross_entropy(F.linear(t["h"], t["head"]).float(), t["targets"]),
    }.get(op)


def timed(case):
    """Median ms of forward and backward."""
    torch.manual_seed(1)
    tensors = {}
    for i in case["inputs"]:
        whole = i["below"] > 0
        x = torch.randint(i["below"], i["shape"]) if whole else i["offset"] + i["scale"] * torch.randn(i["shape"])
        tensors[i["name"]] = x if whole else x.requires_grad_()
    f = formula(case["op"], case["case"], tensors)
    if f is None:
        return None
    forward, backward, cotangent = [], [], None
    for i in range(o.repeats + 1):
        for x in tensors.values():
            x.grad = None
        began = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=o.dtype == "bf16"):
            y = f()
        middle = time.perf_counter()
        if cotangent is None:
            cotangent = torch.ones_like(y)
        y.backward(cotangent)
        forward.append(1e3 * (middle - began))
        backward.append(1e3 * (time.perf_counter() - middle))
    return statistics.median(forward[1:]), statistics.median(backward[1:])


def ours(op):
    """The cases of one operator, by name."""
    command = [o.against, "ops", "bench", op, "--dtype", o.dtype, "--json", "--threads", str(o.threads), "--repeats", str(o.repeats)]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return {c["case"]: c for c in json.loads(run.stdout)["cases"]}


def main():
    torch.set_num_threads(o.threads)
    torch.set_flush_denormal(True)
    for op in o.operators:
        before = ours(op)
        times = {name: timed(case) for name, case in before.items()}
        after = ours(op)
        for name, found in times.items():
            if found is None:
                continue
            line = {"op": op, "case": name, "dtype": o.dtype, "threads": o.threads, "peer": f"torch {torch.__version__}"}
            for direction, ms in zip(("forward", "backward"), found):
                mean = (before[name][direction]["ms"] + after[name][direction]["ms"]) / 2
                line |= {f"{direction}_ms": round(ms, 3), f"crate_{direction}_ms": round(mean, 3),
                         f"{direction}_speedup": round(ms / mean, 2),
                         f"crate_{direction}_limit_share": round(before[name][direction]["limit_share"], 3)}
            print(json.dumps(line), flush=True)


main()
