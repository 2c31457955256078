"""Thousands of partitions and connections on one server, beside one that has one of each, in turns.

Each partition holds a message, so it has its files; each connection has greeted and then waits in a Fetch of a
partition of its own for a message that doesn't come, as a consumer's does.
"""

import contextlib
import socket
import statistics
from typing import Final

from confluent_kafka import Producer

from analysis.door_bench.accounting import pss_of
from analysis.queue_drills.drill import Size
from analysis.queue_drills.engines import Engine, Start, create_topic, direct
from analysis.queue_drills.idle import MB, idle_cpu
from analysis.queue_drills.raw import connect, fetch, greet, has_answer
from analysis.queue_drills.report import Limit, Report
from analysis.queue_drills.round_trips import round_trips
from analysis.queue_drills.starting import first_answer_s, settle
from loadbalancer.aio.limits import raise_descriptors

P50_RATIO: Final = 1.5
ROUNDS: Final = 5
ONE: Final = "one"
MANY: Final = "many"
TOPICS_OF: Final = 500
"""Partitions of a topic; there are as many topics as it takes."""
PARKED_MS: Final = 600_000
FILLED_S: Final = 120.0


def crowd(start: Start, name: str, size: Size) -> Report:
    report = Report("crowd", name, size.seed, counts={"partitions": size.crowd, "connections": size.crowd})
    raise_descriptors()
    with start(1, size.parent) as alone, start(1, size.parent) as crowded, contextlib.ExitStack() as open_ones:
        for engine in (alone, crowded):
            create_topic(engine, ONE, 1)
        fill(crowded, size.crowd)
        settle(crowded)
        report.other["PSS of one, MB"] = round(pss_of(alone.servers()) / MB)
        report.other["PSS with partitions, MB"] = round(pss_of(crowded.servers()) / MB)
        connections = gather(crowded, size.crowd, open_ones)
        report.zeros["connections refused"] = size.crowd - len(connections)
        report.other["PSS with partitions and connections, MB"] = round(pss_of(crowded.servers()) / MB)
        report.other["idle CPU, % of a core"] = round(idle_cpu(crowded) * 100, 1)
        compare(report, alone, crowded, size.sends)
        report.zeros["connections that did not stay parked"] = sum(not is_parked(one) for one in connections)
        open_ones.close()
        report.seconds["start to first answer with partitions"] = first_answer_s(crowded)
        report.seconds["start to first answer of one"] = first_answer_s(alone)
    return report


def fill(engine: Engine, partitions: int) -> None:
    """Create them, and put one message into each; idempotent, since a second one by a retry would end a parked Fetch.
    Raises RuntimeError if one was not taken."""
    for number in range(0, partitions, TOPICS_OF):
        create_topic(engine, topic_of(number), min(TOPICS_OF, partitions - number))
    producer = Producer({"bootstrap.servers": engine.bootstrap, "enable.idempotence": True, "log_level": 1})
    for number in range(partitions):
        producer.produce(topic_of(number), b"x", partition=number % TOPICS_OF)
    if left := producer.flush(FILLED_S):
        raise RuntimeError(f"{left} partitions took no message in {FILLED_S} s")


def topic_of(number: int) -> str:
    return f"{MANY}-{number // TOPICS_OF}"


def gather(engine: Engine, wanted: int, open_ones: contextlib.ExitStack) -> list[socket.socket]:
    """Those that were not refused, each parked in a Fetch."""
    address = direct(engine)
    connections: list[socket.socket] = []
    for number in range(wanted):
        with contextlib.suppress(OSError):
            connection = open_ones.enter_context(contextlib.closing(connect(address)))
            greet(connection)
            park(connection, topic_of(number), number % TOPICS_OF)
            connections.append(connection)
    return connections


def park(connection: socket.socket, topic: str, partition: int) -> None:
    connection.sendall(fetch(topic, partition, offset=1, max_bytes=1 << 20, wait_ms=PARKED_MS, min_bytes=1))


def is_parked(connection: socket.socket) -> bool:
    try:
        return not has_answer(connection)
    except OSError:
        return False


def compare(report: Report, alone: Engine, crowded: Engine, sends: int) -> None:
    """Synchronous sends to a topic of one partition on both, in turns."""
    pairs = [tuple(round_trips(engine, ONE, sends)["p50_us"] for engine in (alone, crowded)) for _ in range(ROUNDS)]
    ratio = statistics.median(crowded_us / alone_us for alone_us, crowded_us in pairs)
    report.limits["sync p50 over that with one"] = Limit(ratio, P50_RATIO)
    report.other["sync p50 of one, µs"] = round(statistics.median(pair[0] for pair in pairs))
    report.other["sync p50 in the crowd, µs"] = round(statistics.median(pair[1] for pair in pairs))
