#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ashlar_peer_worker speaks its protocol: peer_worker_test.py ASHLAR_PEER_WORKER SOURCE_DIR [unittest options]."""
import array
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
WORKER, MODELS = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]) / "tests" / "models"
sys.path.insert(0, str(pathlib.Path(sys.argv[2]) / "tests" / "cli"))
import arrays  # noqa: E402


def floats(data):
    return array.array("f", data)


class PeerWorker(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)
        _, _, pixels = arrays.parse_npy((MODELS / "digits_heldout_images.npy").read_bytes())
        self.images = floats([p / 255 for p in pixels[: 10 * 64]])
        _, _, expected = arrays.parse_npy((MODELS / "digits_expected.npy").read_bytes())
        self.expected = floats(expected)

    def feeds(self, *batches):
        """Sets of digit pictures, set K of batches[K] of them, from the first on."""
        for k, batch in enumerate(batches):
            (self.dir / f"feeds/{k}").mkdir(parents=True)
            data = arrays.npy("<f4", [batch, 1, 8, 8], self.images[: batch * 64].tobytes())
            (self.dir / f"feeds/{k}/image.npy").write_bytes(data)
        return self.dir / "feeds"

    def speak(self, lines, *arguments, code=0):
        command = [WORKER, *map(str, arguments)]
        done = subprocess.run(command, input="".join(f"{x}\n" for x in lines), capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, code, f"{command}\n{done.stdout}{done.stderr}")
        return done.stdout.splitlines(), done.stderr

    def refused(self, says, *arguments, lines=()):
        out, err = self.speak(lines, *arguments, code=1)
        self.assertIn(says, err)
        return out

    def test_run_and_out(self):
        feeds = self.feeds(3, 10, 1)
        replies, _ = self.speak(["run 3", f"out {self.dir}/out", "run 5"], MODELS / "digits.onnx", 2, feeds)
        first, three, done, five = replies
        self.assertEqual(sorted(json.loads(first)), ["load_ms", "rss_mb"])
        for value in [*json.loads(first).values(), *json.loads(three), *json.loads(five)]:
            self.assertGreater(value, 0)
        self.assertEqual((len(json.loads(three)), done, len(json.loads(five))), (3, "done", 5))
        for k, batch in enumerate((3, 10, 1)):
            descr, shape, data = arrays.parse_npy((self.dir / f"out/{k}/0.npy").read_bytes())
            self.assertEqual((descr, shape), ("<f4", (batch, 10)))
            for ours, theirs in zip(floats(data), self.expected):
                self.assertAlmostEqual(ours, theirs, delta=1e-4)

    def test_trace(self):
        replies, _ = self.speak(["trace 3"], MODELS / "digits.onnx", 1, self.feeds(2, 1))
        report = json.loads(replies[1])
        self.assertGreater(report["wall_us"], 0)
        steps = report["steps"]
        self.assertLessEqual(sum(s["us"] for s in steps), report["wall_us"] * 1.5)
        products = [s for s in steps if s["kernel"].split("+")[0] in ("Conv", "Gemm")]
        self.assertTrue(products)
        for step in products:
            self.assertGreater(step["operations"], 0, step)
            self.assertGreater(step["bytes"], 0, step)

    def test_options(self):
        options = ["--precision", "strict", "--tune", "off", "--providers", "reference"]
        replies, _ = self.speak(["run 0"], *options, MODELS / "digits.onnx", 1, self.feeds(1))
        self.assertEqual(json.loads(replies[1]), [])

    def test_refusals(self):
        feeds, digits = self.feeds(1), MODELS / "digits.onnx"
        self.refused("bf16", "--precision", "bf16", digits, 1, feeds)
        self.refused("fp8", "--precision", "fp8", digits, 1, feeds)
        self.refused("--tune on", "--tune", "on", digits, 1, feeds)
        self.refused("nowhere", "--providers", "nowhere", digits, 1, feeds)
        self.refused("FEEDS_DIR", digits, 1)
        self.refused("THREADS", digits, "many", feeds)
        self.refused("absent.onnx", self.dir / "absent.onnx", 1, feeds)
        self.refused("nothing", digits, 1, self.dir / "nothing")
        self.refused("no set of inputs", digits, 1, self.dir)
        self.assertEqual(len(self.refused("'walk 3'", digits, 1, feeds, lines=["walk 3"])), 1)
        self.assertEqual(len(self.refused("run x", digits, 1, feeds, lines=["run x"])), 1)
        self.refused("trace many", digits, 1, feeds, lines=["trace many"])

    def test_feeds_that_are_not_the_inputs(self):
        feeds = self.feeds(1)
        (feeds / "0/image.npy").rename(feeds / "0/imag.npy")
        self.refused("imag", MODELS / "digits.onnx", 1, feeds)
        (feeds / "0/image.npy").write_bytes((feeds / "0/imag.npy").read_bytes())
        self.refused("2 arrays, 1 of them", MODELS / "digits.onnx", 1, feeds)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
