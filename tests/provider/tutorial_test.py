#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Follow backends/null/README.md as it stands: write the files it shows, run its commands in order, against an installed Ashlar.

Usage: tutorial_test.py CMAKE PREFIX MODEL      run in the root of the source tree; the exit status is 1 when a command fails
"""
import os, re, shutil, subprocess, sys, tempfile

if len(sys.argv) != 4:
    raise SystemExit(__doc__)
cmake, prefix, model = (os.path.abspath(a) for a in sys.argv[1:])

# What a reader does, in order: a block of commands, or a file whose name stands in the line before its block.
steps = []
name = None
block = None
with open("backends/null/README.md", encoding="utf-8") as readme:
    for line in readme:
        fence = re.match(r"\s*```(\w*)", line)
        if block is None and fence:
            block = (fence[1], len(line) - len(line.lstrip()), [])
        elif fence:
            kind, _, lines = block
            steps.append((kind, name, "".join(lines)))
            block = None
        elif block is not None:
            block[2].append(line[block[1]:] if line.strip() else "\n")
        elif found := re.findall(r"`(\w+\.cc)`", line):
            name = found[-1]
commands = [text for kind, _, text in steps if kind == "sh"]
files = [(n, text) for kind, n, text in steps if kind == "cpp"]
if len(commands) < 3 or len(files) < 2:
    raise SystemExit("the tutorial has lost its commands or its files")

environment = dict(os.environ, CMAKE_PREFIX_PATH=prefix, MODEL=model)
environment["CMAKE_GENERATOR"] = "Ninja"
environment["PATH"] = os.pathsep.join([os.path.join(prefix, "bin"), os.path.dirname(cmake), environment["PATH"]])
with tempfile.TemporaryDirectory() as work:
    shutil.copytree("backends/null", f"{work}/backends/null")
    script = ["set -euo pipefail"]
    for kind, file, text in steps:
        if kind == "cpp":
            script.append(f"cat > {file} <<'END_OF_FILE'\n{text}END_OF_FILE")
        else:
            script.append("set -x\n" + text.rstrip() + "\n{ set +x; } 2> /dev/null")
    done = subprocess.run(["bash", "-c", "\n".join(script)], cwd=work, env=environment, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600)
print(done.stdout)
if done.returncode != 0:
    raise SystemExit(f"the tutorial's commands ended with status {done.returncode}")
for needed in ("stone", "no_kernel_op", " 0 failed"):
    if needed not in done.stdout:
        raise SystemExit(f"the tutorial's output does not have '{needed}'")
