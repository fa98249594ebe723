#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sum up the results of tools/check: names what failed and what was skipped and why; the last line counts all.

Usage: summarize.py DIR

DIR holds NAME.xml, as ctest --output-junit writes it, and NAME.script, a line "pass" or "fail" for a check that is one command.
The exit status is 1 when anything failed or nothing ran.
"""
import glob, os, re, sys
import xml.etree.ElementTree as ET


def skip_reason(case):
    """The line of the test's output that says why: gtest prints it below file:line, scripts after "skipped:"."""
    output = case.findtext("system-out") or ""
    said = re.search(r"^skipped: (.+)$", output, re.M) or re.search(r": Skipped\n(.+)$", output, re.M)
    return said.group(1).strip() if said else None


def classify(case):
    """("passed" | "failed" | "skipped", detail)"""
    if case.get("status") == "run":
        return "passed", ""
    skipped = case.find("skipped")
    if skipped is not None and skipped.get("message", "").startswith("SKIP_"):
        reason = skip_reason(case)
        return ("skipped", reason) if reason else ("failed", "skipped without saying why")
    failure = case.find("failure")
    return "failed", (failure if failure is not None else skipped if skipped is not None else case).get("message") or "did not run"


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for file in sorted(glob.glob(f"{sys.argv[1]}/*.xml")):
        run = os.path.basename(file)[: -len(".xml")]
        for case in ET.parse(file).getroot().iter("testcase"):
            outcome, detail = classify(case)
            counts[outcome] += 1
            if outcome != "passed":
                print(f"{outcome}: {run}: {case.get('name')}: {detail}")
    for file in sorted(glob.glob(f"{sys.argv[1]}/*.script")):
        outcome = "passed" if open(file).read().strip() == "pass" else "failed"
        counts[outcome] += 1
        if outcome == "failed":
            print(f"failed: {os.path.basename(file)[: -len('.script')]}")
    print(", ".join(f"{n} {what}" for what, n in counts.items()))
    sys.exit(counts["failed"] > 0 or counts["passed"] == 0)


main()
