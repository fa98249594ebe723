#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Print what include/ashlar/provider/abi.h fixes: every macro, enum constant, type, struct member and signature, with sizes and offsets as
the C compiler has them.

Usage: tools/dev/abi_dump.py           prints the dump
       tools/dev/abi_dump.py --check   compares it with tests/provider/abi.txt, and ASHLAR_ABI_LAYOUT with its checksum; exit 1: differs
       tools/dev/abi_dump.py --write   renews tests/provider/abi.txt and ASHLAR_ABI_LAYOUT

ASHLAR_ABI_LAYOUT is the CRC-32 (that of zlib) of the dump without its own line. The header is compiled as strict C11 by the compiler in the
environment variable CC, else by cc. Comments and line breaks of the header do not show in the dump; names of parameters do.
"""
import argparse
import difflib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import zlib

HEADER = "include/ashlar/provider/abi.h"
DUMP = "tests/provider/abi.txt"
LAYOUT = "ASHLAR_ABI_LAYOUT"
RENEW = "tools/dev/abi_dump.py --write"


class Unreadable(Exception):
    """The header holds something that the dump would not show."""


def declarations(text):
    """(macros, declarations) of the header, comments removed, blanks made single; a declaration ends at a semicolon outside of braces."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"\\\n", " ", text)
    if "//" in text:
        raise Unreadable("a // comment")
    macros, rest = [], []
    for line in text.splitlines():
        if not line.lstrip().startswith("#"):
            rest.append(line)
        elif define := re.match(r"\s*#\s*define\s+(\w+)(\(?)\s*(.*)", line):
            name, parenthesis, value = define.groups()
            if parenthesis:
                raise Unreadable(f"macro {name} with parameters")
            if value.strip():
                macros.append(name)
        elif not re.match(r"\s*#\s*(include <\w+\.h>|ifdef __cplusplus|ifndef \w+_H_|endif)\s*$", line):
            raise Unreadable(line.strip())
    text = " ".join(" ".join(rest).split())
    text = re.sub(r'extern "C" \{', "", text, count=1)
    found, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c == "{") - (c == "}")
        if c == ";" and depth == 0:
            found.append(text[start:i].strip())
            start = i + 1
    if text[start:].strip() != "}":
        raise Unreadable(text[start:].strip())
    return macros, found


def member(text):
    """(name, type) of a member or of a typedef's name: a function pointer, an array, or `type name`."""
    if found := re.fullmatch(r"(.+?)\(\*(\w+)\)\((.*)\)", text):
        result, name, parameters = found.groups()
        return name, f"{result.strip()}(*)({parameters})"
    if found := re.fullmatch(r"([\w\s*]+?)(\w+)(\[\w+\])?", text):
        kind, name, array = found.groups()
        return name, kind.strip() + (array or "")
    raise Unreadable(text)


def read(text):
    """The dump's lines, with C expressions for the numbers: a list of strings and (expression, C type to print it as)."""
    macros, found = declarations(text)
    lines = []
    for name in macros:
        lines.append([f"macro {name} size ", (f"sizeof({name})", "number"), " = ", (name, "hex" if name == LAYOUT else "unsigned")])
    for declaration in found:
        if constants := re.fullmatch(r"enum \{(.*)\}", declaration):
            for constant in constants[1].split(","):
                if name := constant.split("=")[0].strip():
                    lines.append([f"enum {name} = ", (name, "number")])
        elif struct := re.fullmatch(r"typedef struct (\w+) \{(.*)\} (\w+)", declaration):
            name = struct[3]
            lines.append([f"struct {name} size ", (f"sizeof({name})", "number")])
            for one in filter(None, (part.strip() for part in struct[2].split(";"))):
                field, kind = member(one)
                size = f"sizeof((({name}*)0)->{field})"
                lines.append(["  ", (f"offsetof({name}, {field})", "number"), " size ", (size, "number"), f" {field}: {kind}"])
        elif alias := re.fullmatch(r"typedef (.*)", declaration):
            name, kind = member(alias[1])
            lines.append([f"type {name} size ", (f"sizeof({name})", "number"), f": {kind}"])
        elif not re.fullmatch(r"struct \w+", declaration):
            raise Unreadable(declaration)
    return lines


def evaluate(lines, root):
    """The dump, with the numbers that a C program compiled against the header gives."""
    formats = {"number": ('"%lld"', "(long long)"), "unsigned": ('"%llu"', "(unsigned long long)"), "hex": ('"0x%08x"', "(unsigned)")}
    body = []
    for line in lines:
        for part in line:
            if isinstance(part, str):
                body.append(f'  fputs("{part}", stdout);')
            else:
                expression, kind = part
                how, cast = formats[kind]
                body.append(f"  printf({how}, {cast}({expression}));")
        body.append('  fputs("\\n", stdout);')
    program = "#include <ashlar/provider/abi.h>\n#include <stdio.h>\nint main(void) {\n" + "\n".join(body) + "\n  return 0;\n}\n"
    with tempfile.TemporaryDirectory() as folder:
        source, binary = pathlib.Path(folder, "dump.c"), pathlib.Path(folder, "dump")
        source.write_text(program, encoding="utf-8")
        compiler = os.environ.get("CC", "cc")
        command = [compiler, "-std=c11", "-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-I", root / "include", source, "-o", binary]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise Unreadable(f"the C compiler refuses it:\n{done.stderr}")
        return subprocess.run([binary], capture_output=True, text=True, check=True).stdout


def dump(root):
    return evaluate(read((root / HEADER).read_text(encoding="utf-8")), root)


def layout(text):
    """What ASHLAR_ABI_LAYOUT should be for a dump."""
    lines = [line for line in text.splitlines(keepends=True) if not line.startswith(f"macro {LAYOUT} ")]
    return f"0x{zlib.crc32(''.join(lines).encode()):08x}"


def check(root):
    """What differs, in words; empty when nothing does."""
    text = dump(root)
    file = root / DUMP
    kept = file.read_text(encoding="utf-8") if file.exists() else ""
    said = ""
    if text != kept:
        said += "".join(difflib.unified_diff(kept.splitlines(keepends=True), text.splitlines(keepends=True), DUMP, HEADER))
        said += f"the provider border is not what {DUMP} says; where that is meant, run {RENEW}\n"
    if not re.search(rf"^macro {LAYOUT} .* = {layout(text)}$", text, flags=re.M):
        said += f"set {LAYOUT} to {layout(text)}u in {HEADER}, or run {RENEW}\n"
    return said


def write(root):
    header = root / HEADER
    text = header.read_text(encoding="utf-8")
    text, count = re.subn(rf"(#define {LAYOUT} )\w+", rf"\g<1>{layout(dump(root))}u", text)
    if count != 1:
        raise Unreadable(f"there are {count} definitions of {LAYOUT}")
    header.write_text(text, encoding="utf-8")
    (root / DUMP).write_text(dump(root), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2], help="the source tree")
    options = parser.parse_args()
    try:
        if options.write:
            write(options.root)
        elif options.check:
            said = check(options.root)
            sys.stdout.write(said)
            return 1 if said else 0
        else:
            sys.stdout.write(dump(options.root))
    except Unreadable as e:
        print(f"abi_dump: error: {HEADER}: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
