#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page of `ashlar explain --html` in a browser: page_test.py ASHLAR_COMMAND EXAMPLE_PROVIDER_LIBRARY [--screenshot FILE]. A model
of over 1,000 nodes, of which the example provider refuses some, is drawn, clicked and searched in a headless Chromium; where there is
none, the exit code is 77."""
import argparse
import decimal
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64decode

sys.dont_write_bytecode = True

import onnx_writer as ow  # noqa: E402

SECONDS = 60  # for everything
DRAW_MILLISECONDS, CLICK_MILLISECONDS = 2000, 100
TRIES = 5  # the best counts: other programs may be running
ENTER, ESCAPE = "\ue007", "\ue00c"
DEADLINE = time.monotonic() + SECONDS


class Failure(Exception):
    pass


def expect(what, holds, expected, found):
    if not holds:
        raise Failure(f"{what}: expected {expected}, found {found}")


def equal(what, expected, found):
    expect(what, expected == found, repr(expected), repr(found))


def remaining():
    left = DEADLINE - time.monotonic()
    expect("the time limit", left > 0, f"an end within {SECONDS} s", "no end")
    return left


def write_model(path):
    """Blocks of ten nodes, of which the example provider has no kernel for Exp, Neg and Abs; two branches meet in each."""
    nodes, at = [], "x"
    for i in range(104):
        def node(op, *inputs):
            nodes.append((op, list(inputs), [f"{op}_{i}_{len(nodes)}"]))
            return nodes[-1][2][0]
        left = node("Neg", node("Sigmoid", node("Add", at, "w")))
        right = node("Tanh", node("Abs", node("Relu", at)))
        at = node("Exp", node("Neg", node("Sigmoid", node("Mul", left, right))))
    weights = ow.tensor(ow.FLOAT, [64], ow.floats(*[0.5] * 64), "w")
    path.write_bytes(ow.model([("x", ow.FLOAT, [64])], nodes, [(at, ow.FLOAT, [64])], [weights]))


def make_page(ashlar, library, folder):
    """The page, and what `explain --json` says of the same session; without rewrites, which would make the model smaller."""
    model, page = folder / "model.onnx", folder / "page.html"
    write_model(model)
    command = [ashlar, "explain", str(model), "--providers", f"{library},cpu", "--stop-after", "0"]

    def run(*options):
        done = subprocess.run([*command, *options], capture_output=True, timeout=remaining(), stdin=subprocess.DEVNULL)
        expect(f"{options[0]}", done.returncode == 0, "exit code 0", f"{done.returncode}: {done.stderr.decode()}")
        return done.stdout.decode()
    run("--html", str(page))
    return page, json.loads(run("--json"))


class Browser:
    """A headless Chromium, driven through chromedriver's WebDriver protocol."""

    def __init__(self, folder, chromium, chromedriver):
        self.session = self.process = None
        self.http = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        log = folder / "chromedriver.log"
        with log.open("wb") as out:
            self.driver = subprocess.Popen([chromedriver, "--port=0"], stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                           env={**os.environ, "TMPDIR": str(folder)})
        try:
            port = self.wait("chromedriver's port", lambda: re.search(r"successfully on port (\d+)", log.read_text()))
            self.root = f"http://127.0.0.1:{port[1]}"
            options = {"binary": chromium, "args": ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1440,900"]}
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
            started = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            self.process = started["capabilities"].get("goog:processID")
            self.session = f"/session/{started['sessionId']}"
        except BaseException:
            self.close()
            raise

    def call(self, method, path, body=None, timeout=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.root + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with self.http.open(request, timeout=timeout or remaining()) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise Failure(f"{method} {path}: {error.read().decode()[:500]}") from None

    def post(self, path, **body):
        return self.call("POST", self.session + path, body)

    def script(self, text, *arguments):
        return self.post("/execute/sync", script=text, args=list(arguments))

    def wait(self, what, condition):
        while not (value := condition()):
            expect(what, DEADLINE - time.monotonic() > 0, "it in time", "it is not there")
            time.sleep(0.02)
        return value

    def open(self, page, fragment=""):
        """Loads the page anew; the milliseconds until it was drawn."""
        self.post("/url", url="about:blank")
        self.post("/url", url=page.absolute().as_uri() + fragment)
        self.wait("the page", lambda: self.script("return window.ashlarPage && (ashlarPage.ready || ashlarPage.errors.length > 0)"))
        equal("errors in the page", [], self.script("return ashlarPage.errors"))
        return self.script("return ashlarPage.drawMilliseconds")

    def click(self, node):
        """Brings the node to the middle and clicks it; the milliseconds from the click to the end of the next frame."""
        at = self.script("""
            window.clickMilliseconds = 0;
            const seen = event => requestAnimationFrame(() => window.clickMilliseconds = performance.now() - event.timeStamp);
            addEventListener("click", seen, { once: true });
            return ashlarPage.clickPoint(arguments[0]);""", node)
        moves = [{"type": "pointerMove", "duration": 0, "x": round(at["x"]), "y": round(at["y"])},
                 {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self.post("/actions", actions=[{"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": moves}])
        taken = self.wait("the click", lambda: self.script("return window.clickMilliseconds"))
        equal("the selected node after a click", node, self.selected())
        return taken

    def press(self, key):
        self.post("/actions", actions=[{"type": "key", "id": "keys", "actions": [{"type": t, "value": key} for t in ("keyDown", "keyUp")]}])

    def type(self, selector, text):
        element = self.post("/element", using="css selector", value=selector)
        self.post(f"/element/{next(iter(element.values()))}/value", text=text)

    def selected(self):
        return self.script("return ashlarPage.selected")

    def text(self, selector):
        return self.script("return document.querySelector(arguments[0]).textContent", selector)

    def close(self):
        """Ends the browser and its driver, whatever state they are in."""
        if self.session:
            try:
                self.call("DELETE", self.session, timeout=5)
            except (OSError, Failure):
                if self.process:
                    try:
                        os.kill(self.process, signal.SIGKILL)
                    except OSError:
                        pass
        self.driver.terminate()
        try:
            self.driver.wait(5)
        except subprocess.TimeoutExpired:
            self.driver.kill()
            self.driver.wait()


def within(what, limit, measures):
    """The first of the measures that is below the limit."""
    times = []
    for taken in measures:
        times.append(taken)
        if taken < limit:
            return taken
    raise Failure(f"{what}: expected less than {limit} ms, found {', '.join(f'{t:.0f}' for t in times)} ms")


def bytes_text(count):
    value, units = decimal.Decimal(count), ["B", "KiB", "MiB", "GiB"]
    if count < 1024:
        return f"{count} B"
    while value >= 1024:
        value /= 1024
        units.pop(0)
    return f"{value.quantize(decimal.Decimal('0.1'), decimal.ROUND_HALF_UP)} {units[0]}"


def shows(browser, what, pieces):
    text = browser.text("#panel")
    for piece in pieces:
        expect(f"the panel of {what}", piece in text, repr(piece), repr(text[:2000]))


def verdict_pieces(node):
    for verdict in node["verdicts"]:
        yield f"{verdict['provider']} {'accepts' if verdict['accepted'] else 'refuses'} it"
        if not verdict["accepted"]:
            yield from (verdict["code"], verdict["reason"])


def check_page(browser, page, report):
    data = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', page.read_text(), re.DOTALL)[1])
    nodes = report["nodes"]
    expect("the model", len(nodes) >= 1000, "1,000 nodes or more", len(nodes))
    equal("the nodes of the page and of --json", [n["node"] for n in nodes], [n["node"] for n in data["nodes"]])

    drawn = within("drawing the page", DRAW_MILLISECONDS, (browser.open(page) for _ in range(TRIES)))
    shows(browser, "no node", [f"{len(nodes):,} nodes", f"{data['totals']['copies_per_run']:,} cop"])

    refused = [n for n in nodes if any(not v["accepted"] for v in n["verdicts"])]
    expect("nodes that a provider refuses", refused, "some", "none")
    last = {n["op"]: n for n in [*nodes, *refused]}  # of each operator the last node, where possible one that is refused
    samples = sorted(last.values(), key=lambda n: all(v["accepted"] for v in n["verdicts"]))[:TRIES]

    def click(node):
        taken = browser.click(node["node"])
        shows(browser, node["node"], [node["node"], node["outputs"], *verdict_pieces(node)])
        return taken
    clicked = within("the panel after a click", CLICK_MILLISECONDS, [click(node) for node in samples])

    browser.press(ESCAPE)
    equal("the selected node after Escape", None, browser.selected())
    browser.press("/")
    equal("the focus after /", "search", browser.script("return document.activeElement.id"))
    browser.type("#search", refused[-1]["node"] + ENTER)
    equal("the selected node after a search", refused[-1]["node"], browser.selected())
    shows(browser, refused[-1]["node"], verdict_pieces(refused[-1]))
    equal("the count of hits", "1 of 1", browser.text("#count"))

    known = {n["node"] for n in nodes}
    copies = [c for c in data["copies"] if c["when"] == "run" and c["producer"] in known and c["consumers"][0] in known and c["bytes"]]
    expect("copies between nodes", copies, "some", "none")
    copy = copies[len(copies) // 2]
    for node in copy["producer"], copy["consumers"][0]:
        browser.click(node)
        shows(browser, node, [copy["tensor"], bytes_text(copy["bytes"]), copy["cause"]["code"], copy["cause"]["reason"],
                              f"{copy['from']} \u2192 {copy['to']}", "every run"])

    equal("requests of the page", [], browser.script("return performance.getEntriesByType('resource').map(entry => entry.name)"))
    equal("errors in the page", [], browser.script("return ashlarPage.errors"))
    browser.open(page, "#node=" + urllib.parse.quote(refused[0]["node"], safe=""))
    equal("the node of the address", refused[0]["node"], browser.selected())
    browser.click(copy["consumers"][0])
    equal("errors on the console", [], [e["message"] for e in browser.post("/se/log", type="browser") if e["level"] == "SEVERE"])
    print(f"{len(nodes):,} nodes and {len(data['copies']):,} copies drawn in {drawn:.0f} ms, a click answered in {clicked:.1f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ashlar", nargs="?")
    parser.add_argument("library", nargs="?")
    parser.add_argument("--screenshot", type=pathlib.Path)
    parser.add_argument("--page", type=pathlib.Path, help=argparse.SUPPRESS)  # this page, which goes with
    parser.add_argument("--json", type=pathlib.Path, help=argparse.SUPPRESS)  # that output of explain --json
    args = parser.parse_args()
    if not (args.page and args.json or args.library):
        parser.error("ASHLAR_COMMAND and EXAMPLE_PROVIDER_LIBRARY are needed")
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not chromedriver:
        print("skipped: no chromium and chromedriver here")
        return 77
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = pathlib.Path(name)
        try:
            if args.page:
                page, report = args.page, json.loads(args.json.read_text())
            else:
                page, report = make_page(os.path.abspath(args.ashlar), os.path.abspath(args.library), folder)
            browser = Browser(folder, chromium, chromedriver)
            try:
                check_page(browser, page, report)
                if args.screenshot:
                    args.screenshot.write_bytes(b64decode(browser.call("GET", browser.session + "/screenshot")))
            finally:
                browser.close()
        except (Failure, OSError, subprocess.TimeoutExpired) as failure:
            print(f"page_test: {failure}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
