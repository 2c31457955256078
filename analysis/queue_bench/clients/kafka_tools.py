"""Kafka's own load tools (kafka-producer-perf-test.sh and its kin): the Java client, as Kafka's own people measure."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from analysis.kafka_peer import LOAD_HEAP, run_tool
from analysis.queue_bench.asked import Ask, Load

PATIENCE_S: Final = 280.0


def produce(ask: Ask, ready: Callable[[], None]) -> Mapping[str, float]:
    ready()
    return produced(
        _run(
            "producer-perf", "--bootstrap-server", ask.address, "--topic", ask.topic, "--num-records", str(ask.count),
            "--record-size", str(ask.size), "--throughput", "-1", "--command-property", "acks=all",
        )
    )  # fmt: skip


def consume(ask: Ask, ready: Callable[[], None]) -> Mapping[str, float]:
    ready()
    return consumed(
        _run(
            "consumer-perf", "--bootstrap-server", ask.address, "--topic", ask.topic, "--num-records", str(ask.count),
            "--hide-header",
        )
    )  # fmt: skip


def end_to_end(ask: Ask, ready: Callable[[], None]) -> Mapping[str, float]:
    """A message after another, each sent (acks=all) and waited for at the consumer."""
    ready()
    return travelled(_run("end-to-end-latency", ask.address, ask.topic, str(ask.count), "all", str(ask.size)))


def _run(name: str, *arguments: str) -> str:
    return run_tool(name, *arguments, timeout_s=PATIENCE_S, heap=LOAD_HEAP)


def produced(text: str) -> dict[str, float]:
    """From the tool's last line, `500000 records sent, 48828.1 records/sec (4.66 MB/sec), 12.30 ms avg latency, 301.00
    ms max latency, 5 ms 50th, 10 ms 95th, 12 ms 99th, 14 ms 99.9th.` Raises ValueError if it is another."""
    match = re.search(r"([\d.]+) records/sec .* (\d+) ms 50th, .* (\d+) ms 99th", text.splitlines()[-1])
    if match is None:
        raise ValueError(f"not what a producer's test says: {text[-500:]}")
    rate, p50_ms, p99_ms = map(float, match.groups())
    return {"rate": rate, "p50_us": p50_ms * 1e3, "p99_us": p99_ms * 1e3}


def consumed(text: str) -> dict[str, float]:
    """From the tool's last line, comma-separated: start, end, MB, MB/s, messages, messages/s, ms of the rebalance, ms
    of fetching, MB/s and messages/s of fetching alone. The last one is taken: the rebalance is measured in seconds
    that have nothing to do with a consumer's rate. Raises ValueError."""
    fields = text.strip().splitlines()[-1].split(",")
    if len(fields) != 10:
        raise ValueError(f"not what a consumer's test says: {text[-500:]}")
    return {"rate": float(fields[9])}


def travelled(text: str) -> dict[str, float]:
    """From `Avg latency: 0.5 ms` and `Percentiles: 50th = 0, 99th = 1, 99.9th = 2`, whole milliseconds. A message is
    sent when the one before has come, so their rate is what the mean says. Raises ValueError."""
    mean = re.search(r"Avg latency: ([\d.]+) ms", text)
    percentiles = re.search(r"50th = (\d+), 99th = (\d+)", text)
    if mean is None or percentiles is None:
        raise ValueError(f"not what the test says: {text[-500:]}")
    p50_ms, p99_ms = map(float, percentiles.groups())
    return {"rate": 1e3 / float(mean[1]), "p50_us": p50_ms * 1e3, "p99_us": p99_ms * 1e3}


LOADS: Final[Mapping[str, Load]] = {"produce": produce, "consume": consume, "end-to-end": end_to_end}
