#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The layer check finds what it is there to find: each case plants one file in a tree that is in order."""
import os, sys, tempfile, unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "dev"))
import check_layers

CLEAN = {
    "include/ashlar/value.h": "#include <vector>\n#include <ashlar/tensor.h>\n",
    "src/core/text.h": "#include <string>\n",
    "src/graph/graph.h": '#include "core/text.h"\n',
    "src/onnx/onnx.h": '#include "graph/graph.h"\n',
    "src/onnx/import.cc": '#include <onnx/onnx_pb.h>\n#include <google/protobuf/message_lite.h>\n#include "onnx/read.h"\n',
    "src/ops/ops.cc": '#include "onnx/onnx.h"\n#include <fmt/format.h>\n',
    "src/session/session.cc": '#include "runtime/runtime.h"\n#include "onnx/onnx.h"\n',
    "backends/cpu/kernels/conv.cc": '#include <ashlar/provider/provider.h>\n#include <dnnl.hpp>\n#include "packed.h"\n#include <cmath>\n',
    "backends/cpu/packed.h": "#include <cstring>\n",
    "tools/provider_check/cases/draw.cc": '#include <onnx/onnx_pb.h>\n#include "elements.h"\n',
    "tools/ashlar/main.cc": '#include <ashlar/ashlar.h>\n#include <CLI/CLI.hpp>\n',
}
PLANTED = {
    "an upward edge": ("src/core/bad.cc", '#include "graph/graph.h"\n', "upward edge"),
    "an upward edge by one": ("src/plan/bad.h", '#  include "runtime/runtime.h"\n', "upward edge"),
    "an upward edge in angle brackets": ("src/graph/bad.h", "#include <session/session.h>\n", "upward edge"),
    "protobuf above src/onnx": ("src/session/bad.cc", "#include <google/protobuf/message.h>\n", "only src/onnx"),
    "generated protobuf code below src/onnx": ("src/core/bad.cc", "#include <onnx/onnx-ml.pb.h>\n", "only src/onnx"),
    "the ONNX library in src/ops": ("src/ops/bad.cc", "#include <onnx/defs/schema.h>\n", "only src/onnx"),
    "a private header of src/onnx": ("src/ops/bad.cc", '#include "onnx/read.h"\n', "onnx/onnx.h"),
    "a vendor in src": ("src/runtime/bad.cc", "int cudaStream = 0;\n", "cuda"),
    "a vendor in include": ("include/ashlar/bad.h", "void* dnnl_engine();\n", "dnnl"),
    "a backend in src": ("src/session/bad.cc", '#include "backends/cpu/packed.h"\n', "backend"),
    "src in a backend": ("backends/cpu/bad.cc", '#include "core/text.h"\n', "its own"),
    "src in a backend by a path": ("backends/cpu/bad.cc", '#include "../../src/core/text.h"\n', "its own"),
    "another backend": ("backends/null/bad.cc", '#include "../cpu/packed.h"\n', "its own"),
    "another library in a backend": ("backends/cpu/bad.cc", "#include <google/protobuf/message.h>\n", "its own"),
    "src in tools": ("tools/ashlar/bad.cc", '#include "core/text.h"\n', "of src/"),
    "the ONNX library in the checker": ("tools/provider_check/bad.cc", "#include <onnx/defs/schema.h>\n", "client"),
    "protobuf in tools": ("tools/ashlar/bad.cc", "#include <onnx/onnx_pb.h>\n", "client"),
    "another library in a public header": ("include/ashlar/bad.h", "#include <fmt/format.h>\n", "public headers"),
    "an unknown folder": ("src/extra/bad.cc", "int x;\n", "not one of the layers"),
}


def tree(root, files):
    for name, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
        with open(os.path.join(root, name), "w") as f:
            f.write(text)


class CheckLayers(unittest.TestCase):
    def test_a_tree_in_order_passes(self):
        with tempfile.TemporaryDirectory() as root:
            tree(root, CLEAN)
            self.assertEqual(check_layers.violations(root), ([], len(CLEAN)))

    def test_each_planted_violation_is_found(self):
        for what, (name, text, message) in PLANTED.items():
            with self.subTest(what), tempfile.TemporaryDirectory() as root:
                tree(root, {**CLEAN, name: text})
                found, _ = check_layers.violations(root)
                self.assertEqual(len(found), 1, found)
                self.assertTrue(found[0].startswith(f"{name}:1: "), found)
                self.assertIn(message, found[0])


if __name__ == "__main__":
    unittest.main()
