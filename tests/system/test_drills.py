"""Every fault drill at a small size: what must be zero is zero. Times are not looked at."""

import unittest

import pytest

from analysis.drills.base import Size
from analysis.drills.table import DRILLS

SIZE = Size(requests=2000, rate=400, changes=10)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.system
class DrillsTest(unittest.TestCase):
    def test_all_zeros_are_zero(self) -> None:
        for name, drill in DRILLS.items():
            with self.subTest(name):
                report = drill(SIZE)
                self.assertEqual(dict.fromkeys(report.zeros, 0), report.zeros, report.other)
