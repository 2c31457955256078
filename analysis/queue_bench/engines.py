"""The engines under test, each with one server, started on a directory of its own: ours and Apache Kafka."""

import contextlib
import importlib
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from http.client import NOT_FOUND
from pathlib import Path
from typing import Any, Final, Protocol

from analysis.door_bench.accounting import tree
from analysis.kafka_peer import Kafka
from analysis.queue_bench.loads import PRODUCTS
from analysis.queue_bench.plans import Where
from analysis.running import Running, running, wait_until

START_S: Final = 120.0
PATIENCE: Final = "18"
"""Heartbeats in a row, half a second apart, that ours may miss: 9 s, the time that Kafka's controller gives a broker
(broker.session.timeout.ms). With 2 s a server that gets no core among a thousand threads of the bench's clients is
replaced in the middle of a load, which no other engine here is."""
WORDS: Final = 2000
"""Of a log's end, in characters."""
REGISTERED_S: Final = 10.0
FIRST: Final = "first"


class Topics(Protocol):
    """What a client's module says of topics; raises its library's exceptions."""

    def create(self, address: str, topic: str, partitions: int, synced: bool) -> None: ...

    def delete(self, address: str, topic: str, partitions: int) -> None: ...

    def send_one(self, address: str, topic: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Engine:
    """A running one. `started_s`: from its start to the first acknowledged message, whose topic was made then too.
    `servers` are the processes that hold the queue, `everything` is all that was started for it; `directory` is where
    its data is, and the file `log`; `system` is what there is besides the queue."""

    name: str
    where: Where
    synced: bool
    started_s: float
    directory: Path
    servers: Callable[[], list[int]]
    everything: Callable[[], list[int]]
    system: Running | None = None
    log: str = "said"

    def words(self) -> str:
        """The end of its log; "" without one."""
        with contextlib.suppress(OSError):
            return (self.directory / self.log).read_text(errors="replace")[-WORDS:]
        return ""

    def create_topic(self, name: str, partitions: int) -> None:
        topics(self.where.product).create(self.where.address, name, partitions, self.synced)

    def delete_topic(self, name: str, partitions: int) -> None:
        topics(self.where.product).delete(self.where.address, name, partitions)


def topics(product: str) -> Topics:
    module: Any = importlib.import_module(PRODUCTS[product])
    return module


def until_first_ack(where: Where, synced: bool) -> None:
    """As soon as it takes a topic and a message; before its port is open nobody asks, as that takes CPU from it. Raises
    TimeoutError with the last refusal."""
    host, _, port = where.address.partition(":")
    wait_until(lambda: _listens(host, int(port)), START_S, f"a listener on {where.address}")
    asked, is_made, refusal = topics(where.product), False, ""

    def acknowledged() -> bool:
        nonlocal is_made, refusal
        try:
            if not is_made:
                asked.create(where.address, FIRST, 1, synced)
            is_made = True
            asked.send_one(where.address, FIRST)
        except Exception as error:
            refusal = repr(error)
            return False
        return True

    try:
        wait_until(acknowledged, START_S, "the first message")
    except TimeoutError as error:
        raise TimeoutError(f"{error}: {refusal}") from error


def _listens(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
        return True
    return False


@contextlib.contextmanager
def kafka(synced: bool, parent: Path) -> Generator[Engine]:
    """`synced`: it syncs after each message, so before each ack. Its storage is formatted before it is started."""
    with Kafka({"log.flush.interval.messages": "1"} if synced else {}, parent) as one:
        where = Where("kafka", one.bootstrap)
        until_first_ack(where, synced)
        started_s = time.monotonic() - one.begun
        yield Engine(
            "kafka", where, synced, started_s, one.directory, lambda: [one.pid], lambda: tree(one.pid), log="kafka.log"
        )


@contextlib.contextmanager
def carousel(synced: bool, parent: Path) -> Generator[Engine]:
    """One replica behind the whole system, which is idle: clients speak to the replica directly."""
    directory = Path(tempfile.mkdtemp(prefix="carousel-", dir=parent))
    flags = ("--queue-fsync", "always" if synced else "never", "--workers", "1", "--health-fall", PATIENCE)
    begun = time.monotonic()
    try:
        with running(*flags, replicas=1, state_dir=directory) as system:
            wait_until(lambda: bool(_server(system)), REGISTERED_S, "the server's registration")
            where = Where("kafka", _server(system), system.url)
            until_first_ack(where, synced)
            started_s = time.monotonic() - begun
            yield Engine(
                "carousel", where, synced, started_s, directory, lambda: _replicas(system),
                lambda: tree(system.process.pid), system, "system.log",
            )  # fmt: skip
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _replicas(system: Running) -> list[int]:
    return [pid for child in system.children("replica") for pid in tree(child["pid"])]


def _server(system: Running) -> str:
    """The address of the queue's server; "" before it has registered."""
    bootstrap: str = system.cluster()["queue"]["bootstrap"]
    return bootstrap


def has_http(engine: Engine) -> bool:
    """Whether the queue's HTTP interface answers at its front door, be it that something is missing in the call."""
    return engine.system is not None and engine.system.call("POST", "/producer/register", {})[0] != NOT_FOUND


def sync_us(directory: Path, times: int = 200) -> float:
    """What one fdatasync of 4 KiB costs there: the mean, in microseconds."""
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        begun = time.perf_counter()
        for _ in range(times):
            os.write(file.fileno(), b"x" * 4096)
            os.fdatasync(file.fileno())
        return (time.perf_counter() - begun) / times * 1e6
