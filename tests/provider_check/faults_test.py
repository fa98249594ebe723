#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`ashlar provider-check` finds each fault that the example provider plants, and names it for what it is.

Usage: faults_test.py ASHLAR LIBRARY FAULTS_H FAULT    plants one
       faults_test.py ASHLAR LIBRARY FAULTS_H          none: everything passes; and the table below has every fault of FAULTS_H

Exits with 0, 1 when a fault is not found or not named, 77 when the library is not there.
"""
import json, os, re, subprocess, sys

# What finds it, the sentence that names it, and options that keep the check short.
FAULTS = {
    "accepts_unprepared": ("verdicts", r"accepts Softmax, but prepare fails", ["--operator", "^Softmax$"]),
    "any_version": ("version", r"accepts version 77 .* built for version 0", ["--only", "version"]),
    "breaks_on_reload": ("reload", r"a second instance after the first has ended fails", ["--only", "reload", "--operator", "^(Add|MatMul)$"]),
    "copy_short": ("copies", r"leaves out the last 1 bytes", ["--only", "copies"]),
    "double_free": (None, r"a double free: memory was given back twice|memory was used after it was given back", ["--operator", "^Relu$"]),
    "drain_early": ("events", r"drain of queue \d returns before the queue is empty", ["--only", "events"]),
    "early_event": ("events", r"signalled before the work ahead of it is done", ["--only", "events"]),
    "hides_failure": ("failures", r"Gather.*gives outputs, but the oracle: .*runtime", ["--only", "failures", "--operator", "^Gather$", "--cases", "10"]),
    "ignores_limit": ("limits", r"says that it has \d+ bytes, and allocate gives out", ["--only", "limits"]),
    "leak": ("leaks", r"run of \w+ .* leaks heap memory: 4\d\d\d bytes each time", ["--only", "leaks", "--operator", "^(Relu|Add)$"]),
    "leak_device": ("limits", r"memory of space 'device' that was given back does not come back", ["--only", "limits"]),
    "lost_event": ("events", r"an event on queue \d is never signalled", []),
    "missing_wait": ("ordering", r"with queue \d slowed, ", ["--only", "ordering", "--operator", "Add|Relu|MatMul|_chain"]),
    "not_thread_safe": ("concurrency", r"run by 8 threads in one session gives other bits than alone", ["--only", "concurrency", "--operator", "^(Add|Relu)$"]),
    "overrun": ("bounds", r"Relu of .* writes beyond output 0", ["--operator", "^Relu$", "--cases", "20"]),
    "reason_missing": ("verdicts", r"refuses \w+ \(\w+\) without a reason", ["--operator", "^(Relu|Add)$", "--cases", "20"]),
    "replay_short": ("capture", r"replay \d on queue \d does not do what was recorded", ["--only", "capture"]),
    "unstable_verdict": ("verdicts", r"its answer about \w+ changes: first ", ["--operator", "^(Relu|Add)$", "--cases", "20"]),
    "writes_input": ("inputs", r"Relu of .* writes to its input 0", ["--operator", "^Relu$", "--cases", "20"]),
    "wrong_result": ("conformance", r"^Add: .*elements differ", ["--operator", "^Add$", "--cases", "200"]),
    "wrong_shape": ("shapes", r"binds output 0 to|is \w+\[.*\], expected \w+\[", ["--operator", "^(Concat|ReduceMean)$", "--cases", "20"]),
}


def check(ashlar, target, options):
    run = subprocess.run([ashlar, "provider-check", target, "--json", *options], capture_output=True, text=True, timeout=240)
    try:
        return run.returncode, json.loads(run.stdout)
    except json.JSONDecodeError:
        print(f"exit code {run.returncode}, no JSON: {run.stdout[-2000:]}\n{run.stderr[-2000:]}")
        sys.exit(1)


def show(report):
    for c in report.get("checks", []):
        if c["state"] == "failed":
            for f in c["findings"]:
                print(f"  {c['name']}: {f['sentence']}\n{f['detail']}")


def all_pass(ashlar, library, faults_h):
    with open(faults_h, encoding="utf-8") as f:
        listed = set(re.findall(r'"(\w+)"', re.search(r"kFaults\[\] = \{(.*?)\}", f.read(), re.S)[1]))
    fine = True
    if listed != set(FAULTS):
        print(f"faults of the library that this test does not plant: {sorted(listed - set(FAULTS))}; that it has not: {sorted(set(FAULTS) - listed)}")
        fine = False
    code, report = check(ashlar, library, ["--cases", "300"])
    skipped = [c["name"] for c in report.get("checks", []) if c["state"] == "skipped"]
    if code != 0 or report["failed"] or skipped:
        print(f"without a fault: exit code {code}, skipped {skipped}")
        show(report)
        fine = False
    for op, row in report.get("coverage", {}).items():
        if row["claimed"] and not row["compared"]:
            print(f"{op} is claimed, but was compared in no case")
            fine = False
    return fine


def is_found(ashlar, library, fault):
    name, sentence, options = FAULTS[fault]
    code, report = check(ashlar, f"{library}?fault={fault}", options)
    named = [f for c in report.get("checks", []) if name in (None, c["name"]) for f in c["findings"] if re.search(sentence, f["sentence"])]
    if code == 2 and named:
        print(f"{fault}: {named[0]['sentence']}")
        return True
    print(f"{fault}: exit code {code}; no sentence of {name or 'any check'} matches '{sentence}'; found:")
    show(report)
    if "message" in report:
        print(report["message"])
    return False


def main():
    if len(sys.argv) not in (4, 5):
        raise SystemExit(__doc__)
    ashlar, library, faults_h = sys.argv[1:4]
    if not os.path.isfile(library):
        print(f"skipped: there is no library {library}")
        sys.exit(77)
    fine = is_found(ashlar, library, sys.argv[4]) if len(sys.argv) == 5 else all_pass(ashlar, library, faults_h)
    sys.exit(not fine)


if __name__ == "__main__":
    main()
