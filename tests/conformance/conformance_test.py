#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The conformance runner judges cases as it says: conformance_test.py ASHLAR_CONFORMANCE SOURCE_DIR [unittest options]."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

if len(sys.argv) < 3:
    sys.exit(__doc__)
sys.dont_write_bytecode = True
RUNNER, SOURCE = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2])
sys.path.insert(0, str(SOURCE / "tests" / "cli"))
import onnx_writer as ow  # noqa: E402


class Runner(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)

    def case(self, name, given, expected, tolerance=None, sets=1, dtype=ow.FLOAT):
        """A case whose model is the identity; expected is for the last of its data sets, the others agree."""
        case = self.dir / name
        case.mkdir()
        dims = [len(given) // (4 if dtype == ow.FLOAT else 2)]
        (case / "model.onnx").write_bytes(ow.identity(dtype, dims))
        for k in range(sets):
            folder = case / f"test_data_set_{k}"
            folder.mkdir()
            (folder / "input_0.pb").write_bytes(ow.tensor(dtype, dims, given))
            (folder / "output_0.pb").write_bytes(ow.tensor(dtype, dims, expected if k == sets - 1 else given))
        if tolerance:
            (case / "tolerance.json").write_text(json.dumps(tolerance))
        return case

    def run_cases(self, *options, code):
        done = subprocess.run([RUNNER, "--cases", self.dir, *options], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def expectations(self, text):
        file = self.dir / "expected_failures"
        file.write_text(text)
        return "--expected-failures", file

    def test_counts(self):
        self.case("test_good", ow.floats(1, 2), ow.floats(1, 2), sets=3)
        self.case("test_off", ow.floats(1, 2), ow.floats(1, 3), sets=2)
        (self.case("test_broken", ow.floats(1), ow.floats(1)) / "model.onnx").write_bytes(b"\xff\xff")
        (self.dir / "no_case").mkdir()
        out = self.run_cases("--by-operator", code=2)
        self.assertTrue(out.endswith("\n1 passed, 2 failed, 0 skipped\n"), out)
        self.assertIn("FAIL test_off: test_data_set_1 y: 1 of 2 elements differ", out)
        self.assertIn("FAIL test_broken: invalid_model", out)
        self.assertRegex(out, r"\nIdentity +1 +1 +0\n")
        self.assertTrue(self.run_cases("--filter", "go+d", code=0).endswith("1 passed, 0 failed, 0 skipped\n"))

    def test_tolerances(self):
        self.case("test_far", ow.floats(1), ow.floats(1.1))
        self.assertIn("0 passed, 1 failed", self.run_cases(code=2))
        (self.dir / "test_far" / "tolerance.json").write_text('{"rtol": 0.1, "atol": 0}')
        self.assertIn("1 passed, 0 failed", self.run_cases(code=0))

    def test_bfloat16_may_be_two_units_off(self):
        one, next_but_one, far = b"\x80\x3f", b"\x82\x3f", b"\x83\x3f"
        self.case("test_near", next_but_one, one, dtype=ow.BFLOAT16)
        self.assertIn("1 passed, 0 failed", self.run_cases(code=0))
        self.case("test_off", far, one, dtype=ow.BFLOAT16)
        self.assertIn("1 passed, 1 failed", self.run_cases(code=2))

    def test_expected_failures(self):
        self.case("test_good", ow.floats(1), ow.floats(1))
        self.case("test_off_1", ow.floats(1), ow.floats(2))
        self.case("test_off_2", ow.floats(1), ow.floats(2))
        out = self.run_cases(*self.expectations("# known\n\ntest_off_*: the value is wrong\n"), "-v", code=0)
        self.assertIn("skip test_off_1: the value is wrong (now: y: 1 of 1 elements differ", out)
        self.assertTrue(out.endswith("1 passed, 0 failed, 2 skipped\n"), out)
        out = self.run_cases(*self.expectations("test_*: all wrong\ntest_none: gone\n"), code=2)
        self.assertIn("FAIL test_good: passed, but 'test_*' expects a failure: all wrong", out)
        self.assertIn("expected failure 'test_none' matches no case", out)
        self.assertTrue(out.endswith("0 passed, 1 failed, 2 skipped\n"), out)
        out = self.run_cases(*self.expectations("~test_*: random\n"), code=0)
        self.assertTrue(out.endswith("0 passed, 0 failed, 3 skipped\n"), out)

    def test_errors(self):
        self.run_cases(code=1)
        self.case("test_good", ow.floats(1), ow.floats(1))
        self.run_cases("--filter", "nothing", code=1)
        self.run_cases("--filter", "(", code=1)
        self.run_cases("--unknown", code=1)
        self.run_cases("--filter", code=1)
        self.run_cases(*self.expectations("test_good\n"), code=1)
        self.run_cases(*self.expectations("test_good:  \n"), code=1)
        for file in (self.dir / "test_good" / "test_data_set_0").glob("output_*"):
            file.unlink()
        self.assertIn("holds no expected output", self.run_cases(code=2))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
