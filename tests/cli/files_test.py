# SPDX-License-Identifier: Apache-2.0
"""Inputs from files: arrays, pictures, sounds."""
import io
import json
import struct
import zipfile

import arrays
import onnx_writer as ow
from command_case import CommandTest


class Arrays(CommandTest):
    def load(self, dtype, dims, name, data):
        return self.values(dtype, dims, f"@{self.write(name, data)}")

    def test_npy(self):
        text = "ab".encode("utf-32-le") + "é\0".encode("utf-32-le")
        cases = [
            (ow.FLOAT, [2, 2], arrays.npy("<f4", [2, 2], ow.floats(1, 2, 3, 4)), [1, 2, 3, 4]),
            (ow.FLOAT, [2, 3], arrays.npy("<f4", [2, 3], ow.floats(1, 4, 2, 5, 3, 6), fortran=True), [1, 2, 3, 4, 5, 6]),
            (ow.DOUBLE, [], arrays.npy("<f8", [], struct.pack("<d", 0.5)), [0.5]),
            (ow.INT64, ["n"], arrays.npy("<i8", [2], struct.pack("<2q", -1, 2**62), version=2), [-1, 2**62]),
            (ow.BOOL, [2], arrays.npy("|b1", [2], b"\1\0"), [True, False]),
            (ow.STRING, [2], arrays.npy("<U2", [2], text), ["ab", "é"]),
            (ow.STRING, [2], arrays.npy("|S3", [2], b"abcd\0\0"), ["abc", "d"]),
            (ow.BFLOAT16, [2], arrays.npy("<f4", [2], ow.floats(1, -2.5)), [1, -2.5]),
            (ow.INT4, [2], arrays.npy("|i1", [2], struct.pack("2b", -8, 7)), [-8, 7]),
            (ow.COMPLEX64, [1], arrays.npy("<c8", [1], ow.floats(1, -1)), [[1, -1]]),
            (ow.FLOAT, [0], arrays.npy("<f4", [0], b""), []),
        ]
        for dtype, dims, data, expected in cases:
            with self.subTest(header=data[10:70]):
                self.assertEqual(self.load(dtype, dims, "x.npy", data)[1], expected)

    def test_npy_refusals(self):
        good = arrays.npy("<f4", [2], ow.floats(1, 2))
        for data, says in [
            (arrays.npy("<f8", [2], struct.pack("<2d", 1, 2)), ["float64[2]", "float32[2]"]),
            (arrays.npy("<f4", [3], ow.floats(1, 2, 3)), ["[3]", "float32[2]"]),
            (arrays.npy(">f4", [2], ow.floats(1, 2)), "big-endian"),
            (arrays.npy("|O", [2], b"12345678"), "object"),
            (arrays.npy("<f4", [2], ow.floats(1)), "does not fit"),
            (arrays.npy("<f4", [2], ow.floats(1, 2, 3)), "does not fit"),
            (arrays.npy("<f4", [2**31, 2**31], b""), "element"),
            (arrays.npy("<f4", [0, 2**62], b"x" * 4), ""),
            (good[:9], "not an .npy file"),
            (good[:20], "damaged"),
            (b"\x93NUMPY\1\0\xff\xff" + good[10:], "damaged"),
            (good.replace(b"(2,)", b"(2;)"), "damaged"),
            (good.replace(b"'shape'", b"'shale'"), "damaged"),
            (b"", "not an .npy file"),
        ]:
            with self.subTest(says=says, data=data[:70]):
                self.refused("run", self.identity(ow.FLOAT, [2]), "--input", f"x=@{self.write('x.npy', data)}", says=says)

    def test_every_cut_of_a_file_is_refused(self):
        good = arrays.npy("<f4", [2], ow.floats(1, 2))
        archive = self.archive(zipfile.ZIP_DEFLATED, x=good)
        model = self.identity(ow.FLOAT, [2])
        for name, data in [("x.npy", good), ("x.npz", archive)]:
            for length in range(0, len(data), 7):
                self.ashlar("run", model, "--input", f"x=@{self.write(name, data[:length])}", code=1)

    @staticmethod
    def archive(compression, **members):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w", compression) as file:
            for name, content in members.items():
                with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                    member.write(content)
        return data.getvalue()

    def test_npz(self):
        one = arrays.npy("<f4", [300], ow.floats(*range(300)))
        two = arrays.npy("<f4", [300], ow.floats(*[5] * 300))
        for compression in zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED:
            with self.subTest(compression=compression):
                data = self.archive(compression, a=two, x=one)
                self.assertEqual(self.load(ow.FLOAT, [300], "x.npz", data)[1], [0, 1, 2, 3, 4, 5, 6, 7])
                self.assertEqual(self.load(ow.FLOAT, [300], "x.npz", self.archive(compression, only=two))[1], [5] * 8)
        model = self.identity(ow.FLOAT, [300])
        file = self.write("x.npz", self.archive(zipfile.ZIP_STORED, a=one, b=two))
        self.refused("run", model, "--input", f"x=@{file}", says=["'x.npy'", "a.npy, b.npy"])
        broken = bytearray(self.archive(zipfile.ZIP_STORED, x=one))
        broken[400] ^= 1
        self.refused("run", model, "--input", f"x=@{self.write('x.npz', bytes(broken))}", says="checksum")
        self.refused("run", model, "--input", f"x=@{self.write('x.npz', one)}", says="not a zip archive")

    def test_pb(self):
        self.assertEqual(self.load(ow.FLOAT, [2], "x.pb", ow.tensor(ow.FLOAT, [2], ow.floats(1, 2))), ("float32[2]", [1, 2]))
        self.refused("run", self.identity(ow.FLOAT, [2]), "--input", f"x=@{self.write('bad.pb', b'no message')}", says="bad.pb")

    def test_raw_bytes_and_text(self):
        self.assertEqual(self.load(ow.FLOAT, ["n", 2], "x.bin", ow.floats(1, 2, 3, 4)), ("float32[2,2]", [1, 2, 3, 4]))
        self.assertEqual(self.load(ow.INT4, [3], "x.bin", bytes([0x1F, 0x07])), ("int4[3]", [-1, 1, 7]))
        self.assertEqual(self.load(ow.INT32, [2, 2], "x.txt", b" 1, 2\n+3\t-4\n"), ("int32[2,2]", [1, 2, 3, -4]))
        self.assertEqual(self.load(ow.FLOAT, ["n"], "x.TXT", b"1e3 inf nan"), ("float32[3]", [1000, "inf", "nan"]))
        model = self.identity(ow.FLOAT, [2])
        self.refused("run", model, "--input", f"x=@{self.write('x.bin', b'123456789')}", says=["9 bytes", "8"])
        self.refused("run", model, "--input", f"x=@{self.write('x.txt', b'1 2 3')}", says=["3 elements", "float32[2]"])
        self.refused("run", model, "--input", f"x=@{self.write('x.txt', b'1 two')}", says="'two'")


class Pictures(CommandTest):
    def test_digits(self):
        for digit in range(10):
            report = self.run_json(self.digits, "--input", f"image=@{self.models}/digit_{digit}.png")
            best = report["outputs"][0]["top"][0][0]
            self.assertEqual((best["class"], best["label"]), (digit, str(digit)))
        out, err = self.ashlar("run", self.digits, "--input", f"image=@{self.models}/digit_3.png")
        self.assertRegex(out, r"\n    class 3 +0\.\d+ +3\n")
        self.assertEqual(err, "")

    def picture(self, dtype, dims, *options, channels=1, pixels=(0, 255, 255, 0), size=(2, 2)):
        file = self.write("p.png", arrays.png(*size, channels, pixels))
        return self.values(dtype, dims, f"@{file}", *options)

    def test_layouts(self):
        rgb = [255, 0, 0, 0, 255, 0]
        planar, packed = [1, 0, 0, 1, 0, 0], [1, 0, 0, 0, 1, 0]
        for dims, type_, expected in [
            ([1, 3, 1, 2], "float32[1,3,1,2]", planar),
            ([3, "h", "w"], "float32[3,1,2]", planar),
            (["n", 1, 2, 3], "float32[1,1,2,3]", None),
            (["n", "h", "w", 3], "float32[1,1,2,3]", packed),
            (["h", "w", 3], "float32[1,2,3]", packed),
        ]:
            with self.subTest(dims=dims):
                got = self.picture(ow.FLOAT, dims, channels=3, pixels=rgb, size=(2, 1))
                self.assertEqual(got[0], type_)
                if expected:
                    self.assertEqual(got[1], expected)

    def test_resize_is_bilinear_with_half_pixel_centres(self):
        _, values = self.picture(ow.FLOAT, [1, 1, 1, 4], pixels=[0, 255], size=(2, 1))
        self.assertEqual(values, [0, 0.25, 0.75, 1])
        _, values = self.picture(ow.UINT8, [1, 1, 1, 4], pixels=[0, 255], size=(2, 1))
        self.assertEqual(values, [0, 64, 191, 255])
        _, values = self.picture(ow.FLOAT, [1, 1, 1, 1])
        self.assertEqual(values, [0.5])

    def test_mean_and_std(self):
        _, values = self.picture(ow.FLOAT, [1, 1, 2, 2], "--mean", "0.5", "--std", "0.25")
        self.assertEqual(values, [-2, 2, 2, -2])
        _, values = self.picture(ow.FLOAT, [1, 3, 1, 1], "--mean", "0,0.5,1", "--std=1,1,-1", channels=3, pixels=[255] * 3, size=(1, 1))
        self.assertEqual(values, [1, 0.5, 0])

    def test_refusals(self):
        png = self.write("p.png", arrays.png(2, 2, 1, [0, 1, 2, 3]))
        for dtype, dims, options, says in [
            (ow.FLOAT, [4], [], "rank 3 or 4"),
            (ow.FLOAT, [1, 2, 8, 8], [], "1 or 3 channels"),
            (ow.FLOAT, [2, 1, 8, 8], [], "batch of 1"),
            (ow.INT64, [1, 1, 8, 8], [], "float and uint8"),
            (ow.FLOAT, [1, 1, 8, 8], ["--mean", "1,2,3"], ["3 values", "1 channels"]),
            (ow.FLOAT, [1, 1, 8, 8], ["--std", "0"], "cannot be 0"),
            (ow.FLOAT, [1, 1, 8, 8], ["--std", "x"], "'x' is not a number"),
            (ow.UINT8, [1, 1, 8, 8], ["--mean", "1"], "float input"),
        ]:
            with self.subTest(says=says):
                self.refused("run", self.identity(dtype, dims), "--input", f"x=@{png}", *options, says=says)
        self.refused("run", self.digits, "--input", f"image=@{self.write('no.png', b'no picture')}", says=["no.png", "not a PNG or JPEG"])


class Sounds(CommandTest):
    def sound(self, data, dims, dtype=ow.FLOAT):
        file = self.write("s.wav", data)
        out, err = self.ashlar("run", self.identity(dtype, dims), "--input", f"x=@{file}", "--json")
        output = json.loads(out)["outputs"][0]
        return output["type"], output["values"], err

    def test_formats(self):
        for code, bits, data, expected in [
            (1, 8, bytes([128, 0, 192]), [0, -1, 0.5]),
            (1, 16, struct.pack("<3h", 0, -32768, 16384), [0, -1, 0.5]),
            (1, 24, b"\0\0\0" + b"\0\0\x80" + b"\0\0\x40", [0, -1, 0.5]),
            (1, 32, struct.pack("<3i", 0, -(2**31), 2**30), [0, -1, 0.5]),
            (3, 32, struct.pack("<3f", 0, -1, 0.5), [0, -1, 0.5]),
            (3, 64, struct.pack("<3d", 0, -1, 0.5), [0, -1, 0.5]),
        ]:
            with self.subTest(code=code, bits=bits):
                type_, values, err = self.sound(arrays.wav(code, bits, 1, 16000, data), [1, "n"])
                self.assertEqual((type_, values), ("float32[1,3]", expected))
                self.assertIn("3 samples at 16000 Hz", err)

    def test_stereo_is_averaged(self):
        _, values, err = self.sound(arrays.wav(1, 16, 2, 8000, struct.pack("<4h", 16384, 0, -16384, -16384)), [2])
        self.assertEqual(values, [0.25, -0.5])
        self.assertIn("mean of 2 channels", err)

    def test_extensible(self):
        extra = struct.pack("<HHIH", 22, 16, 4, 1) + b"\0" * 14
        _, values, _ = self.sound(arrays.wav(0xFFFE, 16, 1, 8000, struct.pack("<h", 16384), extra), ["n"])
        self.assertEqual(values, [0.5])

    def test_refusals(self):
        good = arrays.wav(1, 16, 1, 8000, struct.pack("<3h", 1, 2, 3))
        model = self.identity(ow.FLOAT, [1, 4])
        self.refused("run", model, "--input", f"x=@{self.write('s.wav', good)}", says=["3 samples", "float32[1,4]"])
        self.refused("run", self.identity(ow.FLOAT, [2, "n"]), "--input", f"x=@{self.write('s.wav', good)}", says=["3 samples", "float32[2,?]"])
        for data in [b"", good[:11], good[:40], arrays.wav(1, 12, 1, 8000, b""), arrays.wav(2, 4, 1, 8000, b""), arrays.wav(1, 16, 0, 8000, b"")]:
            self.refused("run", model, "--input", f"x=@{self.write('s.wav', data)}", says="s.wav")
