"""One training step (forward, backward, AdamW) of crate-lm, crate-gpt and gpt2 in plain PyTorch, for comparison.

The formulas are those of the released code, written out: square ISTA with three products, the wide one with five, causal
attention as two products around a softmax, GELU in its erf form. Same sizes as `crate bench`. One JSON line a case.
"""
import argparse
import json
import math
import statistics
import sys
import time

try:
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
except ImportError:
    print("skipped: PyTorch is not installed (apt-get install python3-torch)")
    sys.exit(0)


def causal(q, k, v, heads):
    b, n, d = v.shape
    q, k, v = (x.view(b, n, heads, d // heads).transpose(1, 2) for x in (q, k, v))
    scores = (q @ k.transpose(-2, -1)) / math.sqrt(d // heads)
    hidden = torch.ones(n, n, dtype=torch.bool).triu(1)
    out = scores.masked_fill(hidden, float("-inf")).softmax(-1) @ v
    return out.transpose(1, 2).reshape(b, n, d)


class Subspaces(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads, self.u, self.w = heads, nn.Linear(d, d, bias=False), nn.Linear(d, d)

    def forward(self, x):
        w = self.u(x)
        return self.w(causal(w, w, w, self.heads))


class Attention(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads, self.qkv, self.w = heads, nn.Linear(d, 3 * d), nn.Linear(d, d)

    def forward(self, x):
        return self.w(causal(*self.qkv(x).chunk(3, -1), self.heads))


class Dictionary(nn.Module):
    eta, threshold = 0.1, 0.1

    def __init__(self, atoms, d):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(atoms, d))
        nn.init.kaiming_uniform_(self.weight)


class SquareIsta(Dictionary):
    def forward(self, v):
        d = self.weight
        again = F.linear(F.linear(v, d), d.t())
        return F.relu(v + self.eta * (F.linear(v, d.t()) - again) - self.eta * self.threshold)


class WideIsta(Dictionary):
    def forward(self, v):
        w = self.weight
        first = F.relu(self.eta * F.linear(v, w) - self.eta * self.threshold)
        missing = F.linear(v, w) - F.linear(F.linear(first, w.t()), w)
        code = F.relu(first + self.eta * missing - self.eta * self.threshold)
        return F.linear(code, w.t())


class Mlp(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.up, self.down = nn.Linear(d, 4 * d), nn.Linear(4 * d, d)

    def forward(self, x):
        return self.down(F.gelu(self.up(x)))


class Block(nn.Module):
    def __init__(self, family, d, heads):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attention = Attention(d, heads) if family == "gpt2" else Subspaces(d, heads)
        self.half = {"gpt2": lambda: Mlp(d), "crate-gpt": lambda: SquareIsta(d, d), "crate-lm": lambda: WideIsta(4 * d, d)}[family]()
        self.residual = family == "gpt2"

    def forward(self, x):
        x = x + self.attention(self.n1(x))
        out = self.half(self.n2(x))
        return x + out if self.residual else out


class Model(nn.Module):
    def __init__(self, family, a):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(a.vocab, a.dim), nn.Embedding(a.context, a.dim)
        self.blocks = nn.ModuleList(Block(family, a.dim, a.heads) for _ in range(a.layers))
        self.norm = nn.Identity() if family == "crate-gpt" else nn.LayerNorm(a.dim)

    def forward(self, x, y):
        z = self.tokens(x) + self.positions.weight[: x.shape[1]]
        for block in self.blocks:
            z = block(z)
        logits = F.linear(self.norm(z), self.tokens.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), y.view(-1))


def step_ms(family, dtype, a):
    torch.manual_seed(1)
    model = Model(family, a)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    x, y = (torch.randint(0, a.vocab, (a.batch, a.context)) for _ in range(2))
    times = []
    for _ in range(a.repeats + 1):
        start = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16"):
            loss = model(x, y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times[1:])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("families", nargs="*", default=["crate-lm", "crate-gpt", "gpt2"])
    for name, value in {"dim": 384, "layers": 6, "heads": 6, "context": 256, "batch": 32, "vocab": 257, "repeats": 3, "threads": 0}.items():
        p.add_argument("--" + name, type=int, default=value)
    p.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
    a = p.parse_args()
    if a.threads:
        torch.set_num_threads(a.threads)
    for family in a.families:
        ms = step_ms(family, a.dtype, a)
        line = {"peer": "pytorch " + torch.__version__, "model": family, "dtype": a.dtype, "threads": torch.get_num_threads(),
                "ms": ms, "tokens_per_second": 1e3 * a.batch * a.context / ms}
        print(json.dumps(line), flush=True)


main()
