#!/usr/bin/env python3
"""Run a model with the `ashlar` command on the reference provider and with ONNX Runtime, and compare: for every output
max |difference| <= 1e-4 * max |expected|.

Usage: compare.py BIN_DIR SOURCE_DIR MODEL...      MODEL: digits mlp squeezenet1_1 minilm magika_v3_3 silero_vad

Models but digits come from the folder `shared` beside the source tree, or where ASHLAR_SHARED says. ONNX Runtime is installed into a
virtual environment in the cache (ASHLAR_CACHE), where the models and data sets are kept too.
Exit status: 0 all agree, 1 one does not, 77 skipped (the reason is printed).
"""
import contextlib, fcntl, hashlib, json, os, shutil, subprocess, sys

REQUIREMENTS = ["onnx==1.23.2", "onnxruntime==1.31.1", "numpy"]
LIMIT = 1e-4
CACHE = os.environ.get("ASHLAR_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "ashlar")


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


@contextlib.contextmanager
def locked(name):
    """Tests run side by side; what several of them need is made by one."""
    os.makedirs(CACHE, exist_ok=True)
    with open(f"{CACHE}/{name}.lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def enter_environment():
    """Start over in the virtual environment, which is made first where it is missing."""
    key = hashlib.sha256(" ".join([*REQUIREMENTS, sys.version]).encode()).hexdigest()[:12]
    venv = f"{CACHE}/venv-{key}"
    if sys.prefix == os.path.realpath(venv):
        return
    with locked("venv"):
        if not os.path.exists(f"{venv}/ready"):
            shutil.rmtree(venv, ignore_errors=True)
            try:
                subprocess.run([sys.executable, "-m", "venv", venv], check=True, timeout=120)
                subprocess.run([f"{venv}/bin/pip", "install", "-q", "--timeout", "60", "--retries", "2", *REQUIREMENTS], check=True, timeout=900)
            except (subprocess.SubprocessError, OSError) as e:
                skip(f"{' '.join(REQUIREMENTS)} could not be installed: {e}")
            open(f"{venv}/ready", "w").close()
    os.execv(f"{venv}/bin/python", [f"{venv}/bin/python", *sys.argv])


enter_environment()
import numpy as np, onnx, onnxruntime
from onnx import numpy_helper


def shared_models():
    folder = os.path.join(os.environ.get("ASHLAR_SHARED") or os.path.join(SOURCE, "..", "shared"), "models")
    if not os.path.exists(f"{folder}/materialize.py"):
        skip(f"{os.path.normpath(folder)} is not there, which holds this model; ASHLAR_SHARED names another place")
    return folder


def model_file(name):
    if name == "digits":
        return f"{SOURCE}/tests/models/digits.onnx"
    out = f"{CACHE}/models"
    materialize = f"{shared_models()}/materialize.py"
    with locked("models"):
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
    config = json.load(open(f"{shared_models()}/real/magika_v3_3.config.json"))
    files = {"python": __file__, "elf": f"{BIN}/ashlar", "png": f"{SOURCE}/tests/models/digit_3.png", "markdown": f"{SOURCE}/tests/models/README.md"}
    for label, file in files.items():
        scores = pair.compare(label, {"bytes": magika_tokens(open(file, "rb").read(), config)})["target_label"]
        found = config["target_labels_space"][int(np.argmax(scores))]
        if found != label:
            sys.exit(f"{pair.name}: {file} was encoded so that ONNX Runtime takes it for {found}, not {label}")
    return len(files)


def silero_vad(pair):
    """100 frames of 512 new samples after the 64 before them: bursts of a buzzing vowel between noise. Each engine gets its own state back."""
    rate, frames = 16000, 100
    t = np.arange(frames * 512 + 64) / rate
    buzz = sum(np.sin(2 * np.pi * 140 * k * t + 3 * np.sin(2 * np.pi * 4 * t)) / k for k in range(1, 20)) * (np.sin(2 * np.pi * 1.3 * t) > 0)
    sound = (0.15 * buzz + 0.01 * np.random.default_rng(1).standard_normal(t.size)).astype(np.float32)
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


if len(sys.argv) < 4:
    raise SystemExit(__doc__)
BIN, SOURCE, MODELS = sys.argv[1], os.path.abspath(sys.argv[2]), sys.argv[3:]
main()
