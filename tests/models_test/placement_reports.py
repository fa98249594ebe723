#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `ashlar explain` says of whole models placed on the example provider first, then the CPU.

Usage: placement_reports.py ASHLAR_COMMAND EXAMPLE_PROVIDER MODEL...

Every node has a verdict of every provider that it was offered to, every copy a cause which the verdicts bear out; a measured run copies what the ledger
says; a plan without weights and without the device has the same nodes and copies; and by cost a run is reckoned at no more.
Exit status: 0 all is as it must be, 1 something is not, 77 skipped (the reason is printed).
"""
import collections, json, os, pathlib, subprocess, sys, tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import onnx_environment

onnx_environment.enter()
from model_files import model_file

NO_VERDICT = {"graph_input", "graph_output", "body_input", "body_output", "weight", "core", "host_operand", "preference"}


def check(holds, what):
    if not holds:
        sys.exit(f"placement_reports: {what}")


def copies(report):
    return collections.Counter((c["when"], c["graph"], c["tensor"], c["from"], c["to"], tuple(sorted(c["consumers"]))) for c in report["copies"])


def check_model(ashlar, example, name, folder):
    # Memory enough for any weights.
    providers = ["--providers", f"{example}?memory={1 << 40},cpu,reference"]

    def explain(*options):
        command = [ashlar, "explain", model_file(name), *providers, *options, "--json"]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=300).stdout)

    real = explain()
    verdicts = {n["node"]: {v["provider"]: v for v in n["verdicts"]} for n in real["nodes"]}
    check(len(verdicts) == len(real["nodes"]), f"{name}: a node has two places")
    for n in real["nodes"]:
        if n["provider"] != "core":
            check(set(verdicts[n["node"]]) == {"example", "cpu", "reference"}, f"{name}: {n['node']} lacks a verdict")
            check(verdicts[n["node"]][n["provider"]]["accepted"], f"{name}: {n['node']} is where it was refused")
    for c in real["copies"]:
        check(c["consumers"], f"{name}: the copy of {c['tensor']} has no reader")
        for cause in [c["cause"], *c.get("also", [])]:
            check(cause["reason"], f"{name}: the copy of {c['tensor']} has no cause")
            if cause["code"] not in NO_VERDICT:
                verdict = verdicts[cause["node"]][cause["provider"]]
                check((verdict.get("code"), verdict.get("reason")) == (cause["code"], cause["reason"]), f"{name}: no verdict forced the copy of {c['tensor']}")
    device = folder / "device.json"
    subprocess.run([ashlar, "doctor", "--providers", example, "--device-json", device], check=True, stdout=subprocess.DEVNULL)
    plan = explain("--plan-only", "--device", str(device))
    check([(n["node"], n["provider"]) for n in plan["nodes"]] == [(n["node"], n["provider"]) for n in real["nodes"]], f"{name}: planned elsewhere")
    check(copies(plan) == copies(real), f"{name}: planned copies differ: {(copies(plan) - copies(real)) + (copies(real) - copies(plan))}")
    cost = explain("--policy", "cost", "--plan-only", "--device", str(device))
    check(cost["cost_ns"] <= real["cost_ns"] * (1 + 1e-9), f"{name}: by cost {cost['cost_ns']} ns, by preference {real['cost_ns']}")
    per_run = sum(1 for c in real["copies"] if c["when"] == "run")
    print(f"{name}: {len(real['nodes'])} nodes, {per_run} copies a run, {len(real['copies']) - per_run} once")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as temporary:
        for model in sys.argv[3:]:
            check_model(sys.argv[1], sys.argv[2], model, pathlib.Path(temporary))
