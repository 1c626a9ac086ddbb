#!/usr/bin/python3
"""The files that llm.c's CPU trainer reads, with random numbers in them: a model of any size, and tokens.

  gpt2_124M.bin    256 int32 (magic 20240326, version 3, context, vocabulary, layers, heads, width, padded vocabulary),
                   then float32 tensors, each for all layers one after the other, in the order of `tensors` below
  dev/data/tinyshakespeare/tiny_shakespeare_{train,val}.bin
                   256 int32 (magic 20240520, version 1, number of tokens), then uint16 tokens

The trainer has these names built in, and batches of 4 sequences of 64 tokens.
"""
import argparse
import array
import os
import random


def floats(out, count, scale, offset=0.0):
    """`count` numbers, in pieces: random ones near `offset`, repeated every 65536."""
    piece = array.array("f", (offset + scale * (2 * random.random() - 1) for _ in range(min(count, 65536))))
    while count > 0:
        piece[:count].tofile(out)
        count -= min(count, len(piece))


def write_model(path, o):
    padded = -(-o.vocab // 128) * 128
    d, layers = o.dim, o.layers
    tensors = [  # numbers, scale, offset
        (padded * d, 0.02, 0), (o.context * d, 0.02, 0),                  # embeddings of tokens and positions
        (layers * d, 0, 1), (layers * d, 0, 0),                           # first norm
        (layers * 3 * d * d, 0.02, 0), (layers * 3 * d, 0, 0),            # query, key, value
        (layers * d * d, 0.02, 0), (layers * d, 0, 0),                    # after attention
        (layers * d, 0, 1), (layers * d, 0, 0),                           # second norm
        (layers * 4 * d * d, 0.02, 0), (layers * 4 * d, 0, 0),            # into the mlp
        (layers * 4 * d * d, 0.02, 0), (layers * d, 0, 0),                # out of it
        (d, 0, 1), (d, 0, 0)]                                             # last norm
    header = array.array("i", [20240326, 3, o.context, o.vocab, layers, o.heads, d, padded] + [0] * 248)
    with open(path, "wb") as out:
        header.tofile(out)
        for count, scale, offset in tensors:
            floats(out, count, scale, offset)


def write_tokens(path, count, vocab):
    with open(path, "wb") as out:
        array.array("i", [20240520, 1, count] + [0] * 253).tofile(out)
        array.array("H", (random.randrange(vocab) for _ in range(count))).tofile(out)


def main():
    p = argparse.ArgumentParser(description="a random model and random tokens in the files of llm.c's CPU trainer")
    p.add_argument("folder")
    for name, value in (("dim", 384), ("layers", 6), ("heads", 6), ("context", 64), ("vocab", 257)):
        p.add_argument(f"--{name}", type=int, default=value)
    o = p.parse_args()
    random.seed(1)
    data = os.path.join(o.folder, "dev/data/tinyshakespeare")
    os.makedirs(data, exist_ok=True)
    write_model(os.path.join(o.folder, "gpt2_124M.bin"), o)
    for part in ("train", "val"):
        write_tokens(os.path.join(data, f"tiny_shakespeare_{part}.bin"), 20_000, o.vocab)


main()
