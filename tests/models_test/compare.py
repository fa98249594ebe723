#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run a model with the `ashlar` command and with ONNX Runtime, and compare: for every output max |difference| <= 1e-4 * max |expected|.

Usage: compare.py BIN_DIR [--providers LIST] [--without-each-pass] MODEL...

MODEL: digits, or one that shared/models/materialize.py writes. A model of shared/measure/cases.json is run with each case's shapes, and
with its first case's once more at batch 3 and once more with every other open dimension halved (1: made 3), as far as its graph leaves them
open. Some models have inputs of their own kind besides. Without --providers: the build's default ones. --without-each-pass: only the first case of a
model, once with all passes and once for each pass of the optimizer that can be left out, without it.
Exit status: 0 all agree, 1 one does not, 77 skipped (the reason is printed).
"""
import argparse, itertools, json, os, subprocess, sys, tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import onnx_environment
from onnx_environment import SOURCE

onnx_environment.enter()
import numpy as np, onnx, onnxruntime
from model_files import model_file
from onnx import numpy_helper

LIMIT = 1e-4


class Pair:
    """One model in both engines."""

    def __init__(self, name, command, options, disabled=("",)):
        self.name, self.command, self.options, self.disabled = name, command, options, disabled
        self.file = model_file(name)
        self.ort = onnxruntime.InferenceSession(self.file, providers=["CPUExecutionProvider"])
        self.inputs = [i.name for i in self.ort.get_inputs()]
        self.outputs = [o.name for o in self.ort.get_outputs()]
        self.worst, self.runs = 0.0, 0

    def expected(self, feeds):
        return dict(zip(self.outputs, self.ort.run(None, feeds)))

    def ours(self, feeds, disable=""):
        """The outputs of `ashlar run` by name, one of its passes left out."""
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(f"{folder}/inputs")
            for j, name in enumerate(self.inputs):
                with open(f"{folder}/inputs/input_{j}.pb", "wb") as f:
                    f.write(numpy_helper.from_array(feeds[name], name).SerializeToString())
            command = [self.command, "run", self.file, "--data-set", f"{folder}/inputs", "--output-dir", f"{folder}/outputs", *self.options]
            command += ["--disable", disable] if disable else []
            done = subprocess.run(command, capture_output=True, text=True, timeout=600)
            if done.returncode != 0:
                sys.exit(f"{' '.join(command)}\nexit status {done.returncode}\n{done.stdout}{done.stderr}")
            return {name: numpy_helper.to_array(onnx.load_tensor(f"{folder}/outputs/output_{j}.pb")) for j, name in enumerate(self.outputs)}

    def judge(self, case, ours, expected):
        """Detections of nearly equal scores may come in another order: a case named 'unordered' compares each output's values sorted."""
        for name in self.outputs:
            a, b = ours[name], expected[name]
            if (a.dtype, a.shape) != (b.dtype, b.shape):
                sys.exit(f"{self.name}/{case}: {name} is {a.dtype}{list(a.shape)}, expected {b.dtype}{list(b.shape)}")
            if b.size == 0:
                continue
            if "unordered" in case:
                a, b = np.sort(a, axis=None), np.sort(b, axis=None)
            scale, difference = float(np.max(np.abs(b))), float(np.max(np.abs(a.astype(np.float64) - b.astype(np.float64))))
            ratio = difference / scale if scale else difference
            if not ratio <= LIMIT:
                sys.exit(f"{self.name}/{case}: {name} differs by {difference:.3g}, {ratio:.3g} of the largest expected (limit {LIMIT:g})")
            self.worst = max(self.worst, ratio)
        self.runs += 1

    def compare(self, case, feeds):
        expected = self.expected(feeds)
        for disable in self.disabled:
            self.judge(f"{case} without {disable}" if disable else case, self.ours(feeds, disable), expected)
        return expected


def case_shapes(shapes, symbols):
    """(case, {input: (dtype, dims, value...)}): what a model of cases.json is run with. `symbols`: {input: its declared dimensions}."""
    fixed = {}
    for case, inputs in shapes.items():
        varying = max((len(dims) for _, dims, *_ in inputs.values() if dims and isinstance(dims[0], list)), default=0)
        for k in sorted({0, varying - 1}) if varying else [None]:
            label = case if k is None else f"{case} {k}"
            fixed[label] = {n: (t, dims if k is None else dims[k], *value) for n, (t, dims, *value) in inputs.items()}
    yield from fixed.items()

    case, inputs = next(iter(fixed.items()))
    batch = next(iter(symbols.values()))[0]
    lengths = {s: d for n, (_, dims, *_) in inputs.items() for s, d in zip(symbols[n], dims) if isinstance(s, str)}

    def resized(change):
        return {n: (t, [change.get(s, d) for s, d in zip(symbols[n], dims)], *value) for n, (t, dims, *value) in inputs.items()}

    if batch in lengths:
        yield f"{case}, batch 3", resized({batch: 3})
    others = {s: d // 2 if d > 1 else 3 for s, d in lengths.items() if s != batch}
    if "past" in others:  # the mask is as long as the past and the new tokens together
        others = {s: d if s in ("past", "seq") else others["past"] + others["seq"] for s, d in others.items()}
    if others:
        yield f"{case}, other lengths", resized(others)


def made_up(shapes, seed):
    """Floats are standard normal, integers in [1, 200), as peers.py has them. Masks are ones; rows after the first end in more zeros."""
    rng, feeds = np.random.default_rng(seed), {}
    for name, (dtype, dims, *value) in shapes.items():
        if value:
            feeds[name] = np.full(dims, value[0], dtype)
        elif "mask" in name:
            feeds[name] = (np.arange(dims[1])[None] < dims[1] - np.arange(dims[0])[:, None]).astype(dtype)
        else:
            feeds[name] = (rng.integers(1, 200, dims) if dtype.startswith("int") else rng.standard_normal(dims)).astype(dtype)
    return feeds


def cases(pair, most=None):
    shapes = json.load(open(onnx_environment.shared("measure/cases.json"))).get(pair.name, {})
    symbols = {i.name: i.shape for i in pair.ort.get_inputs()}
    for seed, (case, inputs) in enumerate(itertools.islice(case_shapes(shapes, symbols), most) if shapes else ()):
        pair.compare(case, made_up(inputs, seed))


def digits(pair):
    images = np.load(f"{SOURCE}/tests/models/digits_heldout_images.npy")
    for case, pick in {"one": images[:1], "all": images}.items():
        pair.compare(case, {"image": (pick[:, None] / 255.0).astype(np.float32)})


def minilm(pair):
    """Sentences of several lengths, padded at the end to the longest, as its tokenizer does: [CLS] ... [SEP] [PAD]..."""
    for case, lengths in {"one": [12], "padded": [24, 9, 17]}.items():
        rng = np.random.default_rng(len(lengths))
        ids = np.zeros((len(lengths), max(lengths)), np.int64)
        for row, length in zip(ids, lengths):
            row[:length] = [101, *rng.integers(1000, 29000, length - 2), 102]
        mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
        pair.compare(case, {"input_ids": ids, "attention_mask": mask})


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
    data = f"{SOURCE}/tests/models"
    files = {"python": __file__, "elf": pair.command, "png": f"{data}/digit_3.png", "markdown": f"{data}/README.md"}
    tokens = {label: magika_tokens(open(file, "rb").read(), config) for label, file in files.items()}
    for label, file in files.items():
        scores = pair.compare(label, {"bytes": tokens[label]})["target_label"]
        found = config["target_labels_space"][int(np.argmax(scores))]
        if found != label:
            sys.exit(f"{pair.name}: {file} was encoded so that ONNX Runtime takes it for {found}, not {label}")
    pair.compare("all", {"bytes": np.concatenate(list(tokens.values()))})


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
    """Frames of 512 new samples after the 64 before them, of one voice and of three at once. Each engine gets its own state back."""
    rate = 16000
    for voices, frames in ((1, 100), (3, 10)):
        sound = voice(((frames + voices) * 512 + 64) / rate, rate)
        theirs = mine = np.zeros((2, voices, 128), np.float32)
        for k in range(frames):
            windows = np.stack([sound[(k + v) * 512 : (k + v) * 512 + 576] for v in range(voices)])
            feeds = {"input": windows, "sr": np.array(rate, np.int64)}
            expected, ours = pair.expected({**feeds, "state": theirs}), pair.ours({**feeds, "state": mine})
            pair.judge(f"frame {k} of {voices}", ours, expected)
            theirs, mine = expected["stateN"], ours["stateN"]


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("bin")
    parser.add_argument("--providers")
    parser.add_argument("--without-each-pass", action="store_true")
    parser.add_argument("models", nargs="+")
    arguments = parser.parse_args()
    options = ["--providers", arguments.providers] if arguments.providers else []
    command, disabled = f"{arguments.bin}/ashlar", [""]
    if arguments.without_each_pass:
        passes = json.loads(subprocess.run([command, "passes", "--json"], capture_output=True, text=True, check=True).stdout)["passes"]
        disabled += [p["pass"] for p in passes if not p["required"]]
    special = {f.__name__: f for f in (digits, minilm, magika_v3_3, silero_vad)}
    for name in arguments.models:
        pair = Pair(name, command, options, disabled)
        if name != "digits":
            cases(pair, 1 if arguments.without_each_pass else None)
        if name in special and not (arguments.without_each_pass and pair.runs):
            special[name](pair)
        if pair.runs == 0:
            sys.exit(f"{name}: nothing to run it with")
        print(f"{name}: {pair.runs} runs, largest difference {pair.worst:.2e} of an output's largest value (limit {LIMIT:g})")


main()
