# SPDX-License-Identifier: Apache-2.0
"""Providers by path: the libraries of tests/provider/libraries."""
import json
import os

import onnx_writer as ow
from command_case import CommandTest


class Providers(CommandTest):
    def setUp(self):
        super().setUp()
        if not self.libraries:
            self.skipTest("ASHLAR_PROVIDER_LIBRARIES names no folder of provider libraries")
        nodes = [("Relu", ["x"], ["r"]), ("Neg", ["r"], ["y"])]
        self.model = self.write("relu.onnx", ow.model([("x", ow.FLOAT, [4])], nodes, [("y", ow.FLOAT, [4])]))

    def library(self, name):
        return str(self.libraries / f"{name}.so")

    def test_run_and_explain(self):
        for path in self.library("works"), os.path.relpath(self.library("works")):
            providers = (path if "/" in path else f"./{path}") + "?scale=3,reference"
            report = self.run_json(self.model, "--input", "x=[-1,2,-3,4]", "--providers", providers)
            self.assertEqual([v + 0 for v in report["outputs"][0]["values"]], [0, -6, 0, -12])
            placement = json.loads(self.ashlar("explain", self.model, "--providers", providers, "--json")[0])
            self.assertEqual([n["provider"] for n in placement["nodes"]], ["works", "reference"])

    def test_require(self):
        providers = f"{self.library('works')},reference"
        wanted = ("--providers", providers, "--require", "works")
        error = self.refused("explain", self.model, *wanted, says="1 node does not run on works")
        self.assertIn("(Neg) on reference, works (no_kernel_op)", error["message"])
        self.refused("run", self.model, "--input", "x=[-1,2,-3,4]", *wanted, says="(Neg) on reference")
        self.ashlar("explain", self.model, *wanted, "--allow-cpu", "Neg,Shape")
        self.refused("explain", self.model, "--providers", providers, "--require", "work", says="did you mean 'works'")

    def test_run_does_not_go_elsewhere(self):
        for name, word in ("version_77", "version 77"), ("nowhere", "nowhere.so"), ("unavailable", "found driver 11.8"):
            error = self.refused("run", self.model, "--input", "x=[1,2,3,4]", "--providers", f"{self.library(name)},reference", says=word)
            self.assertEqual(error["file"], self.library(name))

    def test_doctor(self):
        out, _ = self.ashlar("doctor", "--providers", f"{self.library('works')},null")
        self.assertRegex(out, r"(?m)^  works 1\.2\.3: available\n    origin  /.*/works\.so\n    border  version 0, layout 0x[0-9a-f]{8}\n")
        self.assertIn("  null 0.1.0: available\n    origin  built in\n", out)
        self.assertNotIn("reference", out)
        out, _ = self.ashlar("doctor", "--providers", self.library("idle_device"))
        for line in ["device    an idle device, driver 4.5", "space     device: 1.5 GiB",
                     "space     pinned: size unknown, host accessible, the host side of copies",
                     "queues    3, uploads on 2, downloads on 3", "features  capture, timed events", "needs     devices"]:
            self.assertIn(f"    {line}\n", out)
        report = json.loads(self.ashlar("doctor", "--providers", self.library("works"), "--json")[0])
        self.assertEqual([(p["name"], p["origin"]) for p in report["providers"]], [("works", self.library("works"))])

    def test_doctor_reports_what_cannot_be_had(self):
        names = "version_77", "unavailable", "needs_gone", "text", "nowhere"
        listed = ",".join(self.library(name) for name in names)
        out, _ = self.ashlar("doctor", "--providers", listed)
        report = json.loads(self.ashlar("doctor", "--providers", listed, "--json")[0])
        for name, provider in zip(names, report["providers"]):
            self.assertFalse(provider["available"])
            self.assertIn(f"  {self.library(name)}", out)
            self.assertIn(f": not available: {provider['reason']}\n", out)
            error = self.refused("run", self.model, "--input", "x=[1,2,3,4]", "--providers", self.library(name))
            self.assertEqual((error["code"], error["message"]), (provider["code"], provider["reason"]))
        self.assertIn("border  version 77, ", out)

    def test_doctor_refuses_an_unknown_name(self):
        self.refused("doctor", "--providers", "reference,nul", says=["'nul'", "did you mean 'null'?"])
        self.refused("doctor", "--providers", "null?a", says="'a' is no option with a value")

    def test_provider_check(self):
        out, _ = self.ashlar("provider-check", self.library("works"), "--cases", "20", "--operator", "^(Relu|Neg)$")
        self.assertRegex(out, r"(?m)^version +passed +version 0, ")
        self.assertRegex(out, r"(?m)^conformance +passed +\d+ cases of 1 operators")
        self.assertRegex(out, r"(?m)^ordering +skipped +the provider has no device$")
        self.assertRegex(out, r"(?m)^Relu +\d+ .* float32")
        self.assertRegex(out, r"(?m)^not claimed: Neg$")
        self.assertRegex(out.splitlines()[-1], r"^\d+ passed, 0 failed, \d+ skipped$")

    def test_provider_check_finds_what_is_wrong(self):
        wrong = f"{self.library('works')}?scale=3"
        out, _ = self.ashlar("provider-check", wrong, "--cases", "20", "--operator", "^Relu$", code=2)
        self.assertRegex(out, r"(?m)^conformance +FAILED")
        self.assertIn("again: ashlar provider-check", out)
        report = json.loads(self.ashlar("provider-check", wrong, "--cases", "20", "--operator", "^Relu$", "--only", "conformance", "--json", code=2)[0])
        self.assertEqual([(c["name"], c["state"]) for c in report["checks"]], [("conformance", "failed")])
        self.assertEqual((report["schema"], report["failed"], report["name"]), (1, 1, "works"))
        self.assertGreater(report["coverage"]["Relu"]["failed"], 0)

    def test_provider_check_says_why_a_provider_cannot_be_had(self):
        for name in "version_77", "other_layout", "unavailable", "needs_gone", "nowhere", "no_symbol", "no_prepare", "feature_31":
            error = self.refused("run", self.model, "--input", "x=[1,2,3,4]", "--providers", self.library(name))
            self.assertEqual(self.refused("provider-check", self.library(name))["message"], error["message"])
        self.refused("provider-check", "referense", says="did you mean 'reference'?")
        self.refused("provider-check", says="which provider?")
        self.refused("provider-check", "null", "--only", "bound", says="there is no check 'bound'")
