# SPDX-License-Identifier: Apache-2.0
"""What ashlar passes prints, and the options that leave passes out."""
import json

import onnx_writer as ow
from command_case import CommandTest

SCALARS = [ow.tensor(ow.FLOAT, [], ow.floats(v), n) for n, v in [("root", 1.41421356), ("one", 1), ("half", 0.5)]]
GELU = [("Div", ["x", "root"], ["d"]), ("Erf", ["d"], ["e"]), ("Add", ["e", "one"], ["s"]), ("Mul", ["x", "s"], ["m"]), ("Mul", ["m", "half"], ["y"])]


class Passes(CommandTest):
    def gelu(self, outputs=("y",)):
        return self.write("gelu.onnx", ow.model([("x", ow.FLOAT, ["N", 4])], GELU, [(o, ow.FLOAT, ["N", 4]) for o in outputs], SCALARS))

    def test_list(self):
        out, _ = self.ashlar("passes")
        names = [line.split()[0] for line in out.splitlines()]
        self.assertEqual((names[0], names[1], names[-1]), ("canonicalize", "legalize", "restore"))
        self.assertIn("fuse-gelu", names)
        listed = json.loads(self.ashlar("passes", "--json")[0])
        self.assertEqual([p["pass"] for p in listed["passes"]], names)
        self.assertEqual([p["pass"] for p in listed["passes"] if p["required"]], ["canonicalize", "legalize", "restore"])

    def test_rewrites(self):
        out, _ = self.ashlar("passes", self.gelu())
        self.assertIn("fuse-gelu: Div#0 (Div), Erf#1 (Erf), Add#2 (Add), Mul#3 (Mul), Mul#4 (Mul) -> Mul#4 (Gelu)", out)
        self.assertIn("5 nodes became 1 by 1 rewrites", out)
        report = json.loads(self.ashlar("passes", self.gelu(), "--json")[0])
        self.assertEqual((report["schema"], report["nodes_before"], report["nodes_after"]), (1, 5, 1))
        rewrite = report["rewrites"][0]
        self.assertEqual(rewrite["after"], [{"node": "Mul#4", "op": "Gelu", "origins": ["Div#0", "Erf#1", "Add#2", "Mul#3", "Mul#4"]}])
        self.assertGreater(rewrite["nanoseconds"], 0)

    def test_near_misses(self):
        model = self.gelu(outputs=("y", "s"))
        out, _ = self.ashlar("passes", model)
        self.assertRegex(out, r"fuse-gelu at Erf#1 \(Erf\): 4 of 5: Add#2 has 2 consumers \(it is an output\)|"
                              r"fuse-gelu at Erf#1 \(Erf\): 4 of 5: Add#2 has 2 consumers \(.*it is an output\)")
        misses = json.loads(self.ashlar("passes", model, "--json")[0])["near_misses"]
        self.assertIn(("fuse-gelu", "Erf#1", 4, 5), [(m["rule"], m["node"], m["matched"], m["total"]) for m in misses])
        self.assertIn("near miss, fuse-gelu: 4 of 5", self.ashlar("explain", model, "--node", "Erf#1")[0])

    def test_history_of_a_node(self):
        for node in ["Erf#1", "Mul#4"]:
            out, _ = self.ashlar("explain", self.gelu(), "--node", node)
            self.assertIn("rewrite 1, fuse-gelu", out)
            self.assertIn("Gelu", out)
        one = json.loads(self.ashlar("explain", self.gelu(), "--node", "Erf#1", "--json")[0])
        self.assertEqual([n["node"] for n in one["nodes"]], ["Mul#4"])
        self.assertEqual(len(one["history"]["rewrites"]), 1)
        self.refused("explain", self.gelu(), "--node", "Erf#2", says="did you mean 'Erf#1'?")

    def test_left_out(self):
        for options in [["--disable", "fuse-gelu"], ["--stop-after", "0"], ["--only", "eliminate-dead,canonicalize"]]:
            report = json.loads(self.ashlar("passes", self.gelu(), "--json", *options)[0])
            self.assertEqual(report["nodes_after"], 5, options)
            self.assertNotIn("Gelu", self.ashlar("explain", self.gelu(), "--stage", "optimized", *options)[0])
            self.assertEqual(self.run_json(self.gelu(), "--input", "x=[[0,1,2,3]]", *options).keys(),
                             self.run_json(self.gelu(), "--input", "x=[[0,1,2,3]]").keys())
            self.ashlar("memory", self.gelu(), *options)

    def test_refusals(self):
        self.refused("passes", self.gelu(), "--disable", "fuse-gleu", says="did you mean 'fuse-gelu'?")
        self.refused("run", self.gelu(), "--only", "none", says="'none'")
        self.assertEqual(self.refused("passes", self.gelu(), "--disable", "legalize", says="cannot be disabled")["code"], "invalid_argument")
        self.refused("passes", self.gelu(), "--stop-after", "-1", says="-1")
        self.refused("passes", self.gelu(), "--stop-after", "many", says="'many'")
        self.refused("passes", self.dir / "none.onnx", says="none.onnx")
