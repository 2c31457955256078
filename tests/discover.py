"""Runs the unit twins as `python -m unittest discover -s tests` does, and fails if it found none."""

import sys
import unittest
from pathlib import Path

LEAST_TESTS = 100  # far fewer means that discovery broke, not that tests were removed


def main() -> int:
    sys.path.insert(0, str(Path(__file__).parent.parent))
    suite = unittest.defaultTestLoader.discover(str(Path(__file__).parent))
    result = unittest.TextTestRunner(verbosity=0).run(suite)
    if result.testsRun < LEAST_TESTS:
        print(f"unittest discovery ran {result.testsRun} tests, fewer than {LEAST_TESTS}", file=sys.stderr)
        return 1
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
