"""`server.http_paths`: each has its reader."""

import unittest

from server.http_calls import BadCall, read_call
from server.http_paths import PATHS


class PathsTest(unittest.TestCase):
    def test_all_are_read(self) -> None:
        for path in PATHS:
            with self.assertRaises(BadCall) as caught:
                read_call("PUT", path, "", b"")
            self.assertEqual(caught.exception.status, 405)


if __name__ == "__main__":
    unittest.main()
