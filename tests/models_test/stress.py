#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run ashlar_stress on a model by name, which is made first where it is missing.

Usage: stress.py ASHLAR_STRESS CHECK MODEL [ARGUMENT...]      the exit status is the program's; 77: skipped (the reason is printed)
"""
import os, sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import onnx_environment

if len(sys.argv) < 4:
    raise SystemExit(__doc__)
onnx_environment.enter()
from model_files import model_file

program, check, model, *arguments = sys.argv[1:]
os.execv(program, [program, check, model_file(model), *arguments])
