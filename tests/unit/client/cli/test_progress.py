import io
import unittest
from unittest import mock

from client.cli.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class ProgressTest(unittest.TestCase):
    def test_silent_in_pipes_and_where_somebody_types(self) -> None:
        for stderr, stdin, size in ((io.StringIO(), io.StringIO(), 10), (Terminal(), Terminal(), None)):
            with mock.patch("sys.stderr", stderr), mock.patch("sys.stdin", stdin), progress(size, "T1") as told:
                told(1, 2)
            self.assertEqual(stderr.getvalue(), "")

    def test_a_bar_on_a_terminal(self) -> None:
        with mock.patch("sys.stderr", Terminal()) as stderr, progress(10, "T1") as told:
            told(7, 10)
        self.assertIn("7 lines", stderr.getvalue())


if __name__ == "__main__":
    unittest.main()
