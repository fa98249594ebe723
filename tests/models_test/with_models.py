#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run a program on models by name, which are made first where they are missing.

Usage: with_models.py PROGRAM ARGUMENT...      @NAME becomes the file of that model; the exit status is the program's; 77: skipped (the
                                               reason is printed)
"""
import os, sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import onnx_environment

if len(sys.argv) < 3:
    raise SystemExit(__doc__)
onnx_environment.enter()
from model_files import model_file

program, *arguments = sys.argv[1:]
os.execv(program, [program, *(model_file(a[1:]) if a.startswith("@") else a for a in arguments)])
