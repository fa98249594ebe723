# SPDX-License-Identifier: Apache-2.0
"""The models that tests run: the embedded one and those that shared/models/materialize.py writes, which are kept in the cache."""
import os, subprocess, sys

import onnx_environment


def model_file(name):
    """Its path; a model that is missing is made first. Skips without `shared`."""
    if name == "digits":
        return f"{onnx_environment.SOURCE}/tests/models/digits.onnx"
    out = f"{onnx_environment.CACHE}/models"
    materialize = onnx_environment.shared("models/materialize.py")
    with onnx_environment.locked("models"):
        if not os.path.exists(f"{out}/{name}.onnx"):
            subprocess.run([sys.executable, materialize, out, name], check=True, timeout=600)
    return f"{out}/{name}.onnx"
