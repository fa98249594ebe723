#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run a model with the `ashlar` command on the reference provider and with ONNX Runtime, and compare: for every output
max |difference| <= 1e-4 * max |expected|.

Usage: compare.py BIN_DIR MODEL...      MODEL: digits mlp squeezenet1_1 minilm magika_v3_3 silero_vad

Exit status: 0 all agree, 1 one does not, 77 skipped (the reason is printed). Models and data sets are kept in the cache.
"""
import json, os, shutil, subprocess, sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import onnx_environment
from onnx_environment import CACHE, SOURCE

onnx_environment.enter()
import numpy as np, onnx, onnxruntime
from onnx import numpy_helper

LIMIT = 1e-4


def model_file(name):
    if name == "digits":
        return f"{SOURCE}/tests/models/digits.onnx"
    out = f"{CACHE}/models"
    materialize = onnx_environment.shared("models/materialize.py")
    with onnx_environment.locked("models"):
        if not os.path.exists(f"{out}/{name}.onnx"):
            subprocess.run([sys.executable, materialize, out, name], check=True, timeout=600)
    return f"{out}/{name}.onnx"


class Pair:
    """One model in both engines."""

    def __init__(self, name):
        self.name, self.file = name, model_file(name)
        self.ort = onnxruntime.InferenceSession(self.file, providers=["CPUExecutionProvider"])
        self.inputs = [i.name for i in self.ort.get_inputs()]
        self.outputs = [o.name for o in self.ort.get_outputs()]
        self.worst = 0.0

    def expected(self, feeds):
        return dict(zip(self.outputs, self.ort.run(None, feeds)))

    def ours(self, case, feeds):
        """The outputs of `ashlar run` by name. The data set it reads and what it writes stay in the cache."""
        folder = f"{CACHE}/data-sets/{self.name}/{case}"
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(f"{folder}/inputs")
        for j, name in enumerate(self.inputs):
            with open(f"{folder}/inputs/input_{j}.pb", "wb") as f:
                f.write(numpy_helper.from_array(feeds[name], name).SerializeToString())
        command = [f"{BIN}/ashlar", "run", self.file, "--data-set", f"{folder}/inputs", "--providers", "reference", "--output-dir", f"{folder}/outputs"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}\nexit status {done.returncode}\n{done.stdout}{done.stderr}")
        return {name: numpy_helper.to_array(onnx.load_tensor(f"{folder}/outputs/output_{j}.pb")) for j, name in enumerate(self.outputs)}

    def judge(self, case, ours, expected):
        for name in self.outputs:
            a, b = ours[name], expected[name]
            if (a.dtype, a.shape) != (b.dtype, b.shape):
                sys.exit(f"{self.name}/{case}: {name} is {a.dtype}{list(a.shape)}, expected {b.dtype}{list(b.shape)}")
            scale, difference = float(np.max(np.abs(b))), float(np.max(np.abs(a.astype(np.float64) - b.astype(np.float64))))
            ratio = difference / scale if scale else difference
            if not ratio <= LIMIT:
                sys.exit(f"{self.name}/{case}: {name} differs by {difference:.3g}, {ratio:.3g} of the largest expected value; the limit is {LIMIT:g}")
            self.worst = max(self.worst, ratio)

    def compare(self, case, feeds):
        expected = self.expected(feeds)
        self.judge(case, self.ours(case, feeds), expected)
        return expected


def digits(pair):
    images = np.load(f"{SOURCE}/tests/models/digits_heldout_images.npy")
    for case, pick in {"one": images[:1], "all": images}.items():
        pair.compare(case, {"image": (pick[:, None] / 255.0).astype(np.float32)})
    return 2


def mlp(pair):
    for batch in (1, 32):
        pair.compare(f"b{batch}", {"x": np.random.default_rng(batch).standard_normal((batch, 64), np.float32)})
    return 2


def squeezenet1_1(pair):
    for batch in (1, 2):
        pair.compare(f"b{batch}", {"input": np.random.default_rng(batch).standard_normal((batch, 3, 224, 224), np.float32)})
    return 2


def minilm(pair):
    """Sentences of several lengths, padded at the end to the longest, as its tokenizer does: [CLS] ... [SEP] [PAD]..."""
    for case, lengths in {"one": [12], "padded": [24, 9, 17]}.items():
        rng = np.random.default_rng(len(lengths))
        ids = np.zeros((len(lengths), max(lengths)), np.int64)
        for row, length in zip(ids, lengths):
            row[:length] = [101, *rng.integers(1000, 29000, length - 2), 102]
        mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
        pair.compare(case, {"input_ids": ids, "attention_mask": mask})
    return 2


def magika_tokens(content, config):
    """The first beg_size and the last end_size bytes of what is left of the first and last block without outer white space."""
    def padding(tokens, size):
        return [config["padding_token"]] * (size - len(tokens))
    block = min(config["block_size"], len(content))
    first = list(content[:block].lstrip()[: config["beg_size"]])
    last = list(content[len(content) - block:].rstrip()[-config["end_size"]:])
    return np.array([first + padding(first, config["beg_size"]) + padding(last, config["end_size"]) + last], np.int32)


def magika_v3_3(pair):
    config = json.load(open(onnx_environment.shared("models/real/magika_v3_3.config.json")))
    files = {"python": __file__, "elf": f"{BIN}/ashlar", "png": f"{SOURCE}/tests/models/digit_3.png", "markdown": f"{SOURCE}/tests/models/README.md"}
    for label, file in files.items():
        scores = pair.compare(label, {"bytes": magika_tokens(open(file, "rb").read(), config)})["target_label"]
        found = config["target_labels_space"][int(np.argmax(scores))]
        if found != label:
            sys.exit(f"{pair.name}: {file} was encoded so that ONNX Runtime takes it for {found}, not {label}")
    return len(files)


def voice(seconds, rate):
    """A voice of sorts: the harmonics of a wavering pitch under formants that glide between two vowels, in syllables with pauses."""
    t = np.arange(int(seconds * rate)) / rate
    def resonance(f, peaks):
        return sum(height / (1 + ((f - centre) / width) ** 2) for centre, width, height in peaks)
    phase = 2 * np.pi * np.cumsum(130 * (1 + 0.03 * np.sin(2 * np.pi * 5 * t) + 0.15 * np.sin(2 * np.pi * 0.7 * t))) / rate
    glide = 0.5 + 0.5 * np.sin(2 * np.pi * 2.1 * t)
    a, i = [(700, 120, 1), (1200, 150, 0.6), (2600, 200, 0.3)], [(320, 90, 1), (2200, 200, 0.5), (3000, 250, 0.3)]
    sound = sum((resonance(130 * k, a) * glide + resonance(130 * k, i) * (1 - glide)) * np.sin(k * phase) for k in range(1, 30))
    syllables = np.clip(np.sin(2 * np.pi * 3.3 * t) + 0.7, 0, 1) * (np.sin(2 * np.pi * 0.45 * t) > -0.6)
    noise = 0.003 * np.random.default_rng(1).standard_normal(t.size)
    return (0.3 * sound * syllables / np.abs(sound).max() + noise).astype(np.float32)


def silero_vad(pair):
    """100 frames of 512 new samples after the 64 before them. Each engine gets its own state back."""
    rate, frames = 16000, 100
    sound = voice((frames * 512 + 64) / rate, rate)
    theirs = mine = np.zeros((2, 1, 128), np.float32)
    for k in range(frames):
        feeds = {"input": sound[None, k * 512 : k * 512 + 576], "sr": np.array(rate, np.int64)}
        expected, ours = pair.expected({**feeds, "state": theirs}), pair.ours("frame", {**feeds, "state": mine})
        pair.judge(f"frame {k}", ours, expected)
        theirs, mine = expected["stateN"], ours["stateN"]
    return frames


def main():
    checks = {f.__name__: f for f in (digits, mlp, squeezenet1_1, minilm, magika_v3_3, silero_vad)}
    for name in MODELS:
        if name not in checks:
            sys.exit(f"no model {name}; there are {', '.join(checks)}")
        pair = Pair(name)
        runs = checks[name](pair)
        print(f"{name}: {runs} runs, largest difference {pair.worst:.2e} of an output's largest value (limit {LIMIT:g})")


if len(sys.argv) < 3:
    raise SystemExit(__doc__)
BIN, MODELS = sys.argv[1], sys.argv[2:]
main()
