#!/usr/bin/python3
"""A random GPT-2 in the file that llama.cpp reads (GGUF, version 3):

  "GGUF", version, number of tensors, number of settings; the settings (name, type, value); of each tensor its name,
  dimensions (the fastest first), type and place; then the tensors, each at a multiple of 32 bytes.

Its tokens have made-up names. Matrices are f32, bf16 or q8_0 (32 numbers as bytes with one half-precision scale); vectors and positions stay f32.
"""
import argparse
import array
import random
import struct

TYPES = {"f32": (0, 1, 4), "bf16": (30, 1, 2), "q8_0": (8, 32, 34)}  # number, and a block's numbers and bytes
ALIGN, PIECE = 32, 65536
U32, F32, TEXT, LIST = 4, 6, 8, 9


def text(s):
    return struct.pack("<Q", len(s)) + s.encode()


def setting(name, kind, value):
    return text(name) + struct.pack("<I", kind) + (text(value) if kind == TEXT else struct.pack({U32: "<I", F32: "<f"}[kind], value))


def texts(name, values):
    return text(name) + struct.pack("<IIQ", LIST, TEXT, len(values)) + b"".join(text(v) for v in values)


def random_piece(dtype):
    """PIECE numbers near 0, as bytes."""
    if dtype == "q8_0":
        return b"".join(struct.pack("<e", 0.0003) + random.randbytes(32) for _ in range(PIECE // 32))
    numbers = array.array("f", (0.04 * random.random() - 0.02 for _ in range(PIECE))).tobytes()
    return numbers if dtype == "f32" else b"".join(numbers[i + 2:i + 4] for i in range(0, len(numbers), 4))


def tensors_of(o):
    """Name, dimensions, is a matrix; scales of norms are 1."""
    d, v = o.dim, o.vocab
    yield "token_embd.weight", (d, v), True
    yield "position_embd.weight", (d, o.context), False
    for i in range(o.layers):
        for name, width in (("attn_norm", d), ("ffn_norm", d)):
            yield f"blk.{i}.{name}.weight", (d,), False
            yield f"blk.{i}.{name}.bias", (d,), False
        for name, inputs, outputs in (("attn_qkv", d, 3 * d), ("attn_output", d, d), ("ffn_up", d, 4 * d), ("ffn_down", 4 * d, d)):
            yield f"blk.{i}.{name}.weight", (inputs, outputs), True
            yield f"blk.{i}.{name}.bias", (outputs,), False
    yield "output_norm.weight", (d,), False
    yield "output_norm.bias", (d,), False
    yield "output.weight", (d, v), True


def settings_of(o):
    yield setting("general.architecture", TEXT, "gpt2")
    yield setting("general.name", TEXT, "random")
    for name, value in (("context_length", o.context), ("embedding_length", o.dim), ("block_count", o.layers),
                        ("feed_forward_length", 4 * o.dim), ("attention.head_count", o.heads), ("vocab_size", o.vocab)):
        yield setting(f"gpt2.{name}", U32, value)
    yield setting("gpt2.attention.layer_norm_epsilon", F32, 1e-5)
    yield setting("tokenizer.ggml.model", TEXT, "gpt2")
    yield setting("tokenizer.ggml.pre", TEXT, "gpt-2")
    yield texts("tokenizer.ggml.tokens", [f"t{i}" for i in range(o.vocab)])
    yield texts("tokenizer.ggml.merges", ["t 0"])


def write(path, o):
    settings, about, bodies, at = list(settings_of(o)), [], [], 0
    for name, dims, matrix in tensors_of(o):
        number, block, size = TYPES[o.dtype if matrix else "f32"]
        count = 1
        for n in dims:
            count *= n
        about.append(text(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims) + struct.pack("<IQ", number, at))
        bodies.append((name, count // block * size, matrix))
        at += -(-bodies[-1][1] // ALIGN) * ALIGN
    pieces = {True: random_piece(o.dtype), False: random_piece("f32")}
    with open(path, "wb") as out:
        out.write(b"GGUF" + struct.pack("<IQQ", 3, len(about), len(settings)) + b"".join(settings) + b"".join(about))
        for name, size, matrix in bodies:
            out.write(bytes(-out.tell() % ALIGN))
            ones = name.endswith("norm.weight")
            piece = struct.pack("<f", 1) * (size // 4) if ones else pieces[matrix]
            while size > 0:
                size -= out.write(piece[:size])


def main():
    p = argparse.ArgumentParser(description="a random GPT-2 in llama.cpp's file format")
    p.add_argument("file")
    for name, value in (("dim", 768), ("layers", 12), ("heads", 12), ("context", 1024), ("vocab", 50257)):
        p.add_argument(f"--{name}", type=int, default=value)
    p.add_argument("--dtype", choices=TYPES, default="f32")
    o = p.parse_args()
    random.seed(1)
    write(o.file, o)


main()
