#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The dump of abi.h sees what it is there to see: each case changes one thing in a copy of the header."""
import pathlib
import shutil
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "dev"))
import abi_dump  # noqa: E402

CHANGES = {
    "two members swapped": ("  const char* name;\n  const char* version;\n", "  const char* version;\n  const char* name;\n"),
    "a member's type": ("  uint64_t total_bytes;", "  int64_t total_bytes;"),
    "a longer array": ("  char reason[248];", "  char reason[256];"),
    "a new member": ("  void* handle;\n} AshlarProgram;", "  void* handle;\n  void* more;\n} AshlarProgram;"),
    "an enum constant's value": ("ASHLAR_STEP_NO_CAPTURE = 1", "ASHLAR_STEP_NO_CAPTURE = 2"),
    "a new enum constant": ("ASHLAR_CORE_FEATURES = 7", "ASHLAR_CORE_FEATURES = 7, ASHLAR_CORE_MORE = 8"),
    "a macro's value": ("#define ASHLAR_MAX_RANK 16", "#define ASHLAR_MAX_RANK 32"),
    "a type's width": ("typedef int32_t AshlarCode;", "typedef int64_t AshlarCode;"),
    "a parameter more": ("(*replay)(void* instance, void* queue,", "(*replay)(void* instance, int32_t times, void* queue,"),
    "a parameter of a parameter": ("(*fill)(void* context, void* memory,", "(*fill)(void* context, const void* memory,"),
    "the entry's signature": ("(*AshlarProviderEntry)(const AshlarHost* host,", "(*AshlarProviderEntry)(AshlarHost* host,"),
}
UNREADABLE = {
    "a comment of C++": ("typedef int32_t AshlarCode;", "typedef int32_t AshlarCode; // codes\n"),
    "a macro with parameters": ("#define ASHLAR_MAX_RANK 16", "#define ASHLAR_MAX_RANK 16\n#define ASHLAR_OF(x) (x)"),
    "a condition": ("#define ASHLAR_MAX_RANK 16", "#if 1\n#define ASHLAR_MAX_RANK 16\n#endif"),
    "two members at once": ("  uint32_t step_count;", "  uint32_t step_count, step_limit;"),
    "a union": ("struct AshlarGraph;", "union AshlarAny { int i; float f; };"),
    "a function": ("struct AshlarGraph;", "void ashlar_function(void);"),
    "no C": ("typedef int32_t AshlarCode;", "typedef int32_t AshlarCode;\ntypedef AshlarMissing AshlarOther;"),
}


class AbiDump(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.header = self.root / abi_dump.HEADER
        self.header.parent.mkdir(parents=True)
        (self.root / abi_dump.DUMP).parent.mkdir(parents=True)
        shutil.copy(ROOT / abi_dump.HEADER, self.header)
        self.text = self.header.read_text(encoding="utf-8")
        abi_dump.write(self.root)
        self.written = self.header.read_text(encoding="utf-8")

    def change(self, old, new):
        self.assertEqual(self.written.count(old), 1, old)
        self.header.write_text(self.written.replace(old, new), encoding="utf-8")

    def test_what_was_written_is_in_order(self):
        self.assertEqual(abi_dump.check(self.root), "")
        self.assertEqual([a for a, b in zip(self.text.splitlines(), self.written.splitlines()) if a != b and abi_dump.LAYOUT not in a], [])

    def test_a_change_shows_as_a_diff_and_a_number(self):
        for name, (old, new) in CHANGES.items():
            with self.subTest(name):
                self.change(old, new)
                said = abi_dump.check(self.root)
                self.assertRegex(said, r"(?m)^\+[^+]")
                self.assertIn(f"set ASHLAR_ABI_LAYOUT to {abi_dump.layout(abi_dump.dump(self.root))}u", said)
                self.assertIn(abi_dump.RENEW, said)

    def test_comments_and_line_breaks_do_not_count(self):
        self.change("(*replay)(void* instance, void* queue,", "(*replay)(void* instance, /* of the device */\n    void* queue,")
        self.assertEqual(abi_dump.check(self.root), "")

    def test_another_layout_alone_is_told(self):
        number = abi_dump.layout(abi_dump.dump(self.root))
        self.change(f"#define {abi_dump.LAYOUT} {number}u", f"#define {abi_dump.LAYOUT} 0x00000001u")
        self.assertIn(f"set ASHLAR_ABI_LAYOUT to {number}u", abi_dump.check(self.root))

    def test_what_it_cannot_show_is_refused(self):
        for name, (old, new) in UNREADABLE.items():
            with self.subTest(name):
                self.change(old, new)
                with self.assertRaises(abi_dump.Unreadable):
                    abi_dump.check(self.root)


if __name__ == "__main__":
    unittest.main()
