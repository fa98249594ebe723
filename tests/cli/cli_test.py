#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The `ashlar` command as a user meets it: cli_test.py ASHLAR_BINARY SOURCE_DIR [unittest options]."""
import os
import pathlib
import sys
import unittest

from command_case import CommandTest
from files_test import Arrays, Pictures, Sounds
from literals_test import Literals, MadeUp
from outputs_test import DataSets, Tracing
from reports_test import Options, Reports

CASES = [Arrays, DataSets, Literals, MadeUp, Options, Pictures, Reports, Sounds, Tracing]


def load_tests(loader, _tests, _pattern):
    return unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in CASES)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    CommandTest.binary = os.path.abspath(sys.argv[1])
    CommandTest.models = pathlib.Path(sys.argv[2]).absolute() / "tests" / "models"
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
