"""The engines under test, each with one server, started on a directory of its own."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from confluent_kafka.admin import AdminClient, NewTopic  # pyright: ignore[reportPrivateImportUsage]

from analysis.door_bench.accounting import tree
from analysis.kafka_peer import Kafka
from analysis.running import Running, running, wait_until

TOPIC_S: Final = 30.0
REGISTERED_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Engine:
    """A running one. `servers` are the processes that hold the queue, `everything` is all that was started for it."""

    name: str
    bootstrap: str
    started_s: float
    servers: Callable[[], list[int]]
    everything: Callable[[], list[int]]

    def create_topic(self, name: str, partitions: int) -> None:
        """Raises KafkaException."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        new = [NewTopic(name, partitions, 1)]
        answers: dict[str, Future[None]] = admin.create_topics(new, request_timeout=TOPIC_S)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        for answer in answers.values():
            answer.result(TOPIC_S)


@contextlib.contextmanager
def kafka(synced: bool, parent: Path) -> Generator[Engine]:
    """`synced`: it syncs after each message, so before each ack."""
    begun = time.monotonic()
    with Kafka({"log.flush.interval.messages": "1"} if synced else {}, parent) as one:
        yield Engine("kafka", one.bootstrap, time.monotonic() - begun, lambda: [one.pid], lambda: tree(one.pid))


@contextlib.contextmanager
def carousel(synced: bool, parent: Path) -> Generator[Engine]:
    """One replica behind the whole system, which is idle: clients speak to the replica directly."""
    directory = Path(tempfile.mkdtemp(prefix="carousel-", dir=parent))
    flags = ("--queue-fsync", "always" if synced else "never", "--workers", "1", "--queue-port", "0")
    try:
        with running(*flags, replicas=1, state_dir=directory) as system:
            waited_s = wait_until(lambda: bool(_bootstrap(system)), REGISTERED_S, "the server's registration")
            started_s = system.started_s + waited_s
            yield Engine(
                "carousel",
                _bootstrap(system),
                started_s,
                lambda: [child["pid"] for child in system.children("replica")],
                lambda: tree(system.process.pid),
            )
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _bootstrap(system: Running) -> str:
    """Where clients begin; "" before the first server has registered."""
    bootstrap: str = system.cluster()["queue"]["bootstrap"]
    return bootstrap


ENGINES: Final = {"carousel": carousel, "kafka": kafka}


def sync_us(directory: Path, times: int = 200) -> float:
    """What one fdatasync of 4 KiB costs there: the mean, in microseconds."""
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        begun = time.perf_counter()
        for _ in range(times):
            os.write(file.fileno(), b"x" * 4096)
            os.fdatasync(file.fileno())
        return (time.perf_counter() - begun) / times * 1e6
