"""Consumers that ask for 50 MiB each and never read: what they cost the server, and whether another client feels it."""

import contextlib
import socket
import statistics
import time
from typing import Final

from confluent_kafka import Producer

from analysis.door_bench.accounting import pss_of
from analysis.queue_drills.drill import Size
from analysis.queue_drills.engines import Engine, Start, create_topic, direct
from analysis.queue_drills.idle import MB
from analysis.queue_drills.raw import SMALL_WINDOW, connect, fetch, has_answer
from analysis.queue_drills.report import Limit, Report
from analysis.queue_drills.round_trips import round_trips
from analysis.queue_drills.starting import settle

ASKED: Final = 50 << 20
MESSAGE: Final = 64 << 10
MORE_MB: Final = 256.0
"""What the server may grow by: 100 answers of 50 MiB would be 5 GB."""
P99_RATIO: Final = 2.0
ROUNDS: Final = 3
LARGE: Final = "large"
SMALL: Final = "small"
FILLED_S: Final = 120.0
LOOK_S: Final = 0.5


def stalled(start: Start, name: str, size: Size) -> Report:
    report = Report("stalled", name, size.seed, counts={"stalled consumers": size.stalled})
    with start(1, size.parent) as engine, contextlib.ExitStack() as open_ones:
        create_topic(engine, SMALL, 1)
        fill(engine)
        settle(engine)
        (server,) = engine.servers()
        calm_us = p99_us(engine, size.sends)
        before = pss_of([server])
        connections = stall(engine, size.stalled, open_ones)
        most = watched(server)
        report.zeros["stalled ones that were given nothing"] = sum(not has_answer(one) for one in connections)
        stalled_us = p99_us(engine, size.sends)
        most = max(most, pss_of([server]))
        report.zeros["servers lost"] = int(engine.servers() != [server])
    report.other |= {"PSS before, MB": round(before / MB), "p99 before, µs": round(calm_us)}
    report.other["p99 meanwhile, µs"] = round(stalled_us)
    report.limits["grown by, MB"] = Limit((most - before) / MB, MORE_MB)
    report.limits["another's sync p99 over that before"] = Limit(stalled_us / calm_us, P99_RATIO)
    return report


def fill(engine: Engine) -> None:
    """One partition with more than is asked for. Raises RuntimeError."""
    create_topic(engine, LARGE, 1)
    producer = Producer({"bootstrap.servers": engine.bootstrap, "acks": "all", "log_level": 1})
    for _ in range(ASKED // MESSAGE + 100):
        producer.produce(LARGE, b"x" * MESSAGE, partition=0)
        producer.poll(0)
    if left := producer.flush(FILLED_S):
        raise RuntimeError(f"{left} messages were not taken in {FILLED_S} s")


def stall(engine: Engine, consumers: int, open_ones: contextlib.ExitStack) -> list[socket.socket]:
    address = direct(engine)
    connections: list[socket.socket] = []
    for _ in range(consumers):
        connection = open_ones.enter_context(contextlib.closing(connect(address, SMALL_WINDOW)))
        connection.sendall(fetch(LARGE, 0, offset=0, max_bytes=ASKED, wait_ms=500, min_bytes=1))
        connections.append(connection)
    return connections


def watched(server: int) -> int:
    """The most memory that it took in the first seconds, in bytes."""
    most = 0
    for _ in range(10):
        time.sleep(LOOK_S)
        most = max(most, pss_of([server]))
    return most


def p99_us(engine: Engine, sends: int) -> float:
    """Of synchronous sends to another partition, the median of ROUNDS."""
    return statistics.median(round_trips(engine, SMALL, sends)["p99_us"] for _ in range(ROUNDS))
