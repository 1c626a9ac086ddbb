#!/usr/bin/python3
"""A training step of crate-lm, crate-gpt and gpt2 in plain PyTorch, timed: the peer of `crate bench`.

Written from the formulas of the papers, with as many matrix products as their authors' code spends.
n tokens, d width, k heads, p = d/k, m atoms; rows are tokens.

  crate-lm   x + Wo A(w) w + b, then from zero two steps in a dictionary W (m = 4d, d), no residual:
             z0 = relu(eta W v - eta lambda), z1 = relu(z0 + eta (W v - W W'z0) - eta lambda), x' = W'z1    5 products
  crate-gpt  the same attention half, then relu(v + eta (D'v - D'(D v)) - eta lambda), no residual          3 products
  gpt2       ordinary heads and an exact-GELU MLP of width 4d, both with residuals                           12 d^2

A step is forward, cross-entropy over every position, backward, AdamW, gradients cleared. One JSON line a case.
Which BLAS PyTorch found decides everything: it is printed with each line, and Debian's reference BLAS
(package libblas3) earns a warning. On a machine to ourselves cpu_ms_per_step is threads x ms_per_step; where it is
much less, others were computing and the wall time is theirs.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

ETA, LAMBDA = 0.1, 0.1


def options():
    p = argparse.ArgumentParser(description="a training step in PyTorch, timed")
    p.add_argument("families", nargs="*", default=["crate-lm", "crate-gpt", "gpt2"])
    p.add_argument("--dtypes", nargs="+", default=["f32", "bf16"], help="f32, or bf16: autocast")
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--dim", type=int, default=384)
    p.add_argument("--layers", type=int, default=6)
    p.add_argument("--heads", type=int, default=6)
    p.add_argument("--context", type=int, default=256)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--vocab", type=int, default=257)
    p.add_argument("--warmup", type=int, default=1)
    p.add_argument("--repeats", type=int, default=5, help="the median counts")
    p.add_argument("--against", metavar="CRATE", help="run `CRATE bench` before and after each case and add its mean and the ratio")
    return p.parse_args()


o = options()
# Read by the libraries when they are loaded, hence before the import.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(o.threads)
try:
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError:
    print("bench/peers: no PyTorch here (Debian: python3-torch libopenblas0-openmp), nothing compared", file=sys.stderr)
    sys.exit(0)


class Attention(nn.Module):
    """Causal heads. White box: one projection w serves as query, key and value. Twin: three."""

    def __init__(self, white):
        super().__init__()
        self.copies = 1 if white else 3
        self.project = nn.Linear(o.dim, self.copies * o.dim, bias=not white)
        self.out = nn.Linear(o.dim, o.dim)
        self.register_buffer("future", torch.ones(o.context, o.context, dtype=torch.bool).triu(1))

    def forward(self, x):
        b, n, d = x.shape
        heads = [w.view(b, n, o.heads, d // o.heads).transpose(1, 2) for w in self.project(x).split(d, dim=2)]
        q, k, v = heads * (3 // self.copies)
        scores = (q @ k.transpose(2, 3)) * (d // o.heads) ** -0.5
        pattern = scores.masked_fill(self.future[:n, :n], -torch.inf).softmax(dim=3)
        return self.out((pattern @ v).transpose(1, 2).reshape(b, n, d))


class IstaWide(nn.Module):
    """Two steps from zero in a tied dictionary of 4d atoms, as in crate-lm: W v is computed twice."""

    def __init__(self):
        super().__init__()
        self.dict = nn.Parameter(nn.init.kaiming_uniform_(torch.empty(4 * o.dim, o.dim)))

    def forward(self, v):
        code = F.relu(ETA * F.linear(v, self.dict) - ETA * LAMBDA)
        back = F.linear(F.linear(code, self.dict.t()), self.dict)
        code = F.relu(code + ETA * (F.linear(v, self.dict) - back) - ETA * LAMBDA)
        return F.linear(code, self.dict.t())


class Ista(nn.Module):
    """One step in a square dictionary, as in crate-gpt."""

    def __init__(self):
        super().__init__()
        self.dict = nn.Parameter(nn.init.kaiming_uniform_(torch.empty(o.dim, o.dim)))

    def forward(self, v):
        rebuilt = F.linear(F.linear(v, self.dict), self.dict.t())
        return F.relu(v + ETA * (F.linear(v, self.dict.t()) - rebuilt) - ETA * LAMBDA)


class Block(nn.Module):
    def __init__(self, family):
        super().__init__()
        self.twin = family == "gpt2"
        self.norm1, self.norm2 = nn.LayerNorm(o.dim), nn.LayerNorm(o.dim)
        self.attention = Attention(white=not self.twin)
        if self.twin:
            self.second = nn.Sequential(nn.Linear(o.dim, 4 * o.dim), nn.GELU(), nn.Linear(4 * o.dim, o.dim))
        else:
            self.second = IstaWide() if family == "crate-lm" else Ista()

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        second = self.second(self.norm2(x))
        # autocast leaves bf16 behind; the stream stays f32, which the norms of torch 1.13 ask for
        return x + second if self.twin else second.float()


class Model(nn.Module):
    def __init__(self, family):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(o.vocab, o.dim), nn.Embedding(o.context, o.dim)
        self.blocks = nn.Sequential(*(Block(family) for _ in range(o.layers)))
        self.norm = nn.Identity() if family == "crate-gpt" else nn.LayerNorm(o.dim)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def loss(self, tokens, targets):
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        logits = F.linear(self.norm(self.blocks(x)), self.tokens.weight)
        return F.cross_entropy(logits.float().view(-1, o.vocab), targets.view(-1))


def timed_steps(family, dtype):
    """Wall and processor time of each step after the warm-up, in ms."""
    torch.manual_seed(1)
    model = Model(family)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1)
    tokens, targets = torch.randint(o.vocab, (2, o.batch, o.context))
    wall, cpu = [], []
    for step in range(o.warmup + o.repeats):
        began, began_cpu = time.perf_counter(), time.process_time()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16"):
            loss = model.loss(tokens, targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step >= o.warmup:
            wall.append(1e3 * (time.perf_counter() - began))
            cpu.append(1e3 * (time.process_time() - began_cpu))
    if not loss.isfinite():
        raise SystemExit(f"bench/peers: the loss of {family} in {dtype} is {loss.item()}: the times mean nothing")
    return wall, cpu


def blas_in_use():
    """The library behind PyTorch's f32 products, from what this process has mapped."""
    with open("/proc/self/maps") as maps:
        paths = {os.path.realpath(line.split()[-1]) for line in maps if ".so" in line}
    for path in sorted(paths):
        for name in ("mkl_rt", "mkl_core", "openblas", "blis", "atlas"):
            if name in path:
                return name
    return "reference" if any("/libblas." in path for path in paths) else "built in"


def crate_step(family, dtype):
    """ms of the training step that `crate bench` prints for the same size."""
    names = ("dim", "layers", "heads", "context", "batch", "repeats", "threads")
    command = [o.against, "bench", family, "--dtype", dtype, "--only", "train", "--json"]
    command += [f"--{name}={getattr(o, name)}" for name in names]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return next(r["ms"] for r in json.loads(run.stdout)["results"] if r["what"] == "training step")


def main():
    torch.set_num_threads(o.threads)
    torch.set_flush_denormal(True)
    blas = blas_in_use()
    if blas == "reference":
        print("bench/peers: PyTorch runs on Debian's reference BLAS, many times slower than it can be; "
              "install libopenblas0-openmp before comparing", file=sys.stderr)
    for family in o.families:
        for dtype in o.dtypes:
            before = crate_step(family, dtype) if o.against else 0
            wall, cpu = timed_steps(family, dtype)
            ms = statistics.median(wall)
            line = {"peer": f"torch {torch.__version__}", "blas": blas, "family": family, "dtype": dtype,
                    "threads": o.threads, "ms_per_step": round(ms, 1),
                    "tokens_per_second": round(1e3 * o.batch * o.context / ms),
                    "cpu_ms_per_step": round(statistics.median(cpu), 1)}
            if o.against:
                ours = (before + crate_step(family, dtype)) / 2
                line |= {"crate_ms_per_step": round(ours, 1), "speedup": round(ms / ours, 2)}
            print(json.dumps(line), flush=True)


main()
