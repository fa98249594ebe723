#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the optimizer makes of models: nodes in the file, after the passes, and as steps of the CPU plan, beside ONNX Runtime's own optimised files.

Usage: optimizer_table.py BIN_DIR [--time] [MODEL...]

Bodies of control flow count with their nodes. Fails when the passes leave more nodes than ORT_ENABLE_BASIC, when the plan has more steps than ORT_ENABLE_ALL has
nodes, when constants grow by more than 1 MiB and 1 %, when an attention block or a normalization of a transformer is not found, or when a block has more
nodes than it may. --time: also when optimising, folding apart, takes more than 20 ms and 20 us a node (the best of five).
Exit status: 0 all is as it must be, 1 something is not, 77 skipped (the reason is printed).
"""
import argparse, collections, json, os, re, subprocess, sys, tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import onnx_environment

onnx_environment.enter()
import onnx, onnxruntime
from model_files import model_file

MODELS = """resnet50 mobilenet_v3_large efficientnet_b0 vit_b_16 minilm bert_base bert_small_legacy whisper_encoder silero_vad magika_v3_3 llama_kv
gpt2_kv_legacy""".split()
# Attention blocks, normalizations, and the most nodes of a block.
BLOCKS = {"vit_b_16": (12, 25, 12), "minilm": (6, 13, 12), "bert_base": (12, 25, 12), "bert_small_legacy": (4, 9, 12), "whisper_encoder": (4, 9, 12),
          "llama_kv": (8, 17, 16), "gpt2_kv_legacy": (4, 9, 16)}
NORMALIZATIONS = {"LayerNormalization", "RMSNormalization", "ashlar::SkipLayerNormalization", "ashlar::SkipRMSNormalization"}
LEVELS = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL


def nodes_of(graph):
    bodies = [a.g for n in graph.node for a in n.attribute if a.type == onnx.AttributeProto.GRAPH]
    return len(graph.node) + sum(map(nodes_of, bodies))


def peer_nodes(file):
    """ONNX Runtime's count at both levels."""
    counts = []
    for level in LEVELS:
        with tempfile.TemporaryDirectory() as folder:
            options = onnxruntime.SessionOptions()
            options.graph_optimization_level, options.log_severity_level = level, 3
            options.optimized_model_filepath = f"{folder}/optimized.onnx"
            onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
            counts.append(nodes_of(onnx.load(options.optimized_model_filepath, load_external_data=False).graph))
    return counts


def ashlar(command, *arguments):
    done = subprocess.run([command, *arguments, "--providers", "cpu,reference"], capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        sys.exit(f"{' '.join([command, *arguments])}\n{done.stdout}{done.stderr}")
    return done.stdout


def blocks(text):
    """Attention nodes, normalizations, and the most nodes between one Attention and the next of the main graph."""
    ops = re.findall(r"^\s*\S+ = (\S+)@\d+\(", text, re.M)
    count = collections.Counter(ops)
    at = [i for i, op in enumerate(ops) if op == "Attention"]
    return count["Attention"], sum(count[n] for n in NORMALIZATIONS), max((b - a for a, b in zip(at, at[1:])), default=0)


class Row:
    def __init__(self, command, name, timed):
        file = model_file(name)
        report = json.loads(ashlar(command, "passes", file, "--json"))
        self.name, self.before, self.after = name, report["nodes_before"], report["nodes_after"]
        self.steps = len(re.findall(r"^\s*\d+: ", ashlar(command, "explain", file, "--stage", "plan"), re.M))
        self.basic, self.all = peer_nodes(file)
        self.added = report["constant_bytes_after"] - report["constant_bytes_before"]
        self.most_added = max(1 << 20, report["constant_bytes_before"] // 100)
        self.attention, self.norms, self.block = blocks(ashlar(command, "explain", file, "--stage", "optimized"))
        runs = [report] + [json.loads(ashlar(command, "passes", file, "--json")) for _ in range(4 if timed else 0)]
        self.milliseconds = min(r["nanoseconds"] - r["folding_nanoseconds"] for r in runs) / 1e6
        self.most_milliseconds = 20 + 0.02 * self.before
        self.timed = timed

    def faults(self):
        if self.after > self.basic:
            yield f"{self.after} nodes, ORT_ENABLE_BASIC has {self.basic}"
        if self.steps > self.all:
            yield f"{self.steps} steps, ORT_ENABLE_ALL has {self.all} nodes"
        if self.added > self.most_added:
            yield f"constants grow by {self.added} bytes, {self.most_added} are allowed"
        if self.timed and self.milliseconds > self.most_milliseconds:
            yield f"optimising takes {self.milliseconds:.1f} ms, {self.most_milliseconds:.1f} are allowed"
        if self.name in BLOCKS:
            attention, norms, most = BLOCKS[self.name]
            if self.attention != attention:
                yield f"{self.attention} of {attention} attention blocks found"
            if self.norms != norms:
                yield f"{self.norms} of {norms} normalizations found"
            if self.attention > 1 and self.block > most:
                yield f"a block has {self.block} nodes, {most} are allowed"

    def cells(self):
        attention, norms, most = BLOCKS.get(self.name, ("", "", ""))
        found = [f"{self.attention}/{attention}", f"{self.norms}/{norms}", f"{self.block}/{most}"] if attention else ["", "", ""]
        return [self.name, self.before, self.after, self.basic, self.steps, self.all, *found,
                f"{self.milliseconds:.1f}/{self.most_milliseconds:.1f}", f"{self.added}/{self.most_added}"]


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("bin")
    parser.add_argument("--time", action="store_true")
    parser.add_argument("models", nargs="*")
    arguments = parser.parse_args()
    head = ["model", "nodes", "after", "BASIC", "steps", "ALL", "attention", "norms", "block", "ms/limit", "bytes added/limit"]
    rows = [Row(f"{arguments.bin}/ashlar", name, arguments.time) for name in arguments.models or MODELS]
    table = [head, *(r.cells() for r in rows)]
    widths = [max(len(str(line[i])) for line in table) for i in range(len(head))]
    for line in table:
        print("  ".join(str(c).ljust(w) if i == 0 else str(c).rjust(w) for i, (c, w) in enumerate(zip(line, widths))))
    faults = [f"{r.name}: {fault}" for r in rows for fault in r.faults()]
    print("\n".join(faults))
    return 1 if faults else 0


sys.exit(main())
