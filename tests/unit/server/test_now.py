"""`server.now`: a moment."""

import unittest

from server.now import Now


class NowTest(unittest.TestCase):
    def test_two_clocks(self) -> None:
        self.assertEqual(Now(1, 2)._asdict(), {"steady_ms": 1, "wall_ms": 2})
