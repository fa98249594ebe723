#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check that the folders of a source tree use each other as DESIGN.md says: dependencies point down, protobuf stays in src/onnx, vendors
stay in backends/.

Usage: check_layers.py ROOT

Prints FILE:LINE: and what is wrong there, one a line; the exit status is 1 when there is any.
"""
import os, re, sys

# Bottom to top. A folder of src/ may include itself and what stands before it, with the exceptions below.
LAYERS = ["core", "graph", "onnx", "ops", "optimizer", "partition", "plan", "runtime", "session"]
PROTOBUF_FREE = "onnx/onnx.h"  # all that src/ops and what is above it may see of src/onnx
SOURCES = (".h", ".hpp", ".cc", ".cpp", ".c", ".cu", ".cuh", ".in")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
VENDOR = re.compile(r"cuda|cublas|cudnn|dnnl", re.I)
PROTOBUF = re.compile(r"^(google/protobuf/|.*\.pb\.h$)")
ONNX_LIBRARY = re.compile(r"^onnx/(onnx[-_]|defs/|common/|checker|shape_inference/|version_converter/|inliner/|proto_utils|py_utils|string_utils)")
# Headers without a slash or a dot (<vector>), C's (<math.h>) and the system's belong to nobody.
C_HEADERS = re.compile(r"^(\w+|(assert|ctype|errno|fcntl|inttypes|limits|math|signal|stddef|stdint|stdio|stdlib|string|time|unistd|immintrin|dlfcn|pthread)\.h|sys/\w+\.h|linux/\w+\.h)$")
BACKEND_LIBRARIES = re.compile(r"^(Eigen/|unsupported/Eigen/|hwy/|oneapi/dnnl/|dnnl|cuda|cublas|cudnn|nvrtc|cub/|cooperative_groups)")


def included(path):
    """(line number, "<" or '"', header) of every include."""
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if m := INCLUDE.match(line):
                yield number, m[1], m[2]


def check_src(root, path, layer, number, header):
    if PROTOBUF.match(header) or ONNX_LIBRARY.match(header):
        return None if layer == "onnx" else f"src/{layer} includes {header}; only src/onnx may use protobuf and the ONNX library"
    if header.startswith(("backends/", "../")) or os.path.isfile(os.path.join(root, "backends", header)):
        return f"src/ includes {header} of a backend"
    target = header.split("/")[0]
    if "/" not in header or target not in LAYERS:
        return None
    if LAYERS.index(target) > LAYERS.index(layer):
        return f"src/{layer} includes {header}: an upward edge"
    if target == "onnx" and layer != "onnx" and header != PROTOBUF_FREE:
        return f"src/{layer} includes {header}; outside src/onnx only {PROTOBUF_FREE} may be"
    return None


def check_backend(root, path, backend, number, header):
    own = os.path.join(root, "backends", backend)
    if header.startswith("ashlar/") or C_HEADERS.match(header) or BACKEND_LIBRARIES.match(header):
        return None
    if any(os.path.isfile(os.path.join(d, header)) and os.path.realpath(os.path.join(d, header)).startswith(os.path.realpath(own) + os.sep)
           for d in (own, os.path.dirname(path))):
        return None
    return f"backends/{backend} includes {header}, which is neither in include/ashlar nor its own"


def check_include(root, path, _, number, header):
    if header.startswith("ashlar/") or C_HEADERS.match(header):
        return None
    return f"include/ includes {header}; public headers use the standard library and each other alone"


def check_tools(root, path, folder, number, header):
    if folder == "provider_check" and header == "onnx/onnx_pb.h":
        return None  # it writes models
    if header.startswith("src/") or (header.split("/")[0] in LAYERS and os.path.isfile(os.path.join(root, "src", header))):
        return f"tools/ includes {header} of src/"
    if header.startswith("backends/") or PROTOBUF.match(header) or ONNX_LIBRARY.match(header):
        return f"tools/ includes {header}; it is a client of include/ashlar alone"
    return None


def sources(root, top):
    for folder, _, files in os.walk(os.path.join(root, top)):
        for name in sorted(files):
            if name.endswith(SOURCES):
                path = os.path.join(folder, name)
                yield path, os.path.relpath(path, os.path.join(root, top)).split(os.sep)[0]


def violations(root):
    """["src/core/a.cc:3: ...", ...]"""
    found, seen = [], 0
    for top, check in {"src": check_src, "backends": check_backend, "include": check_include, "tools": check_tools}.items():
        for path, folder in sources(root, top):
            seen += 1
            place = os.path.relpath(path, root)
            if top == "src" and folder not in LAYERS:
                found.append(f"{place}:1: src/{folder} is not one of the layers {', '.join(LAYERS)}")
                continue
            for number, _, header in included(path):
                if problem := check(root, path, folder, number, header):
                    found.append(f"{place}:{number}: {problem}")
            if top in ("src", "include"):
                with open(path, encoding="utf-8") as f:
                    for number, line in enumerate(f, 1):
                        if m := VENDOR.search(line):
                            found.append(f"{place}:{number}: names the vendor library {m[0]}; that belongs in backends/")
    return found, seen


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    found, seen = violations(sys.argv[1])
    print("\n".join(found) if found else f"{seen} files keep to their layers")
    if not seen:
        print(f"{sys.argv[1]} holds no sources")
    sys.exit(bool(found) or not seen)


if __name__ == "__main__":
    main()
