#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check what a release build would install: the symbols of both libraries, the soname, and that no stack is executable.

Usage: symbols.py BUILD_DIR
"""
import glob, re, subprocess, sys

ASHLAR = re.compile(r"_Z(N|NK|TIN|TSN|TVN)6ashlar2v0")
PRIVATE = "ashlar_private."
EXPECTED = {"_ZTIN6ashlar2v05ErrorE": "the typeinfo of ashlar::Error, by which it is caught", "_ZTVN6ashlar2v05ErrorE": "the vtable of ashlar::Error"}


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def defined(file, *options):
    """The names of the global symbols the file defines."""
    return [line.split()[-1] for line in output("nm", "-g", "--defined-only", *options, file).splitlines() if len(line.split()) >= 3]


def stack_is_executable(file):
    stack = [line.split()[-2] for line in output("readelf", "-lW", file).splitlines() if line.strip().startswith("GNU_STACK")]
    return len(stack) != 1 or "E" in stack[0]


def check_symbols(file, names, allowed):
    problems = [f"{file}: {what} is missing" for name, what in EXPECTED.items() if name not in names]
    strangers = [n for n in names if not allowed(n)]
    if strangers:
        problems.append(f"{file}: {len(strangers)} symbols are not Ashlar's, such as {', '.join(strangers[:5])}")
    return problems


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    build = sys.argv[1]
    shared, archive = f"{build}/lib/libashlar.so", f"{build}/lib/libashlar.a"
    problems = check_symbols(shared, defined(shared, "-D"), ASHLAR.match)
    problems += check_symbols(archive, defined(archive), lambda n: ASHLAR.match(n) or n.startswith(PRIVATE))
    if (members := output("ar", "t", archive).split()) != ["ashlar.o"]:
        problems.append(f"{archive}: holds {members}, not one object")
    if not re.search(r"SONAME.*\[libashlar\.so\.\d+\]", output("readelf", "-dW", shared)):
        problems.append(f"{shared}: has no soname libashlar.so.N")
    programs = [f for f in glob.glob(f"{build}/bin/*") if open(f, "rb").read(4) == b"\x7fELF"]
    if not programs:
        problems.append(f"{build}/bin: no program there")
    problems += [f"{f}: the stack is executable, or readelf does not say" for f in [shared, *programs] if stack_is_executable(f)]
    notes = re.findall(r"\.note\.GNU-stack\s+PROGBITS\s+\S+\s+\S+\s+\S+\s+\S+\s+(\S+)", output("readelf", "-SW", archive))
    if len(notes) != 1 or "X" in notes[0]:
        problems.append(f"{archive}: its object asks for an executable stack")
    print("\n".join(problems) or f"{shared}, {archive} and {len(programs)} programs are as they should be")
    sys.exit(bool(problems))


main()
