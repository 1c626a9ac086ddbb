#!/usr/bin/python3
"""llama.cpp's shared library, where somebody else built it, with the options and the answer of its llama-bench that
llama.py reads: tokens a second of decoding one sequence from an empty cache.

LLAMA_LIBRARY: the folder of libllama, libggml and its libraries for the processor. Its settings are structures that grow
from version to version; here they are bytes, of which only the first number of a context's, its length in tokens, is
touched.
"""
import argparse
import ctypes
import glob
import json
import os
import time

SETTINGS, BATCH = 1024, 56  # bytes: more than any version's settings; a batch's number and six pointers


def options():
    p = argparse.ArgumentParser(description="llama.cpp's library in the place of llama-bench", add_help=False)
    for name, kind in (("-m", str), ("-p", int), ("-n", int), ("-t", int), ("-r", int), ("-o", str)):
        p.add_argument(name, type=kind)
    return p.parse_args()


def block(size):
    return type(f"Block{size}", (ctypes.Structure,), {"_fields_": [("bytes", ctypes.c_char * size)]})


class Llama:
    """One model and one sequence."""

    def __init__(self, folder, file, threads, length):
        load = lambda name: ctypes.CDLL(self.found(folder, name), mode=ctypes.RTLD_GLOBAL)
        load("libggml-base.so*")
        ggml, self.llama = load("libggml.*so*"), load("libllama.*so*")
        ggml.ggml_backend_load_all_from_path(folder.encode())
        settings, self.batch = block(SETTINGS), block(BATCH)
        model_settings = self.function("llama_model_default_params", settings)()
        model = self.function("llama_model_load_from_file", ctypes.c_void_p, ctypes.c_char_p, settings)(file.encode(), model_settings)
        context_settings = self.function("llama_context_default_params", settings)()
        ctypes.memmove(ctypes.byref(context_settings), ctypes.byref(ctypes.c_uint32(length)), 4)
        self.context = self.function("llama_init_from_model", ctypes.c_void_p, ctypes.c_void_p, settings)(model, context_settings)
        if not model or not self.context:
            raise SystemExit(f"bench/peers: llama.cpp cannot read {file}")
        self.function("llama_set_n_threads", None, ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32)(self.context, threads, threads)
        self.memory = self.function("llama_get_memory", ctypes.c_void_p, ctypes.c_void_p)(self.context)
        self.clear = self.function("llama_memory_clear", None, ctypes.c_void_p, ctypes.c_bool)
        self.one = self.function("llama_batch_get_one", self.batch, ctypes.POINTER(ctypes.c_int32), ctypes.c_int32)
        self.step = self.function("llama_decode", ctypes.c_int32, ctypes.c_void_p, self.batch)
        self.wait = self.function("llama_synchronize", None, ctypes.c_void_p)

    @staticmethod
    def found(folder, name):
        files = sorted(glob.glob(os.path.join(folder, name)))
        if not files:
            raise SystemExit(f"bench/peers: LLAMA_LIBRARY, {folder}, holds no {name}")
        return files[0]

    def function(self, name, result, *arguments):
        f = getattr(self.llama, name)
        f.restype, f.argtypes = result, arguments
        return f

    def decode(self, tokens):
        self.clear(self.memory, True)
        for token in range(tokens):
            if self.step(self.context, self.one(ctypes.byref(ctypes.c_int32(token + 1)), 1)) != 0:
                raise SystemExit("bench/peers: llama.cpp failed to decode")
            self.wait(self.context)


def main():
    o = options()
    llama = Llama(os.environ["LLAMA_LIBRARY"], o.m, o.t, max(256, o.n))
    samples = []
    for _ in range(o.r + 1):
        begin = time.perf_counter()
        llama.decode(o.n)
        samples.append(o.n / (time.perf_counter() - begin))
    print(json.dumps([{"samples_ts": samples[1:]}]))


main()
