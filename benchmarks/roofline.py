#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the roofline table of models: what each achieves against what the machine can do, and its costliest steps.

Usage: roofline.py --models DIR --cases FILE [--bin build/release/bin] [--threads 2] [--runs 50] [--only a,b] [--output docs/roofline.md]

FILE is JSON, {model: {case: {input: [dtype, dims] or [dtype, dims, value]}}}; of an input whose dims are a list of several, the first counts.
The times are medians over traced runs of ashlar_peer_worker, the peaks those of machine_benchmark. Needs: numpy
"""
import argparse
import collections
import json
import pathlib
import re
import subprocess
import tempfile

import numpy as np


def write_feeds(inputs, folder):
    """Masks are ones, other integers in [1, 200), floats standard normal; a given value fills."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for name, (dtype, dims, *value) in inputs.items():
        dims = dims[0] if dims and isinstance(dims[0], list) else dims
        if value:
            array = np.full(dims, value[0], dtype)
        elif dtype.startswith("int"):
            array = np.ones(dims, dtype) if "mask" in name else rng.integers(1, 200, dims).astype(dtype)
        else:
            array = rng.standard_normal(dims).astype(dtype)
        np.save(folder / f"{name}.npy", array)


def measure_machine(program, threads):
    """Float32 operations and bytes read a second."""
    out = subprocess.run([program, "--benchmark_format=json", "--benchmark_repetitions=5", "--benchmark_report_aggregates_only=true"],
                         capture_output=True, text=True, check=True).stdout
    found = {}
    for b in json.loads(out)["benchmarks"]:
        if b["aggregate_name"] == "median":
            found[b["run_name"].split("/")[0], int(b["run_name"].split("/")[1])] = b.get("flops") or b.get("bytes_per_second")
    return found["BM_MultiplyAdds", threads], found["BM_ReadMemory", threads]


def trace(worker, model, threads, inputs, runs):
    with tempfile.TemporaryDirectory() as folder:
        write_feeds(inputs, pathlib.Path(folder) / "0")
        done = subprocess.run([worker, model, str(threads), folder], input=f"run {max(10, runs // 2)}\ntrace {runs}\n", capture_output=True,
                              text=True, check=True)
    return json.loads(done.stdout.splitlines()[2])


class Roof:
    def __init__(self, flops, bandwidth):
        self.flops, self.bandwidth = flops, bandwidth

    def us(self, step):
        """The least time of a step: its arithmetic at the peak, or its bytes from memory, whichever is longer."""
        return 1e6 * max(step["operations"] / self.flops, step["bytes"] / self.bandwidth)


def shortened(text, most):
    return text if len(text) <= most else "..." + text[3 - most:]


def model_rows(name, report, roof):
    steps, wall = report["steps"], report["wall_us"]
    operations = sum(s["operations"] for s in steps)
    return f"| {name} | {wall / 1e3:.3f} | {operations / 1e9:.3f} | {operations / wall / 1e3:.1f} | {100 * operations / wall * 1e6 / roof.flops:.0f} | " \
           f"{sum(s['bytes'] for s in steps) / 1e6:.1f} | {100 * sum(min(roof.us(s), s['us']) for s in steps) / wall:.0f} |"


def step_rows(report, roof):
    rows = ["| node | kernel | outputs | ms | % | GFLOP/s | GB/s | % of roof |", "|---|---|---|---|---|---|---|---|"]
    for s in sorted(report["steps"], key=lambda s: -s["us"])[:10]:
        us = max(s["us"], 1e-3)
        rows.append(f"| {shortened(s['node'], 40)} | {s['kernel']} | {s['outputs'].replace('float32', '')} | {us / 1e3:.3f} | "
                    f"{100 * us / report['wall_us']:.1f} | {s['operations'] / us / 1e3:.1f} | {s['bytes'] / us / 1e3:.1f} | {100 * roof.us(s) / us:.0f} |")
    return rows


def kernel_rows(report, roof):
    """Where time above the roof goes, by kernel."""
    groups = collections.defaultdict(lambda: [0, 0.0, 0.0])
    for s in report["steps"]:
        g = groups[s["kernel"].split("+")[0]]
        g[0] += 1
        g[1] += s["us"]
        g[2] += max(0.0, s["us"] - roof.us(s))
    top = sorted(groups.items(), key=lambda g: -g[1][2])[:4]
    return ", ".join(f"{k} ({n} steps, {us / 1e3:.3f} ms) {above / 1e3:.3f}" for k, (n, us, above) in top)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--cases", type=pathlib.Path, required=True)
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build/release/bin"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--only", default="")
    parser.add_argument("--output", type=pathlib.Path)
    args = parser.parse_args()

    peak, bandwidth = measure_machine(args.bin / "machine_benchmark", args.threads)
    roof = Roof(peak, bandwidth)
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    wanted = set(filter(None, args.only.split(",")))
    table, sections = [], []
    for model, cases in json.loads(args.cases.read_text()).items():
        file = args.models / f"{model}.onnx"
        if (wanted and model not in wanted) or not file.exists():
            continue
        for case, inputs in cases.items():
            report = trace(args.bin / "ashlar_peer_worker", file, args.threads, inputs, args.runs)
            name = f"{model}/{case}"
            table.append(model_rows(name, report, roof))
            sections += ["", f"## {name}", "", f"Time above the roof, ms: {kernel_rows(report, roof)}.", ""] + step_rows(report, roof)
            print(table[-1], flush=True)

    text = [
        "# Roofline", "",
        "Written by `benchmarks/roofline.py`; [performance.md](performance.md) says how to read it. Operations are those of the operators' definitions, a multiplication",
        "with its addition two, so that a step of Winograd's convolution may achieve more than the peak; bytes are operands, weights and results, which",
        "caches may hold. The roof of a step is the longer of its arithmetic at the peak and its bytes at the read bandwidth.", "",
        f"Machine: {cpu.group(1) if cpu else 'unknown'}, {args.threads} threads, {peak / 1e9:.0f} GFLOP/s of float32 multiply-adds, "
        f"{bandwidth / 1e9:.1f} GB/s read (`machine_benchmark`).", "",
        "| model | ms | GFLOP | GFLOP/s | % of peak | MB | % of roof |", "|---|---|---|---|---|---|---|"
    ] + table + sections
    if args.output:
        args.output.write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
