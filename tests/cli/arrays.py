# SPDX-License-Identifier: Apache-2.0
"""Small writers and readers of .npy, .png and .wav files, with the standard library alone."""
import ast
import struct
import zlib


def npy(descr, shape, data, fortran=False, version=1):
    header = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {tuple(shape)}, }}\n".encode()
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + data


def parse_npy(data):
    """(descr, shape, bytes) of an .npy file of version 1."""
    assert data[:8] == b"\x93NUMPY\x01\x00", data[:8]
    (length,) = struct.unpack("<H", data[8:10])
    assert (10 + length) % 64 == 0 and data[9 + length : 10 + length] == b"\n"
    header = ast.literal_eval(data[10 : 10 + length].decode())
    assert header["fortran_order"] is False
    return header["descr"], header["shape"], data[10 + length :]


def png(width, height, channels, pixels):
    """An 8-bit PNG, gray or RGB, from bytes row by row."""
    def part(tag, data):
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))

    row = width * channels
    rows = b"".join(b"\0" + bytes(pixels[y * row : (y + 1) * row]) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")


def wav(code, bits, channels, rate, data, extra=b""):
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", code, channels, rate, rate * frame, frame, bits) + extra
    def part(tag, body):
        return tag + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    body = b"WAVE" + part(b"fmt ", form) + part(b"LIST", b"odd") + part(b"data", data)
    return b"RIFF" + struct.pack("<I", len(body)) + body
