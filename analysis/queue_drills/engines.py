"""The engines that can be drilled: a Carousel of some servers, and Apache Kafka's one broker, on a directory each.

Kafka proves drill and judge: what it is found to lose would be our mistake. It starts itself again after a kill by the
drill's hand, a Carousel by its own.
"""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol, cast

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from analysis.kafka_peer import Kafka
from analysis.ports import free_ports
from analysis.running import Running, alive, running, wait_until
from loadbalancer.cli.remote import RemoteError

TOPIC_S: Final = 30.0
WHOLE_S: Final = 60.0
AWAY: Final = (OSError, http.client.HTTPException, RemoteError, KeyError, TypeError, ValueError)
"""What asking a system raises that is just being harmed."""


class Engine(Protocol):
    """A running one. `bootstrap` is an address that leads to any server that is there."""

    name: str

    @property
    def bootstrap(self) -> str: ...

    def servers(self) -> list[int]:
        """Pids of the processes that hold the queue and live now."""
        ...

    def kill(self, pick: float) -> bool:
        """kill -9 of one of them, chosen by `pick`; it starts again by itself. False if there was none to kill."""
        ...

    def whole(self) -> bool:
        """Whether as many servers as there should be answer."""
        ...

    def change(self, adds: bool, count: int) -> None:
        """/add or /rm, until all has moved. Raises RuntimeError if it was refused, TimeoutError if that takes too long,
        NotImplementedError if the engine can't."""
        ...


class Drilled(Engine):
    """What both have."""

    def kill(self, pick: float) -> bool:
        pids = self.servers()
        if not pids:
            return False
        try:
            os.kill(pids[int(pick * len(pids))], signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True


class KafkaEngine(Drilled):
    name = "kafka"

    def __init__(self, broker: Kafka) -> None:
        self.broker = broker
        self._starting: threading.Thread | None = None

    @property
    def bootstrap(self) -> str:
        return self.broker.bootstrap

    def servers(self) -> list[int]:
        return [self.broker.pid] if alive(self.broker.pid) else []

    def kill(self, pick: float) -> bool:
        killed = super().kill(pick)
        self.settle()
        self._starting = threading.Thread(target=self.start_again, daemon=True)
        self._starting.start()
        return killed

    def whole(self) -> bool:
        return answers(self.bootstrap)

    def change(self, adds: bool, count: int) -> None:
        raise NotImplementedError("one broker of Kafka is all there is")

    def settle(self) -> None:
        """Until no start is under way. The next kill may have come in the middle of it."""
        if self._starting is not None:
            self._starting.join()

    def start_again(self) -> None:
        with contextlib.suppress(RuntimeError):
            self.broker.wait(WHOLE_S)
            self.broker.start()


class CarouselEngine(Drilled):
    name = "carousel"

    def __init__(self, system: Running, servers: int) -> None:
        self._system = system
        self._wanted = servers
        self._bootstrap = str(system.cluster()["queue"]["bootstrap"])

    @property
    def bootstrap(self) -> str:
        return self._bootstrap

    def servers(self) -> list[int]:
        with contextlib.suppress(*AWAY):
            return [child["pid"] for child in self._system.children("replica") if alive(child["pid"])]
        return []

    def whole(self) -> bool:
        with contextlib.suppress(*AWAY):
            states = [replica["state"] for replica in self._system.cluster()["replicas"]]
            return states == ["healthy"] * self._wanted and answers(self.bootstrap)
        return False

    def change(self, adds: bool, count: int) -> None:
        status, told = self._system.call("POST" if adds else "DELETE", "/add" if adds else "/rm", {"n": count})
        if status != 200:
            raise RuntimeError(str(told))
        self._wanted += count if adds else -count
        wait_until(self._has_moved, WHOLE_S, "all partitions are where they belong")

    def _has_moved(self) -> bool:
        """A server that was added answers before it has registered, and only then are partitions moved to it."""
        with contextlib.suppress(*AWAY):
            queue = self._system.cluster()["queue"]
            return queue["brokers"] == self._wanted and not any(queue["moves"].values())
        return False


@contextlib.contextmanager
def kafka(servers: int, parent: Path) -> Generator[Engine]:
    """One broker whatever `servers` says; each message is synced before its ack, as ours are."""
    with Kafka({"log.flush.interval.messages": "1"}, parent) as broker:
        engine = KafkaEngine(broker)
        try:
            yield engine
        finally:
            engine.settle()


@contextlib.contextmanager
def carousel(servers: int, parent: Path) -> Generator[Engine]:
    """Its bootstrap is the front door's pass-through, which stays when servers come and go."""
    directory = Path(tempfile.mkdtemp(prefix="carousel-", dir=parent))
    try:
        flags = ("--queue-fsync", "always", "--workers", "1", "--queue-port", str(free_ports(1)[0]))
        with running(*flags, replicas=servers, state_dir=directory) as system:
            yield CarouselEngine(system, servers)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


Start = Callable[[int, Path], AbstractContextManager[Engine]]
ENGINES: Final[Mapping[str, Start]] = {"carousel": carousel, "kafka": kafka}


def admin_of(engine: Engine) -> AdminClient:
    """One that says nothing of servers that are away."""
    return AdminClient({"bootstrap.servers": engine.bootstrap, "log_level": 1})


def create_topic(engine: Engine, name: str, partitions: int) -> None:
    """Raises KafkaException."""
    admin = admin_of(engine)
    asked = [NewTopic(name, partitions, 1)]
    made = cast(dict[str, Future[None]], admin.create_topics(asked, request_timeout=TOPIC_S))  # pyright: ignore[reportUnknownMemberType]
    for future in made.values():
        future.result(TOPIC_S)


def leaders(engine: Engine, topic: str) -> dict[int, int]:
    """By partition, its leader's node id; -1 where there is none now. Raises KafkaException."""
    found = admin_of(engine).list_topics(topic, TOPIC_S).topics[topic].partitions
    return {number: partition.leader for number, partition in found.items()}


def nodes(engine: Engine) -> set[int]:
    """The node ids of the servers that are there. Raises KafkaException."""
    return set(admin_of(engine).list_topics(timeout=TOPIC_S).brokers)


def direct(engine: Engine) -> str:
    """The address of one server itself. Raises KafkaException."""
    brokers = admin_of(engine).list_topics(timeout=TOPIC_S).brokers
    first = brokers[min(brokers)]
    return f"{first.host}:{first.port}"


def answers(address: str) -> bool:
    """Whether somebody accepts there."""
    host, _, port = address.rpartition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
        return True
    return False
