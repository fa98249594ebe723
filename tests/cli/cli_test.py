#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The `ashlar` command as a user meets it: cli_test.py ASHLAR_BINARY SOURCE_DIR [unittest options]. ASHLAR_PROVIDER_LIBRARIES in the
environment names the folder where tests/provider/libraries was built, ASHLAR_EXAMPLE_PROVIDER the library of docs/example_provider."""
import os
import pathlib
import sys
import unittest

sys.dont_write_bytecode = True

from command_case import CommandTest  # noqa: E402
from files_test import Arrays, Pictures, Sounds  # noqa: E402
from literals_test import Literals, MadeUp  # noqa: E402
from outputs_test import DataSets, Tracing  # noqa: E402
from placement_test import Placements  # noqa: E402
from providers_test import Providers  # noqa: E402
from reports_test import Options, Reports  # noqa: E402

CASES = [Arrays, DataSets, Literals, MadeUp, Options, Pictures, Placements, Providers, Reports, Sounds, Tracing]


def load_tests(loader, _tests, _pattern):
    return unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in CASES)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    CommandTest.binary = os.path.abspath(sys.argv[1])
    CommandTest.models = pathlib.Path(sys.argv[2]).absolute() / "tests" / "models"
    if folder := os.environ.get("ASHLAR_PROVIDER_LIBRARIES"):
        CommandTest.libraries = pathlib.Path(folder)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
