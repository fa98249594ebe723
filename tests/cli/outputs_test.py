# SPDX-License-Identifier: Apache-2.0
"""Outputs: compared, written, traced."""
import json
import os
import struct

import arrays
import onnx_writer as ow
from command_case import CommandTest


class DataSets(CommandTest):
    def data_set(self, expected):
        model = ow.model([("a", ow.FLOAT, [2]), ("b", ow.FLOAT, [2])], [("Add", ["a", "b"], ["sum/1"]), ("Sub", ["a", "b"], ["sum:1"])],
                         [("sum/1", ow.FLOAT, [2]), ("sum:1", ow.FLOAT, [2])])
        folder = self.dir / "set"
        folder.mkdir()
        self.write("set/input_0.pb", ow.tensor(ow.FLOAT, [2], ow.floats(1, 2)))
        self.write("set/input_1.pb", ow.tensor(ow.FLOAT, [2], ow.floats(10, 20)))
        self.write("set/output_0.pb", ow.tensor(ow.FLOAT, [len(expected)], ow.floats(*expected)))
        return self.write("add.onnx", model), folder

    def test_agreement(self):
        model, folder = self.data_set([11, 22.0001])
        out, _ = self.ashlar("run", model, "--data-set", folder)
        self.assertIn("1 of 1 compared outputs agree (rtol 0.001, atol 1e-07)", out)
        self.assertTrue(self.run_json(model, "--data-set", folder)["comparison"]["passed"])

    def test_difference(self):
        model, folder = self.data_set([11, 20])
        out, _ = self.ashlar("run", model, "--data-set", folder, code=2)
        self.assertIn("sum/1 differs from output_0.pb: 1 of 2 elements differ, max abs difference 2, max relative difference 0.1, "
                      "worst at [1]: 22, expected 20", out)
        output = self.run_json(model, "--data-set", folder, code=2)["comparison"]["outputs"][0]
        self.assertEqual((output["max_abs"], output["index"], output["actual"], output["expected"]), (2, "[1]", "22", "20"))
        self.ashlar("run", model, "--data-set", folder, "--rtol", "0.2")
        self.ashlar("run", model, "--data-set", folder, "--atol", "3", "--rtol", "0")

    def test_shapes_and_nan(self):
        model, folder = self.data_set([11, 22, 33])
        self.assertIn("is float32[2], expected float32[3]", self.ashlar("run", model, "--data-set", folder, code=2)[0])
        nan = float("nan")
        self.write("set/input_0.pb", ow.tensor(ow.FLOAT, [2], ow.floats(nan, float("inf"))))
        self.write("set/output_0.pb", ow.tensor(ow.FLOAT, [2], ow.floats(nan, float("inf"))))
        self.ashlar("run", model, "--data-set", folder)
        self.write("set/output_0.pb", ow.tensor(ow.FLOAT, [2], ow.floats(1, float("inf"))))
        self.assertIn("worst at [0]: nan, expected 1", self.ashlar("run", model, "--data-set", folder, code=2)[0])

    def test_refusals(self):
        model, folder = self.data_set([11, 22])
        self.refused("run", model, "--data-set", folder / "none", says="no such directory")
        self.refused("run", model, "--data-set", folder, "--input", "a=[1,2]", says="exclude")
        self.write("set/input_2.pb", ow.tensor(ow.FLOAT, [2], ow.floats(1, 2)))
        self.refused("run", model, "--data-set", folder, says=["2 inputs", "input_2.pb"])
        os.remove(folder / "input_2.pb")
        os.remove(folder / "input_1.pb")
        self.refused("run", model, "--data-set", folder, says="no file for an input")

    def test_outputs_round_trip(self):
        model, folder = self.data_set([11, 22])
        written = self.dir / "deep" / "er"
        self.ashlar("run", model, "--data-set", folder, "--output-dir", written)
        self.assertEqual(sorted(f.name for f in written.iterdir()), ["output_0.pb", "output_1.pb", "sum_1.npy", "sum_1_1.npy"])
        self.assertEqual(arrays.parse_npy((written / "sum_1.npy").read_bytes()), ("<f4", (2,), ow.floats(11, 22)))
        for j in range(2):
            os.replace(written / f"output_{j}.pb", folder / f"output_{j}.pb")
        self.assertIn("2 of 2 compared outputs agree (rtol 0, atol 0)",
                      self.ashlar("run", model, "--data-set", folder, "--rtol", "0", "--atol", "0")[0])

    def test_npy_of_every_kind(self):
        for dtype, literal, expected in [
            (ow.BFLOAT16, "[[1,-2.5]]", ("<f4", (1, 2), ow.floats(1, -2.5))),
            (ow.INT4, "[[-8,7]]", ("|i1", (1, 2), b"\xf8\x07")),
            (ow.BOOL, "[[true,false]]", ("|b1", (1, 2), b"\1\0")),
            (ow.STRING, '[["a","éb"]]', ("<U2", (1, 2), "a\0éb".encode("utf-32-le"))),
            (ow.INT64, "[[1,-1]]", ("<i8", (1, 2), struct.pack("<2q", 1, -1))),
        ]:
            with self.subTest(dtype=dtype):
                self.ashlar("run", self.identity(dtype, [1, 2]), "--input", f"x={literal}", "--output-dir", self.dir / "out")
                self.assertEqual(arrays.parse_npy((self.dir / "out" / "y.npy").read_bytes()), expected)

    def test_a_name_cannot_leave_the_directory(self):
        model = self.identity(ow.FLOAT, [1], output_name="../../../escape")
        self.ashlar("run", model, "--output-dir", self.dir / "a" / "b")
        self.assertEqual(sorted(f.name for f in (self.dir / "a" / "b").iterdir()), ["_._.._.._escape.npy", "output_0.pb"])

    def test_an_unwritable_directory(self):
        file = self.write("file", b"")
        self.refused("run", self.digits, "--output-dir", f"{file}/inside", says="cannot be created")


class Tracing(CommandTest):
    def test_trace_file_and_table(self):
        file = self.dir / "trace.json"
        out, _ = self.ashlar("run", self.digits, "--trace", file, "--top", "2")
        self.assertIn("unaccounted", out)
        trace = json.loads(file.read_text())
        events = trace["traceEvents"] if isinstance(trace, dict) else trace
        self.assertGreaterEqual(len(events), 10)
        report = self.run_json(self.digits, "--top", "2")["trace"]
        total = sum(e["duration_ns"] for e in report["events"] if e.get("depth", 0) == 0)
        self.assertEqual(total + report["unaccounted_ns"], report["wall_ns"])
        self.refused("run", self.digits, "--trace", self.dir / "none" / "t.json", says="io")
