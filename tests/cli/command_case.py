# SPDX-License-Identifier: Apache-2.0
"""What the tests of the command share."""
import json
import pathlib
import subprocess
import tempfile
import unittest

import onnx_writer as ow


class CommandTest(unittest.TestCase):
    """Runs the command; `binary`, `models` and `libraries` (the folder of tests/provider/libraries, built) are set by cli_test.py."""
    binary = models = libraries = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)
        self.digits = str(self.models / "digits.onnx")

    def ashlar(self, *arguments, code=0):
        done = subprocess.run([self.binary, *map(str, arguments)], capture_output=True, timeout=120, stdin=subprocess.DEVNULL)
        out, err = done.stdout.decode(), done.stderr.decode()
        self.assertEqual(done.returncode, code, f"{arguments}\n{out}\n{err}")
        self.assertNotIn("\r", err)
        return out, err

    def refused(self, *arguments, says=()):
        """An error: exit code 1, one line on standard error that holds every word, nothing on standard output."""
        out, err = self.ashlar(*arguments, code=1)
        self.assertEqual(out, "")
        self.assertTrue(err.splitlines()[-1].startswith("ashlar: error: "), err)
        for word in [says] if isinstance(says, str) else says:
            self.assertIn(word, err)
        with_json, _ = self.ashlar(*arguments, "--json", code=1)
        error = json.loads(with_json)
        self.assertEqual(error["schema"], 1)
        self.assertIn(error["message"][:20], err)
        return error

    def write(self, name, data):
        path = self.dir / name
        path.write_bytes(data)
        return str(path)

    def identity(self, dtype, dims, **names):
        return self.write(f"identity_{dtype}.onnx", ow.identity(dtype, dims, **names))

    def run_json(self, *arguments, code=0):
        report = json.loads(self.ashlar("run", *arguments, "--json", code=code)[0])
        self.assertEqual(report["schema"], 1)
        return report

    def values(self, dtype, dims, value, *options):
        """What an input's VALUE comes to: (type, first elements) of an identity model's output."""
        output = self.run_json(self.identity(dtype, dims), "--input", f"x={value}", *options)["outputs"][0]
        return output["type"], output["values"]
