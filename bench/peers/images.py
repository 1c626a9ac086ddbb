#!/usr/bin/python3
"""CRATE and ViT on images in plain PyTorch, timed: the peer of `crate bench crate-s`.

Written from the formulas of the papers, with as many matrix products as CRATE's authors' code spends: three a dictionary
step, relu(v + eta (D'v - D'(D v)) - eta lambda). 224 x 224 pixels, patches of 16, a class token, 1000 classes.

  crate-s    d 576, 12 layers, 12 heads     13.1 M
  vit-s      d 384, 12 layers, 6 heads      22.1 M

Forwards of 1, 8 and 32 images without gradients, and a training step of 16 (forward, cross-entropy, backward, AdamW).
One JSON line a case; with --against also what `crate bench` says just before and after, and PyTorch's time over ours.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

ETA, LAMBDA = 0.1, 0.1
SIZES = {"crate-s": (576, 12, 12), "vit-s": (384, 12, 6)}


def options():
    p = argparse.ArgumentParser(description="CRATE and ViT on images in PyTorch, timed")
    p.add_argument("models", nargs="*", default=["crate-s", "vit-s"], choices=[[], *SIZES])
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--batches", type=int, nargs="*", default=[1, 8, 32])
    p.add_argument("--train-batch", type=int, default=16)
    p.add_argument("--repeats", type=int, default=5, help="after a warm-up; the median counts")
    p.add_argument("--against", metavar="CRATE", help="run `CRATE bench` before and after each case")
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
    """Heads that see every token. White box: one projection serves as query, key and value. Twin: three."""

    def __init__(self, d, heads, white):
        super().__init__()
        self.heads, self.copies = heads, 1 if white else 3
        self.project = nn.Linear(d, self.copies * d, bias=not white)
        self.out = nn.Linear(d, d)

    def forward(self, x):
        b, n, d = x.shape
        split = [w.view(b, n, self.heads, d // self.heads).transpose(1, 2) for w in self.project(x).split(d, dim=2)]
        q, k, v = split * (3 // self.copies)
        pattern = ((q @ k.transpose(2, 3)) * (d // self.heads) ** -0.5).softmax(dim=3)
        return self.out((pattern @ v).transpose(1, 2).reshape(b, n, d))


class Ista(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.dict = nn.Parameter(nn.init.kaiming_uniform_(torch.empty(d, d)))

    def forward(self, v):
        rebuilt = F.linear(F.linear(v, self.dict), self.dict.t())
        return F.relu(v + ETA * (F.linear(v, self.dict.t()) - rebuilt) - ETA * LAMBDA)


class Model(nn.Module):
    def __init__(self, name):
        super().__init__()
        d, layers, heads = SIZES[name]
        self.white = name.startswith("crate")
        self.patch = nn.Sequential(nn.LayerNorm(768), nn.Linear(768, d), nn.LayerNorm(d)) if self.white else nn.Linear(768, d)
        self.cls, self.positions = nn.Parameter(torch.zeros(1, 1, d)), nn.Parameter(0.02 * torch.randn(1, 197, d))
        norm = lambda: nn.LayerNorm(d)
        mlp = lambda: nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))
        self.blocks = nn.ModuleList(
            nn.ModuleList([norm(), Attention(d, heads, self.white), norm(), Ista(d) if self.white else mlp()])
            for _ in range(layers))
        self.head = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, 1000))

    def forward(self, images):
        b = images.shape[0]
        x = images.view(b, 3, 14, 16, 14, 16).permute(0, 2, 4, 3, 5, 1).reshape(b, 196, 768)
        x = torch.cat([self.cls.expand(b, -1, -1), self.patch(x)], dim=1) + self.positions
        for norm1, attention, norm2, second in self.blocks:
            x = x + attention(norm1(x))
            x = second(norm2(x)) if self.white else x + second(norm2(x))
        return self.head(x[:, 0])


def median_ms(f):
    f()
    times = []
    for _ in range(o.repeats):
        start = time.perf_counter()
        f()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def case(model, batch, train):
    torch.manual_seed(1)
    images, labels = torch.randn(batch, 3, 224, 224), torch.randint(1000, (batch,))
    if not train:
        with torch.no_grad():
            return median_ms(lambda: model(images))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return median_ms(step)


def ours(name, batch, train):
    """`crate bench` on the same case: its time in ms."""
    command = [o.against, "bench", name, "--batch", str(batch), "--repeats", str(o.repeats), "--json"]
    command += ["--only", "train"] if train else []
    env = dict(os.environ, OMP_NUM_THREADS=str(o.threads))
    results = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout)["results"]
    wanted = "training step" if train else "forward"
    return next(r["ms"] for r in results if r["what"].startswith(wanted))


def main():
    torch.set_num_threads(o.threads)
    for name in o.models:
        for batch, train in [(b, False) for b in o.batches] + [(o.train_batch, True)]:
            model = Model(name)
            before = ours(name, batch, train) if o.against else None
            ms = case(model, batch, train)
            line = {"model": name, "what": "training step" if train else "forward", "batch": batch, "torch_ms": round(ms, 1),
                    "torch_images_per_second": round(1e3 * batch / ms, 1), "threads": o.threads, "torch": torch.__version__}
            if o.against:
                mean = (before + ours(name, batch, train)) / 2
                line.update(crate_ms=round(mean, 1), speedup=round(ms / mean, 2))
            print(json.dumps(line), flush=True)


main()
