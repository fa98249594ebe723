# SPDX-License-Identifier: Apache-2.0
"""What tests need that compare with ONNX's and ONNX Runtime's Python packages: those packages, and the folder `shared`.

The packages go into a virtual environment in the cache (ASHLAR_CACHE). `shared` lies beside the source tree, or where ASHLAR_SHARED says.
"""
import contextlib, fcntl, hashlib, os, shutil, subprocess, sys

REQUIREMENTS = ["onnx==1.23.2", "onnxruntime==1.31.1", "numpy"]
SOURCE = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
CACHE = os.environ.get("ASHLAR_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "ashlar")


def skip(reason):
    """End the test as skipped."""
    print(f"skipped: {reason}")
    sys.exit(77)


@contextlib.contextmanager
def locked(name):
    """Tests run side by side; what several of them need is made by one."""
    os.makedirs(CACHE, exist_ok=True)
    with open(f"{CACHE}/{name}.lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def enter():
    """Start the program over in the virtual environment, which is made first where it is missing. Skips when it cannot be."""
    key = hashlib.sha256(" ".join([*REQUIREMENTS, sys.version]).encode()).hexdigest()[:12]
    venv = f"{CACHE}/venv-{key}"
    if os.path.realpath(sys.prefix) == os.path.realpath(venv):
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


def shared(path):
    """The path of a file in `shared`. Skips when it is not there."""
    folder = os.environ.get("ASHLAR_SHARED") or os.path.join(SOURCE, "..", "shared")
    file = os.path.normpath(os.path.join(folder, path))
    if not os.path.exists(file):
        skip(f"{file} is not there; ASHLAR_SHARED names the folder that holds {path}")
    return file
