"""The dictionary halves in PyTorch, with as many products as the authors' code spends. Imported only where a case is timed:
the libraries read the number of threads when they are loaded. D, W: dictionaries, one atom a row.
"""
import torch
from torch import nn
from torch.nn import functional as F

ETA, LAMBDA = 0.1, 0.1


def ista(v, dictionary):
    """One step in a square dictionary, as in crate-gpt and in crate: three products."""
    rebuilt = F.linear(F.linear(v, dictionary), dictionary.t())
    return F.relu(v + ETA * (F.linear(v, dictionary.t()) - rebuilt) - ETA * LAMBDA)


def ista_wide(v, dictionary):
    """Two steps from zero in a tied dictionary, as in crate-lm, W v computed twice: five products."""
    code = F.relu(ETA * F.linear(v, dictionary) - ETA * LAMBDA)
    back = F.linear(F.linear(code, dictionary.t()), dictionary)
    code = F.relu(code + ETA * (F.linear(v, dictionary) - back) - ETA * LAMBDA)
    return F.linear(code, dictionary.t())


class Coding(nn.Module):
    """One of them with a dictionary of its own."""

    def __init__(self, steps, atoms, d):
        super().__init__()
        self.steps = steps
        self.dict = nn.Parameter(nn.init.kaiming_uniform_(torch.empty(atoms, d)))

    def forward(self, v):
        return self.steps(v, self.dict)
