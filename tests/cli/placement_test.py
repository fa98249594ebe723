# SPDX-License-Identifier: Apache-2.0
"""Placement by the command: policies, profiles, pins, copies, plans without a device or weights, differences, the page."""
import json
import os
import pathlib

import onnx_writer as ow
from command_case import CommandTest


class Placements(CommandTest):
    def setUp(self):
        super().setUp()
        self.example = os.environ.get("ASHLAR_EXAMPLE_PROVIDER")
        if not self.libraries or not self.example:
            self.skipTest("ASHLAR_PROVIDER_LIBRARIES and ASHLAR_EXAMPLE_PROVIDER name no provider libraries")
        nodes = [("Relu", ["x"], ["a"]), ("Exp", ["a"], ["b"]), ("Tanh", ["b"], ["c"]), ("Sigmoid", ["c"], ["y"])]
        self.model = self.write("chain.onnx", ow.model([("x", ow.FLOAT, [64, 256])], nodes, [("y", ow.FLOAT, [64, 256])]))
        self.providers = ("--providers", f"{self.example},cpu")

    def explain(self, *arguments, code=0):
        return json.loads(self.ashlar("explain", self.model, *arguments, "--json", code=code)[0])

    def places(self, *arguments):
        return [n["provider"] for n in self.explain(*arguments)["nodes"]]

    def test_every_copy_says_why(self):
        report = self.explain(*self.providers, "--measure", "3")
        self.assertEqual([n["provider"] for n in report["nodes"]], ["example", "cpu", "example", "example"])
        copies = {(c["tensor"], c["to"]): c for c in report["copies"]}
        self.assertEqual(copies["x", "example"]["cause"]["code"], "graph_input")
        self.assertEqual(copies["a", "host"]["cause"]["code"], "no_kernel_op")
        self.assertEqual(copies["b", "example"]["cause"]["node"], report["nodes"][1]["node"])
        self.assertEqual(copies["y", "host"]["cause"]["code"], "graph_output")
        for c in report["copies"]:
            self.assertEqual((c["bytes"], c["measured"]["runs"], c["measured"]["bytes"]), (65536, 3, 3 * 65536))
        self.assertEqual(report["totals"], {"copies_per_run": 4, "bytes_per_run": 4 * 65536, "copies_once": 0, "bytes_once": 0})
        self.assertEqual([(w["op"], w["copies"], w["bytes"]) for w in report["what_if"]], [("Exp", -2, -2 * 65536)])
        out, _ = self.ashlar("explain", self.model, *self.providers)
        self.assertRegex(out, r"(?m)^a run is estimated at [0-9.]+ us; placed by cost \(--policy cost\) at [0-9.]+ us: 3 nodes would move$")
        self.assertIn("because example refused Exp#1 (no_kernel_op): example has no kernel for Exp\n", out)
        self.assertIn("example: Exp (no_kernel_op, 1 node: Exp#1): 2 copies less (-128.0 KiB a run)", out)

    def test_policies_and_pins(self):
        self.assertEqual(self.places(*self.providers, "--policy", "cost"), ["cpu"] * 4)
        self.assertRegex(self.ashlar("explain", self.model, "--measure", "1")[0], r"(?m)^node +operator +provider +kernel +measured +outputs$")
        self.assertEqual(self.places(*self.providers, "--pin", "op:Tanh=cpu", "--pin", "Sigm*=cpu"), ["example", "cpu", "cpu", "cpu"])
        self.refused("explain", self.model, *self.providers, "--pin", "op:Exp=example", says=["(Exp) to example (no_kernel_op)"])
        self.refused("explain", self.model, *self.providers, "--pin", "op:Exp", says="--pin is NODE=PROVIDER")
        self.refused("explain", self.model, *self.providers, "--policy", "costs", says="did you mean 'cost'?")

    def test_a_profile_moves_nodes_off_a_slow_device(self):
        slow = ("--providers", f"{self.example}?slow=2000,cpu")
        trace, before, after = (str(self.dir / name) for name in ("slow.json", "before.json", "after.json"))
        self.ashlar("run", self.model, *slow, "--trace", trace)
        for file, options in (before, ()), (after, ("--profile", trace)):
            pathlib.Path(file).write_text(self.ashlar("explain", self.model, *slow, *options, "--json")[0])
        moved = json.loads(pathlib.Path(after).read_text())
        self.assertEqual([n["provider"] for n in moved["nodes"]], ["cpu"] * 4)
        verdict = moved["nodes"][0]["verdicts"][0]
        self.assertEqual((verdict["code"], verdict["cost"]["source"]), ("cost_model", "profile"))
        self.assertIn("(by slow.json)", verdict["reason"])
        out, _ = self.ashlar("explain", "diff", before, after, code=2)
        self.assertRegex(out, r"(?m)^moved  Relu#0 \(Relu\): example -> cpu\n +example was not chosen \(cost_model\): ")
        self.assertRegex(out, r"(?m)^copy -  host -> example, x \(64\.0 KiB, each run\)$")
        report = json.loads(self.ashlar("explain", "diff", before, after, "--json", code=2)[0])
        self.assertEqual((len(report["moved"]), len(report["copies_gone"])), (3, 4))
        self.assertEqual(self.ashlar("explain", "diff", before, before)[0], "the same placement\n")
        self.refused("explain", "diff", before, trace, says="it is not what `ashlar explain --json` writes")
        self.refused("explain", self.model, *slow, "--profile", before, says="the trace has no step of a provider")
        self.refused("explain", self.model, *slow, "--profile", self.model, says="it is no trace")
        self.refused("explain", self.model, *slow, "--profile", trace, "--policy", "preference", says="excludes it")
        self.refused("explain", self.digits, *slow, "--profile", trace, says="the profile 'slow.json' has no step of this session's nodes")
        pathlib.Path(before).write_text('{"nodes": [{"node": 3}], "copies": []}')
        self.refused("explain", "diff", before, after, says="is not what `ashlar explain --json` writes")

    def test_a_plan_needs_no_device(self):
        absent = str(self.libraries / "absent_device.so")
        self.refused("explain", self.model, "--providers", f"{absent},cpu", "--plan-only", says="no absent device is in this machine")
        missing = self.explain("--providers", f"{absent},cpu", "--allow-missing")["nodes"][0]["verdicts"]
        self.assertEqual([(v["provider"], v.get("code")) for v in missing], [("absent", "device_missing"), ("cpu", None)])
        library = self.explain("--providers", f"{absent}?library=on,cpu", "--allow-missing")["nodes"][0]["verdicts"][0]
        self.assertEqual((library["code"], library["reason"]), ("library_missing", "libabsent.so.3 was not found"))
        device = str(self.dir / "device.json")
        self.ashlar("doctor", "--providers", self.example, "--device-json", device)
        described = json.loads(pathlib.Path(device).read_text())
        self.assertGreater(described["providers"][0]["rates"]["operations_per_second"], 0)
        plan = self.explain(*self.providers, "--plan-only", "--device", device)
        self.assertEqual([n["provider"] for n in plan["nodes"]], self.places(*self.providers))
        self.assertEqual(plan["totals"], self.explain(*self.providers)["totals"])
        described["providers"][0].update(name="absent", attributes={"generation": "1"})
        pathlib.Path(device).write_text(json.dumps(described))
        there = ("--providers", f"{absent},cpu", "--plan-only", "--device", device)
        self.assertEqual(self.places(*there), ["absent", "cpu", "cpu", "cpu"])
        nodes = [("Relu", ["x"], ["y"])]
        self.model = self.write("double.onnx", ow.model([("x", ow.DOUBLE, [4])], nodes, [("y", ow.DOUBLE, [4])]))
        there = ("--providers", f"{absent},reference", "--plan-only", "--device", device)
        self.assertEqual(self.places(*there), ["reference"])
        described["providers"][0]["attributes"]["generation"] = "2"
        pathlib.Path(device).write_text(json.dumps(described))
        self.assertEqual(self.places(*there), ["absent"])
        self.refused("explain", self.model, "--device", device, says="--device is for --plan-only")
        self.refused("explain", self.model, *there, "--measure", "1", says="--measure excludes it")
        pathlib.Path(device).write_text("{}")
        error = self.refused("explain", self.model, *there, says="doctor --device-json")
        self.assertEqual(error["file"], device)

    def test_a_plan_needs_no_weights(self):
        weight = ow.external(ow.FLOAT, [256, 256], "weights.bin", "w")
        nodes = [("MatMul", ["x", "w"], ["a"]), ("Exp", ["a"], ["y"])]
        model = ow.model([("x", ow.FLOAT, [4, 256])], nodes, [("y", ow.FLOAT, [4, 256])], initializers=[weight])
        self.model = self.write("external.onnx", model)
        weights = self.dir / "weights.bin"
        weights.write_bytes(b"\0" * (256 * 256 * 4))
        whole = self.explain(*self.providers)
        weights.unlink()
        self.refused("explain", self.model, *self.providers, says="weights.bin")
        plan = self.explain(*self.providers, "--plan-only")
        for c in whole["copies"]:
            if c["when"] == "once":
                self.assertEqual(c.pop("measured")["bytes"], 256 * 256 * 4)
        self.assertEqual((plan["nodes"], plan["copies"]), (whole["nodes"], whole["copies"]))

    def test_the_page_is_one_file(self):
        page = self.dir / "page.html"
        self.ashlar("explain", self.model, *self.providers, "--html", page)
        text = page.read_text()
        self.assertNotRegex(text, r"(src|href)\s*=\s*[\"']?(https?:)?//")
        data = text.split('<script id="data" type="application/json">')[1].split("</script>")[0]
        self.assertEqual([n["provider"] for n in json.loads(data)["nodes"]], ["example", "cpu", "example", "example"])
        self.refused("explain", self.model, "--html", self.dir / "no" / "page.html", says="page.html")
