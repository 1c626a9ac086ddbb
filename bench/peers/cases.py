"""What the peers share: one case a process, timed there, with `crate bench` on the same case just before and after.

A fresh process a case, because the libraries read the number of threads when they are loaded, and because what a process
held at most is never forgotten. On a machine to ourselves cpu_ms is threads x ms; where it is much less, others were
computing and the wall time is theirs.
"""
import json
import os
import statistics
import subprocess
import sys
import time


# PyTorch gives large tensors back to the kernel and gets new pages for the next ones. Where a page fault is dear, as on
# virtual machines, that alone made it two to three times slower; glibc is told to keep what it has.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(8 << 30), "MALLOC_TRIM_THRESHOLD_": str(8 << 30)}


def add_options(parser):
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--what", nargs="+", default=["train", "forward"], choices=["train", "forward"])
    parser.add_argument("--dtypes", nargs="+", default=["f32", "bf16"], help="f32, or bf16: autocast")
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, cores}))
    parser.add_argument("--repeats", type=int, default=5, help="after a warm-up; the median counts")
    parser.add_argument("--against", metavar="CRATE", help="run `CRATE bench` before and after each case and add its mean, its memory and the ratios")
    parser.add_argument("--case", help="one case as JSON, measured in this very process")


def resident():
    """Megabytes this process holds now, and held at most."""
    with open("/proc/self/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return [int(fields[name].split()[0]) * 1024e-6 for name in ("VmRSS", "VmHWM")]


def blas_in_use():
    """The library behind PyTorch's f32 products, from what this process has mapped."""
    with open("/proc/self/maps") as maps:
        paths = {os.path.realpath(line.split()[-1]) for line in maps if ".so" in line}
    for path in sorted(paths):
        for name in ("mkl_rt", "mkl_core", "openblas", "blis", "atlas"):
            if name in path:
                return name
    return "reference" if any("/libblas." in path for path in paths) else "built in"


def measure(case, make):
    """In the child: make(case) gives what is timed. Prints one JSON line."""
    import torch

    torch.set_num_threads(case["threads"])
    torch.set_flush_denormal(True)
    torch.manual_seed(1)
    before = resident()[0]
    step = make(case)
    step()
    wall, cpu = [], []
    for _ in range(case["repeats"]):
        began, began_cpu = time.perf_counter(), time.process_time()
        step()
        wall.append(1e3 * (time.perf_counter() - began))
        cpu.append(1e3 * (time.process_time() - began_cpu))
    print(json.dumps({"peer": f"torch {torch.__version__}", "blas": blas_in_use(), "ms": round(statistics.median(wall), 2),
                      "cpu_ms": round(statistics.median(cpu), 2), "memory_mb": round(resident()[1] - before, 1)}))


def in_child(script, case):
    """What `measure` found in a process of its own."""
    env = dict(os.environ, **KEEP_MEMORY, OMP_NUM_THREADS=str(case["threads"]), OPENBLAS_NUM_THREADS=str(case["threads"]))
    run = subprocess.run([sys.executable, script, "--case", json.dumps(case)], check=True, stdout=subprocess.PIPE, env=env)
    return json.loads(run.stdout)


def crate(program, case, arguments, only):
    """The line of `crate bench` for the same case."""
    command = [program, "bench", *arguments, "--dtype", case["dtype"], "--threads", str(case["threads"]), "--json", "--only", only]
    command += ["--repeats", str(1 if only == "memory" else case["repeats"])]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    wanted = {"train": "training step", "forward": "forward", "memory": "memory"}[only]
    return next(r for r in json.loads(run.stdout)["results"] if r["what"].startswith(wanted))


def compare(script, case, arguments, against):
    """One printed line: the peer's time and memory, ours, and the ratios (above 1: we are faster, or hold less)."""
    before = crate(against, case, arguments, case["what"])["ms"] if against else 0
    line = {**case, **in_child(script, case)}
    if line["blas"] == "reference":
        print("bench/peers: PyTorch runs on Debian's reference BLAS, many times slower than it can be; "
              "install libopenblas0-openmp before comparing", file=sys.stderr)
    if case["what"] == "forward":
        del line["memory_mb"]  # of training alone
    if against:
        ours = (before + crate(against, case, arguments, case["what"])["ms"]) / 2
        line |= {"crate_ms": round(ours, 2), "speedup": round(line["ms"] / ours, 2)}
    if against and case["what"] == "train":
        memory = crate(against, case, arguments, "memory")
        line |= {"crate_memory_mb": round(1e-6 * memory["resident_bytes"], 1),
                 "memory_ratio": round(line["memory_mb"] / (1e-6 * memory["resident_bytes"]), 2),
                 "crate_bytes_per_token_and_layer": round(memory["bytes_per_token_and_layer"])}
    print(json.dumps(line), flush=True)
