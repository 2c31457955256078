"""Every fault drill with containers at a small size: what must be zero is zero. Times are not looked at."""

import unittest

import pytest
from support.compose import some_commands
from support.docker_ground import engine_or_skip

from analysis.composed import FRONT_IMAGE
from analysis.drills.base import Size
from analysis.drills.containers import CONTAINER_DRILLS

SIZE = Size(requests=2000, rate=400, changes=6)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.system
class ContainerDrillsTest(unittest.TestCase):
    def setUp(self) -> None:
        for image in (FRONT_IMAGE, "carousel-server:latest"):
            engine_or_skip(image).close()
        some_commands()

    def test_all_zeros_are_zero(self) -> None:
        for name, drill in CONTAINER_DRILLS.items():
            with self.subTest(name):
                report = drill(SIZE)
                self.assertEqual(dict.fromkeys(report.zeros, 0), report.zeros, report.other)
