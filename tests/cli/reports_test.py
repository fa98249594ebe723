# SPDX-License-Identifier: Apache-2.0
"""Options, errors, and what inspect, explain and doctor print."""
import json
import math
import os
import subprocess

import onnx_writer as ow
from command_case import CommandTest


class Options(CommandTest):
    def test_unknown_words_name_the_nearest(self):
        self.refused("rn", says="did you mean 'run'?")
        self.refused("frobnicate", says="there are: run, inspect, explain, passes, memory, doctor")
        self.refused("run", self.digits, "--provders", "reference", says="did you mean '--providers'?")
        self.refused("run", self.digits, "--thread=2", says="did you mean '--threads'?")
        self.refused("explain", self.digits, "--nodes", "x", says="did you mean '--node'?")
        self.refused("run", self.digits, "extra", says="'extra'")
        self.refused("run", self.digits, "--providers", "referense", says=["referense", "did you mean 'reference'?"])
        self.refused("run", says="which model?")
        self.refused("run", self.digits, "--threads", "many", says="--threads")
        self.refused("run", self.digits, "--threads", "-1", says="-1")
        self.refused("run", self.digits, "--top", "-1", says="-1")
        self.refused("run", self.digits, "--rtol", "nan", says="--rtol")
        self.assertIn("--input", self.ashlar("run", self.digits, "--input", code=1)[1])

    def test_help_and_version(self):
        self.assertIn("run", self.ashlar("--help")[0])
        self.assertIn("--data-set", self.ashlar("run", "--help")[0])
        self.assertRegex(self.ashlar("--version")[0], r"^ashlar \d+\.\d+\.\d+\n$")
        self.assertIn("explain", self.ashlar(code=1)[1])

    def test_bad_models(self):
        self.assertEqual(self.refused("run", self.dir / "none.onnx", says="none.onnx")["code"], "not_found")
        self.assertEqual(self.refused("inspect", self.write("bad.onnx", b"\xff" * 64), says="bad.onnx")["code"], "invalid_model")
        self.refused("inspect", self.dir, says=str(self.dir))

    def test_full_standard_output(self):
        if not os.path.exists("/dev/full"):
            self.skipTest("this machine has no /dev/full")
        with open("/dev/full", "w") as full:
            done = subprocess.run([self.binary, "doctor"], stdout=full, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"cannot be written", done.stderr)


class Reports(CommandTest):
    def test_inspect(self):
        out, _ = self.ashlar("inspect", self.digits)
        for words in ["ai.onnx 18", "float32[batch,1,8,8]", "float32[batch,10]", "Conv", "labels", "0,1,2,3,4,5,6,7,8,9"]:
            self.assertIn(words, out)
        report = json.loads(self.ashlar("inspect", self.digits, "--json")[0])
        self.assertEqual(report["schema"], 1)
        self.assertEqual(report["nodes"], 10)
        self.assertEqual(report["operators"]["Conv"], 2)
        self.assertEqual(report["inputs"], [{"name": "image", "type": "float32[batch,1,8,8]"}])
        self.assertEqual(report["opsets"], {"ai.onnx": 18})
        self.assertGreater(report["initializers"]["bytes"], 80000)
        self.assertIn("Conv", self.ashlar("inspect", self.digits, "--text")[0])

    def test_control_characters_do_not_reach_the_terminal(self):
        model = self.identity(ow.FLOAT, [1], input_name="x\x1b[2J", output_name="y\x07")
        for arguments in [("inspect", model), ("inspect", model, "--text"), ("run", model), ("explain", model)]:
            out, err = self.ashlar(*arguments)
            self.assertNotIn("\x1b", out + err)
            self.assertNotIn("\x07", out + err)

    def test_explain(self):
        out, _ = self.ashlar("explain", self.digits)
        self.assertRegex(out, r"10 nodes: 10 on (cpu|reference)")
        placement = json.loads(self.ashlar("explain", self.digits, "--json")[0])
        self.assertEqual(placement["schema"], 1)
        self.assertGreaterEqual(len(placement["nodes"]), 5)
        node = placement["nodes"][0]["node"]
        out, _ = self.ashlar("explain", self.digits, "--node", node)
        for word in ["accepted", node, placement["nodes"][0]["op"]]:
            self.assertIn(word, out)
        one = json.loads(self.ashlar("explain", self.digits, "--node", node, "--json")[0])
        self.assertEqual([n["node"] for n in one["nodes"]], [node])
        self.refused("explain", self.digits, "--node", node + "x", says=f"did you mean '{node}'?")

    def test_stages(self):
        for stage in "graph", "optimized", "placement", "plan":
            text = self.ashlar("explain", self.digits, "--stage", stage)[0]
            self.assertIn("Conv", text)
            report = json.loads(self.ashlar("explain", self.digits, "--stage", stage, "--json")[0])
            self.assertEqual((report["stage"], report["text"]), (stage, text))
        self.refused("explain", self.digits, "--stage", "grap", says="did you mean 'graph'?")

    def test_memory(self):
        report = json.loads(self.ashlar("memory", self.digits, "--shape", "image=3x1x8x8", "--json")[0])
        self.assertEqual((report["schema"], report["known_up_to"]), (1, ""))
        host = report["spaces"][0]
        self.assertEqual(host["space"], "host")
        self.assertEqual(host["peak"], host["constants"] + host["arena"] + host["buffers"])
        self.assertGreaterEqual(host["buffers"], 3 * 10 * 4)
        self.assertTrue(any("float32[3," in item["type"] for item in host["largest"]))
        self.assertIn("known up to", self.ashlar("memory", self.digits)[0])
        self.refused("memory", self.digits, "--shape", "imag=1x1x8x8", says="did you mean 'image'?")
        self.refused("memory", self.digits, "--shape", "image=1x2x8x8", says="float32[batch,1,8,8]")
        self.refused("memory", self.digits, "--memory-limit", "cuda=5X", says="cuda=5X")
        self.refused("memory", self.digits, "--memory-limit", "cuda=5M", says="'cuda'")

    def test_doctor(self):
        environment = json.loads(self.ashlar("doctor", "--json")[0])
        self.assertEqual(environment["schema"], 1)
        self.assertIn("reference", [p["name"] for p in environment["providers"]])
        cpu = environment["cpu"]
        limits = {name: math.ceil(cpu[name]) for name in ("affinity", "physical_cores", "quota") if cpu[name] is not None}
        self.assertEqual(cpu["threads"], min(limits.values()))
        self.assertEqual(limits[cpu["threads_decided_by"]], cpu["threads"])
        self.assertEqual(cpu["affinity"], len(os.sched_getaffinity(0)))
        out, _ = self.ashlar("doctor")
        self.assertRegex(out, rf"cpu threads +{cpu['threads']}, decided by {cpu['threads_decided_by']}\n")
        for word in ["version", "memory", "cpu threads", "reference", "available"]:
            self.assertIn(word, out)
