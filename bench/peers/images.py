#!/usr/bin/python3
"""CRATE and ViT on images in plain PyTorch, timed: the peer of `crate bench crate-s`.

Written from the formulas of the papers, with as many matrix products as CRATE's authors' code spends: three a dictionary
step, relu(v + eta (D'v - D'(D v)) - eta lambda). 224 x 224 pixels, patches of 16, a class token, 1000 classes.

  crate-s    d 576, 12 layers, 12 heads     13.1 M
  vit-s      d 384, 12 layers, 6 heads      22.1 M

Forwards of 1, 8 and 32 images without gradients, and a training step of 16 (forward, cross-entropy, backward, AdamW).
"""
import argparse
import json

import cases

SIZES = {"crate-s": (576, 12, 12), "vit-s": (384, 12, 6)}


def options():
    p = argparse.ArgumentParser(description="CRATE and ViT on images in PyTorch, timed")
    p.add_argument("models", nargs="*", default=[*SIZES], help=", ".join(SIZES))
    p.add_argument("--batches", type=int, nargs="*", default=[1, 8, 32])
    p.add_argument("--train-batch", type=int, default=16)
    cases.add_options(p)
    o = p.parse_args()
    for name in o.models:
        if name not in SIZES:
            p.error(f"no model {name}; known: {', '.join(SIZES)}")
    return o


def make(case):
    """What is timed, of one case."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    from formulas import Coding, ista

    d, layers, heads = SIZES[case["family"]]
    white, batch = case["family"].startswith("crate"), case["batch"]

    class Attention(nn.Module):
        """Heads that see every token. White box: one projection serves as query, key and value. Twin: three."""

        def __init__(self):
            super().__init__()
            self.copies = 1 if white else 3
            self.project = nn.Linear(d, self.copies * d, bias=not white)
            self.out = nn.Linear(d, d)

        def forward(self, x):
            b, n, _ = x.shape
            split = [w.view(b, n, heads, d // heads).transpose(1, 2) for w in self.project(x).split(d, dim=2)]
            q, k, v = split * (3 // self.copies)
            pattern = ((q @ k.transpose(2, 3)) * (d // heads) ** -0.5).softmax(dim=3)
            return self.out((pattern @ v).transpose(1, 2).reshape(b, n, d))

    class Wide(nn.Module):
        """What is f32 for the norm that follows; autocast leaves bf16 behind, which the norms of torch 1.13 refuse."""

        def forward(self, x):
            return x.float()

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            norm = lambda: nn.LayerNorm(d)
            mlp = lambda: nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))
            self.patch = nn.Sequential(nn.LayerNorm(768), nn.Linear(768, d), Wide(), norm()) if white else nn.Linear(768, d)
            self.cls, self.positions = nn.Parameter(torch.zeros(1, 1, d)), nn.Parameter(0.02 * torch.randn(1, 197, d))
            self.blocks = nn.ModuleList(
                nn.ModuleList([norm(), Attention(), norm(), Coding(ista, d, d) if white else mlp()]) for _ in range(layers))
            self.head = nn.Sequential(norm(), nn.Linear(d, 1000))

        def forward(self, images):
            b = images.shape[0]
            x = images.view(b, 3, 14, 16, 14, 16).permute(0, 2, 4, 3, 5, 1).reshape(b, 196, 768)
            x = torch.cat([self.cls.expand(b, -1, -1), self.patch(x).float()], dim=1) + self.positions
            for norm1, attention, norm2, second in self.blocks:
                x = x + attention(norm1(x))
                x = second(norm2(x)).float() if white else x + second(norm2(x))
            return self.head(x[:, 0]).float()

    model = Model()
    images, labels = torch.randn(batch, 3, 224, 224), torch.randint(1000, (batch,))

    def logits():
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=case["dtype"] == "bf16"):
            return model(images)

    if case["what"] == "forward":
        return torch.no_grad()(logits)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(logits(), labels).backward()
        optimizer.step()

    return step


def main():
    o = options()
    if o.case:
        return cases.measure(json.loads(o.case), make)
    for threads in o.threads:
        for name in o.models:
            for what in o.what:
                for batch in [o.train_batch] if what == "train" else o.batches:
                    for dtype in o.dtypes:
                        case = {"family": name, "what": what, "dtype": dtype, "threads": threads, "repeats": o.repeats, "batch": batch}
                        cases.compare(__file__, case, [name, "--batch", str(batch)], o.against)


main()
