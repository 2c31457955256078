import unittest

from analysis.door_bench.load import SCRIPT, parsed

SAID = """Running 5s test @ http://127.0.0.1:5000/home
  1 threads and 32 connections
Requests/sec:  70233.11
RESULT {"requests": 351165, "duration_us": 5000000, "bytes": 1, "p50_us": 330, "p99_us": 3420, "worst_us": 9000, \
"connect": 1, "read": 2, "write": 3, "status": 4, "timeout": 5}
"""


class ParsedTest(unittest.TestCase):
    def test_the_result_line(self) -> None:
        load = parsed(SAID, cpu_s=2.5)
        self.assertEqual((load.requests, load.rate, load.p50_ms, load.p99_ms), (351165, 70233, 0.33, 3.42))
        self.assertEqual(load.cpu_s, 2.5)

    def test_every_kind_of_failure_counts(self) -> None:
        self.assertEqual(parsed(SAID, 0).failed, 15)

    def test_no_result(self) -> None:
        with self.assertRaisesRegex(RuntimeError, "unable to connect"):
            parsed("unable to connect to 127.0.0.1:1\n", 0)

    def test_the_script_says_what_is_parsed(self) -> None:
        script = SCRIPT.read_text()
        for name in ("RESULT ", "p50_us", "p99_us", "duration_us", *("connect", "read", "write", "status", "timeout")):
            self.assertIn(name, script)
