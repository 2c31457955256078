"""Engines that speak the Kafka protocol, for tests that must pass on each: Carousel, and Apache Kafka as the reference.

QUEUE_BOOTSTRAP=host:port points the tests at a cluster that runs already; then nothing is started.
"""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest

from analysis.kafka_peer import Kafka, lacking
from analysis.ports import free_ports
from analysis.running import START_S, Running, running, wait_until

KAFKA_SETTINGS: Final = {
    "group.min.session.timeout.ms": "500",  # a member's death is seen in a second, not in six
    "log.cleaner.backoff.ms": "500",  # the cleaner looks twice a second, not every fifteen
}

CAROUSEL_FLAGS: Final = (
    "--group-initial-rebalance-delay", "0", "--group-min-session-timeout", "0.5", "--cleaner-backoff", "0.5"
)  # fmt: skip
"""The same by our names; Kafka's delay is 0 too (`analysis.kafka_peer`)."""

SERVERS: Final = 3

MakeTopic = Callable[..., str]
"""(partitions, a_config=value, ...) -> the name of a new topic that all servers know, deleted after the test."""


@dataclass(frozen=True, slots=True)
class Engine:
    name: str
    bootstrap: str

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.bootstrap.partition(",")[0].rpartition(":")
        return host.strip("[]"), int(port)


def engines() -> list[Any]:
    """Parameters for a fixture: Carousel every day, Kafka in the longer suite; the given cluster instead of both."""
    if os.environ.get("QUEUE_BOOTSTRAP"):
        return ["given"]
    return ["carousel", pytest.param("kafka", marks=pytest.mark.slow)]


@contextmanager
def started(name: str) -> Generator[Engine]:
    """That engine until the end of the block. SkipTest, or what REQUIRE=kafka asks for, where Kafka can't be had."""
    if name == "given":
        yield Engine(name, os.environ["QUEUE_BOOTSTRAP"])
    elif name == "kafka":
        java_or_skip()
        with Kafka(KAFKA_SETTINGS) as kafka:
            yield Engine(name, kafka.bootstrap)
    else:
        (port,) = free_ports(1)  # 0 would mean no queue
        with running("--queue-port", str(port), *CAROUSEL_FLAGS, replicas=SERVERS) as system:
            wait_until(lambda: len(bootstrap(system).split(",")) == SERVERS, START_S, "the queue's start")
            yield Engine(name, bootstrap(system))


def bootstrap(system: Running) -> str:
    """Where its servers are that have registered, as Kafka clients want it; not the front door, which others test."""
    addresses = [replica["queue_address"] for replica in system.cluster()["replicas"]]
    return ",".join(address for address in addresses if address)


def java_or_skip() -> None:
    """Kafka's jars need Java and Maven: skipped without, unless REQUIRE names kafka; then it fails."""
    reason = lacking()
    if reason and "kafka" in os.environ.get("REQUIRE", "").split(","):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
