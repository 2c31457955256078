"""Programs of others that a test needs. Without one it is skipped, unless REQUIRE names the program: then it fails."""

import os
import unittest

from analysis.door_bench.peers import program_path


def programs_or_skip(*names: str) -> None:
    """SkipTest that says what to install, or the failure that REQUIRE asks for."""
    for name in names:
        if program_path(name) is None:
            reason = f"{name} is not installed"
            if name in os.environ.get("REQUIRE", "").split(","):
                raise AssertionError(reason)
            raise unittest.SkipTest(reason)
