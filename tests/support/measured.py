"""Measurements of the bench as tests want them: everything has a value, and what matters is given."""

from typing import Any

from analysis.door_bench.rounds import Measurement

VALUES: dict[str, Any] = {
    "scenario": "get-32", "round": 0, "front": "carousel", "requests": 1000, "failed": 0, "rate": 1000.0,
    "p50_ms": 1.0, "p99_ms": 2.0, "cpu_us": 10.0, "user_us": 4.0, "system_us": 6.0, "data_us": 9.5, "wrk_us": 6.0,
    "backends_us": 6.0, "pss_bytes": 10_000_000, "data_rss_bytes": 12_000_000, "front_busy": 1.0, "load_busy": 0.8,
    "foreign": 0.0,
}  # fmt: skip


def measured(**changes: Any) -> Measurement:
    return Measurement(**(VALUES | changes))
