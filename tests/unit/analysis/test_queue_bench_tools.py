"""`analysis.queue_bench.clients.kafka_tools`, `.lag`, `.syncs`, `.clients.http_calls`: what others print."""

import os
import tempfile
import unittest
from pathlib import Path

from analysis.queue_bench.clients.http_calls import content_length
from analysis.queue_bench.clients.kafka_tools import consumed, produced, travelled
from analysis.queue_bench.lag import lag_s
from analysis.queue_bench.syncs import calls, can_trace, counted, flushes

PRODUCED = """\
1000 records sent, 200.0 records/sec (0.02 MB/sec), 9.0 ms avg latency, 300.0 ms max latency.
2000000 records sent, 601684.7 records/sec (57.38 MB/sec), 120.51 ms avg latency, 301.00 ms max latency, 110 ms 50th, 250 ms 95th, 290 ms 99th, 300 ms 99.9th.
"""  # noqa: E501
CONSUMED = (
    "2026-11-21 18:00:00:123, 2026-11-21 18:00:03:123, 190.7, 63.6, 2000000, 666666.6, 3012, 1100, 173.4, 1818181.8\n"
)
TRAVELLED = "0\t1.7\nAvg latency: 0.4000 ms\nPercentiles: 50th = 0, 99th = 2, 99.9th = 5\n"
PERF = """\
# started on Sat Nov 21 17:31:42 2026

50,,syscalls:sys_enter_fsync,1000,100.00,,
7,,syscalls:sys_enter_fdatasync,1000,100.00,,
"""


class ToolsTest(unittest.TestCase):
    def test_the_last_line_of_a_producer(self) -> None:
        self.assertEqual(produced(PRODUCED), {"rate": 601684.7, "p50_us": 110e3, "p99_us": 290e3})

    def test_a_consumer_s_fetching(self) -> None:
        self.assertEqual(consumed(CONSUMED), {"rate": 1818181.8})

    def test_end_to_end(self) -> None:
        self.assertEqual(travelled(TRAVELLED), {"rate": 2500.0, "p50_us": 0.0, "p99_us": 2e3})

    def test_other_words_are_refused(self) -> None:
        for parse in (produced, consumed, travelled):
            with self.assertRaises(ValueError):
                parse("WARN no broker\n")


class SyncsTest(unittest.TestCase):
    def test_perf_s_counts_are_added(self) -> None:
        self.assertEqual(calls(PERF), 57)

    def test_what_was_not_counted_is_no_zero(self) -> None:
        self.assertIsNone(calls("<not counted>,,syscalls:sys_enter_fsync,0,100.00,,\n"))
        self.assertIsNone(calls(""))

    def test_our_own(self) -> None:
        with tempfile.NamedTemporaryFile(dir="/tmp") as file, counted([os.getpid()], Path("/tmp")) as found:
            for _ in range(3):
                file.write(b"x" * 4096)
                file.flush()
                os.fdatasync(file.fileno())
        self.assertEqual(found.calls, 3 if can_trace() else None)
        self.assertEqual(found.flushes is None, flushes(Path("/tmp")) is None)

    def test_no_device(self) -> None:
        self.assertIsNone(flushes(Path("/proc")))


class LagTest(unittest.TestCase):
    def test_from_metrics(self) -> None:
        text = "# HELP carousel_control_loop_lag_seconds How late.\ncarousel_control_loop_lag_seconds 0.0125\n"
        self.assertEqual(lag_s(text), 0.0125)
        self.assertEqual(lag_s("carousel_other 1\n"), 0.0)


class HeadTest(unittest.TestCase):
    def test_length(self) -> None:
        self.assertEqual(content_length("HTTP/1.1 200 OK\r\ncontent-LENGTH: 42\r\n\r\n"), 42)
        with self.assertRaises(ValueError):
            content_length("HTTP/1.1 200 OK\r\n\r\n")
