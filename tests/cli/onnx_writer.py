# SPDX-License-Identifier: Apache-2.0
"""Writes the few ONNX messages the tests of the command need, with the standard library alone (onnx/onnx.proto)."""
import struct

FLOAT, UINT8, INT8, INT32, INT64, STRING, BOOL, FLOAT16, DOUBLE, UINT64, COMPLEX64, BFLOAT16, INT4 = 1, 2, 3, 6, 7, 8, 9, 10, 11, 13, 14, 16, 22


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def chunk(field, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


def value_info(name, dtype, dims):
    """ValueInfoProto of a tensor; a dimension is a number, a symbol or None; dims None is an unknown rank."""
    shape = b""
    if dims is not None:
        for dim in dims:
            shape += chunk(1, number(1, dim) if isinstance(dim, int) else chunk(2, dim) if dim else b"")
        shape = chunk(2, shape)
    return chunk(1, name) + chunk(2, chunk(1, number(1, dtype) + shape))


def tensor(dtype, dims, raw, name=""):
    """TensorProto with raw data."""
    return b"".join(number(1, d) for d in dims) + number(2, dtype) + (chunk(8, name) if name else b"") + chunk(9, raw)


def floats(*values):
    return struct.pack(f"<{len(values)}f", *values)


def model(inputs, nodes, outputs, initializers=(), metadata=()):
    """ModelProto of opset 21; a node is (op, inputs, outputs), an initializer a TensorProto."""
    graph = b""
    for op, takes, gives in nodes:
        graph += chunk(1, b"".join(chunk(1, i) for i in takes) + b"".join(chunk(2, o) for o in gives) + chunk(4, op))
    graph += chunk(2, "graph") + b"".join(chunk(5, i) for i in initializers)
    graph += b"".join(chunk(11, value_info(*i)) for i in inputs) + b"".join(chunk(12, value_info(*o)) for o in outputs)
    properties = b"".join(chunk(14, chunk(1, k) + chunk(2, v)) for k, v in metadata)
    return number(1, 10) + chunk(2, "cli_test") + chunk(7, graph) + chunk(8, number(2, 21)) + properties


def identity(dtype, dims, input_name="x", output_name="y"):
    """A model whose output is its input."""
    return model([(input_name, dtype, dims)], [("Identity", [input_name], [output_name])], [(output_name, dtype, dims)])


def external(dtype, dims, location, name):
    """TensorProto whose data lie in a file beside the model."""
    return b"".join(number(1, d) for d in dims) + number(2, dtype) + chunk(8, name) + chunk(13, chunk(1, "location") + chunk(2, location)) + number(14, 1)
