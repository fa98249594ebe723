#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run the ONNX project's operator cases, which are written into the cache first.

Usage: onnx_cases.py ASHLAR_CONFORMANCE [OPTION of that program]...

Exit status: that program's, or 77 skipped (the reason is printed).
"""
import os, shutil, subprocess, sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import onnx_environment

onnx_environment.enter()
import onnx


def cases():
    """The folder of the cases of this release of ONNX."""
    folder = f"{onnx_environment.CACHE}/onnx-cases-{onnx.__version__}"
    writer = onnx_environment.shared("conformance/write_onnx_cases.py")
    with onnx_environment.locked("onnx-cases"):
        if not os.path.isdir(folder):
            shutil.rmtree(f"{folder}.part", ignore_errors=True)
            subprocess.run([sys.executable, writer, f"{folder}.part"], check=True, timeout=900)
            os.rename(f"{folder}.part", folder)
    return folder


if len(sys.argv) < 2:
    raise SystemExit(__doc__)
sys.exit(subprocess.run([sys.argv[1], "--cases", cases(), *sys.argv[2:]]).returncode)
