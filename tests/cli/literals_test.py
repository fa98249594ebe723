# SPDX-License-Identifier: Apache-2.0
"""Inputs written out and made up."""
import onnx_writer as ow
from command_case import CommandTest


class Literals(CommandTest):
    def test_shapes_and_dtypes(self):
        cases = [
            (ow.FLOAT, [2, 2], "[[1,2],[3,4.5]]", ("float32[2,2]", [1, 2, 3, 4.5])),
            (ow.FLOAT, ["n"], "[1,2,3]", ("float32[3]", [1, 2, 3])),
            (ow.FLOAT, [], "3", ("float32[]", [3])),
            (ow.FLOAT, [1, "n"], "-3.5", ("float32[1,1]", [-3.5])),
            (ow.INT64, [2], "[9007199254740993,-9223372036854775808]", ("int64[2]", [9007199254740993, -(2**63)])),
            (ow.UINT64, [1], "[18446744073709551615]", ("uint64[1]", [2**64 - 1])),
            (ow.BOOL, [3], "[true,false,1]", ("bool[3]", [True, False, True])),
            (ow.STRING, [2], '["a b","é"]', ("string[2]", ["a b", "é"])),
            (ow.STRING, [], '"one"', ("string[]", ["one"])),
            (ow.FLOAT16, [3], "[1.0009765625,65504,1e6]", ("float16[3]", [1.0009765625, 65504, "inf"])),
            (ow.BFLOAT16, [3], "[1.00390625,1.01171875,-3e38]", ("bfloat16[3]", [1.0, 1.015625, -3.00405527047391e38])),
            (17, [4], "[448,1000,0.001953125,-0.3]", ("float8e4m3fn[4]", [448, 448, 0.001953125, -0.3125])),
            (ow.INT4, [3], "[-8,7,1]", ("int4[3]", [-8, 7, 1])),
            (ow.COMPLEX64, [2], "[[1,2],3]", ("complex64[2]", [[1, 2], [3, 0]])),
            (ow.INT32, [0], "[]", ("int32[0]", [])),
        ]
        for dtype, dims, literal, expected in cases:
            with self.subTest(literal=literal, dtype=dtype):
                self.assertEqual(self.values(dtype, dims, literal), expected)

    def test_flat_list_takes_a_known_shape(self):
        self.assertEqual(self.values(ow.FLOAT, ["a", "b"], "[1,2,3,4]", "--shape", "x=2x2"), ("float32[2,2]", [1, 2, 3, 4]))

    def test_what_does_not_fit_states_both(self):
        for dtype, dims, literal, says in [
            (ow.FLOAT, [2, 2], "[1,2,3]", ["3 elements", "float32[2,2]"]),
            (ow.FLOAT, [2, "n"], "[[1,2,3]]", ["[1,3]", "float32[2,?]"]),
            (ow.FLOAT, [2, 2], "[[1,2],[3]]", "differ in length"),
            (ow.FLOAT, ["n"], "[1,[2]]", "differ in length"),
            (ow.INT32, [1], "[1.5]", ["int32", "1.5"]),
            (ow.UINT8, [1], "[256]", ["uint8", "256"]),
            (ow.UINT64, [1], "[18446744073709551616]", "uint64"),
            (ow.BOOL, [1], "[2]", "bool"),
            (ow.FLOAT, [1], '["a"]', ['"a"', "float32"]),
            (ow.STRING, [1], "[1]", "string"),
            (ow.STRING, [1], "bare", "'bare'"),
            (ow.FLOAT, [1], "[1", "neither a literal"),
            (ow.FLOAT, None, "[" * 40 + "]" * 40, "deeper than"),
        ]:
            with self.subTest(literal=literal):
                error = self.refused("run", self.identity(dtype, dims), "--input", f"x={literal}", says=says)
                self.assertEqual(error["tensor"], "x")


class MadeUp(CommandTest):
    def test_random_is_fixed_and_seeded(self):
        model = self.identity(ow.FLOAT, [1000])
        def outputs(value):
            return self.run_json(model, "--input", f"x={value}")["outputs"][0]
        first, again, other = outputs("random"), outputs("random:0"), outputs("random:7")
        self.assertEqual(first, again)
        self.assertNotEqual(first["values"], other["values"])
        self.assertLess(abs(first["mean"]), 0.2)
        self.assertTrue(-6 < first["min"] < -2 and 2 < first["max"] < 6, first)

    def test_the_same_numbers_on_every_machine(self):
        _, values = self.values(ow.INT64, [8], "random")
        self.assertEqual(values, self.expected_integers("x", 8))

    @staticmethod
    def expected_integers(name, count):
        """The 64-bit Mersenne Twister (MT19937-64, Nishimura 2000) seeded with FNV-1a of the name, modulo 10."""
        mask = 2**64 - 1
        seed = 0xCBF29CE484222325
        for byte in name.encode():
            seed = (seed ^ byte) * 0x100000001B3 & mask
        state = [seed]
        for i in range(1, 312):
            state.append((6364136223846793005 * (state[-1] ^ state[-1] >> 62) + i) & mask)
        for i in range(312):
            x = state[i] & 0xFFFFFFFF80000000 | state[(i + 1) % 312] & 0x7FFFFFFF
            state[i] = state[(i + 156) % 312] ^ x >> 1 ^ (0xB5026F5AA96619E9 if x & 1 else 0)
        values = []
        for x in state[:count]:
            x ^= x >> 29 & 0x5555555555555555
            x ^= x << 17 & 0x71D67FFFEDA60000
            x ^= x << 37 & 0xFFF7EEE000000000
            values.append((x ^ x >> 43) % 10)
        return values

    def test_zeros_and_ones(self):
        self.assertEqual(self.values(ow.FLOAT, [2], "zeros"), ("float32[2]", [0, 0]))
        self.assertEqual(self.values(ow.INT8, [2], "ones"), ("int8[2]", [1, 1]))
        self.assertEqual(self.values(ow.BOOL, [2], "ones"), ("bool[2]", [True, True]))

    def test_ranges(self):
        output = self.run_json(self.identity(ow.INT64, [500]), "--input", "x=random")["outputs"][0]
        self.assertEqual((output["min"], output["max"]), (0, 9))
        output = self.run_json(self.identity(ow.INT4, [500]), "--input", "x=random")["outputs"][0]
        self.assertEqual((output["min"], output["max"]), (0, 7))
        output = self.run_json(self.identity(ow.BOOL, [500]), "--input", "x=random")["outputs"][0]
        self.assertEqual((output["min"], output["max"]), (False, True))

    def test_without_inputs_says_so(self):
        out, err = self.ashlar("run", self.digits)
        self.assertIn("probabilities  float32[1,10]", out)
        self.assertIn("'image' is made up: random", err)
        self.assertIn("taken as [1,1,8,8]", err)

    def test_shape_is_used_and_said(self):
        report = self.run_json(self.digits, "--shape", "image=3x1x8x8")
        self.assertEqual(report["inputs"][0]["type"], "float32[3,1,8,8]")
        self.assertEqual(report["outputs"][0]["type"], "float32[3,10]")

    def test_a_symbol_is_one_size(self):
        pair = ow.model([("a", ow.FLOAT, ["n"]), ("b", ow.FLOAT, ["n"])], [("Add", ["a", "b"], ["c"])], [("c", ow.FLOAT, ["n"])])
        report = self.run_json(self.write("add.onnx", pair), "--input", "b=[1,2,3]", "--input", "a=ones")
        self.assertEqual(report["outputs"][0]["values"], [2, 3, 4])
        self.assertEqual(self.run_json(str(self.dir / "add.onnx"), "--shape", "a=4")["outputs"][0]["type"], "float32[4]")

    def test_an_input_with_a_default_may_be_left_out(self):
        default = ow.tensor(ow.FLOAT, [2], ow.floats(10, 20), "b")
        data = ow.model([("a", ow.FLOAT, [2]), ("b", ow.FLOAT, [2])], [("Add", ["a", "b"], ["c"])], [("c", ow.FLOAT, [2])], [default])
        model = self.write("default.onnx", data)
        self.assertEqual(self.run_json(model, "--input", "a=[1,2]")["outputs"][0]["values"], [11, 22])
        self.assertEqual(self.run_json(model, "--input", "a=[1,2]", "--input", "b=[0,1]")["outputs"][0]["values"], [1, 3])

    def test_refusals(self):
        for option, value, says in [
            ("--shape", "image=1x1x8x9", ["float32[batch,1,8,8]", "[1,1,8,9]"]),
            ("--shape", "image=1x1x8", "float32[batch,1,8,8]"),
            ("--shape", "image=1xx8", "is not a shape"),
            ("--shape", "image=1x-1x8x8", "is not a shape"),
            ("--shape", "image=1x1x8x", "is not a shape"),
            ("--shape", "imag=1x1x8x8", "did you mean 'image'?"),
            ("--input", "imge=zeros", "did you mean 'image'?"),
            ("--input", "image", "lacks its '='"),
            ("--input", "image=random:x", "no seed"),
            ("--input", "image=@missing.npy", ["no such file", "missing.npy"]),
            ("--input", f"image=@{self.models}", "files of type"),
        ]:
            with self.subTest(value=value):
                self.refused("run", self.digits, option, value, says=says)
        self.refused("run", self.digits, "--input", "image=zeros", "--input", "image=ones", says="given twice")
        pair = ow.model([("a", ow.FLOAT, [1]), ("b", ow.FLOAT, [1])], [("Add", ["a", "b"], ["c"])], [("c", ow.FLOAT, [1])])
        self.refused("run", self.write("add.onnx", pair), "--input", "a=1", says=["'b'", "is missing"])
        self.refused("run", self.identity(ow.FLOAT, ["n"]), "--shape", "x=200000000000000000", says="out_of_memory")
