#!/usr/bin/python3
"""Training steps and forwards of crate-lm, crate-gpt and gpt2 in plain PyTorch, timed: the peer of `crate bench`.

Written from the formulas of the papers, with as many matrix products as their authors' code spends.
n tokens, d width, k heads, p = d/k, m atoms; rows are tokens.

  crate-lm   x + Wo A(w) w + b, then from zero two steps in a dictionary W (m = 4d, d), no residual:
             z0 = relu(eta W v - eta lambda), z1 = relu(z0 + eta (W v - W W'z0) - eta lambda), x' = W'z1    5 products
  crate-gpt  the same attention half, then relu(v + eta (D'v - D'(D v)) - eta lambda), no residual          3 products
  gpt2       the usual small GPT: query, key and value in one product, fused attention where this PyTorch has it
             (2.0 and later), an exact-GELU MLP of width 4d, both with residuals, a tied head                12 d^2

A step is forward, cross-entropy over every position, backward, AdamW, gradients cleared; a forward ends in the loss.
"""
import argparse
import json

import cases


def options():
    p = argparse.ArgumentParser(description="training steps and forwards of models of text in PyTorch, timed")
    p.add_argument("families", nargs="*", default=["crate-lm", "crate-gpt", "gpt2"])
    p.add_argument("--dim", type=int, default=384)
    p.add_argument("--layers", type=int, default=6)
    p.add_argument("--heads", type=int, default=6)
    p.add_argument("--context", type=int, default=256)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--vocab", type=int, default=257)
    cases.add_options(p)
    return p.parse_args()


SIZES = ("dim", "layers", "heads", "context", "batch", "vocab")


def make(case):
    """What is timed, of one case."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    from formulas import Coding, ista, ista_wide

    d, context, vocab = case["dim"], case["context"], case["vocab"]
    fused = getattr(F, "scaled_dot_product_attention", None)

    class Attention(nn.Module):
        """Causal heads. White box: one projection w serves as query, key and value. Twin: three."""

        def __init__(self, white):
            super().__init__()
            self.copies = 1 if white else 3
            self.project = nn.Linear(d, self.copies * d, bias=not white)
            self.out = nn.Linear(d, d)
            self.register_buffer("future", torch.ones(context, context, dtype=torch.bool).triu(1))

        def forward(self, x):
            b, n, _ = x.shape
            split = [w.view(b, n, case["heads"], -1).transpose(1, 2) for w in self.project(x).split(d, dim=2)]
            q, k, v = split * (3 // self.copies)
            if fused and self.copies == 3:
                y = fused(q, k, v, is_causal=True)
            else:
                scores = (q @ k.transpose(2, 3)) * q.shape[3] ** -0.5
                y = scores.masked_fill(self.future[:n, :n], -torch.inf).softmax(dim=3) @ v
            return self.out(y.transpose(1, 2).reshape(b, n, d))

    class Block(nn.Module):
        def __init__(self, family):
            super().__init__()
            self.twin = family == "gpt2"
            self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
            self.attention = Attention(white=not self.twin)
            if self.twin:
                self.second = nn.Sequential(nn.Linear(d, 4 * d), nn.GELU(), nn.Linear(4 * d, d))
            else:
                self.second = Coding(ista_wide, 4 * d, d) if family == "crate-lm" else Coding(ista, d, d)

        def forward(self, x):
            x = x + self.attention(self.norm1(x))
            second = self.second(self.norm2(x))
            # autocast leaves bf16 behind; the stream stays f32, which the norms of torch 1.13 ask for
            return x + second if self.twin else second.float()

    class Model(nn.Module):
        def __init__(self, family):
            super().__init__()
            self.tokens, self.positions = nn.Embedding(vocab, d), nn.Embedding(context, d)
            self.blocks = nn.Sequential(*(Block(family) for _ in range(case["layers"])))
            self.norm = nn.Identity() if family == "crate-gpt" else nn.LayerNorm(d)
            for module in self.modules():
                if isinstance(module, (nn.Linear, nn.Embedding)):
                    nn.init.normal_(module.weight, std=0.02)
                if isinstance(module, nn.Linear) and module.bias is not None:
                    nn.init.zeros_(module.bias)

        def loss(self, tokens, targets):
            x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
            logits = F.linear(self.norm(self.blocks(x)), self.tokens.weight)
            return F.cross_entropy(logits.float().view(-1, vocab), targets.view(-1))

    model = Model(case["family"])
    tokens, targets = torch.randint(vocab, (2, case["batch"], context))

    def loss():
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=case["dtype"] == "bf16"):
            value = model.loss(tokens, targets)
        if not value.isfinite():
            raise SystemExit(f"bench/peers: the loss of {case['family']} in {case['dtype']} is {value.item()}: the times mean nothing")
        return value

    if case["what"] == "forward":
        return torch.no_grad()(loss)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1)

    def step():
        loss().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def main():
    o = options()
    if o.case:
        return cases.measure(json.loads(o.case), make)
    for threads in o.threads:
        for family in o.families:
            for what in o.what:
                for dtype in o.dtypes:
                    sizes = {name: getattr(o, name) for name in SIZES}
                    case = {"family": family, "what": what, "dtype": dtype, "threads": threads, "repeats": o.repeats, **sizes}
                    cases.compare(__file__, case, [family, *(f"--{name}={value}" for name, value in sizes.items())], o.against)


main()
