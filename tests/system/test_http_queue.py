"""The queue's plain HTTP interface by a table of calls and answers, at a running system's servers and front door, also
when a server or control has just died."""

import os
import signal
import time
import unittest
from typing import Any, ClassVar

import pytest

from analysis.running import Running, running, wait_until
from tests.support.http_queue import ByAdmin, ByControl, HttpQueue, HttpQueueTable, fine

LIMIT_S = 60.0


def load_tests(loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None) -> unittest.TestSuite:
    """A real system is started: once, under pytest, is enough."""
    return unittest.TestSuite()


class Systems:
    """One system for all classes here."""

    system: ClassVar[Running]


@pytest.fixture(scope="module", autouse=True)
def _system() -> object:
    with running("--workers", "1") as system:
        Systems.system = system
        wait_until(whole, LIMIT_S, "all are registered")
        yield


def whole() -> bool:
    """All three replicas are healthy and hold shards."""
    try:
        cluster = Systems.system.cluster()
        healthy = [replica["state"] for replica in cluster["replicas"]] == ["healthy"] * 3
        return healthy and cluster["queue"]["brokers"] == 3
    except (OSError, ValueError, KeyError):  # control is away, or starting
        return False


def replicas() -> list[dict[str, Any]]:
    return Systems.system.cluster()["replicas"]


class Reader:
    """A consumer that acknowledges: whatever is lost on the way, it sees every message."""

    def __init__(self, queue: HttpQueue, consumer_id: int) -> None:
        self.queue = queue
        self.id = consumer_id
        self.seen: list[tuple[str, int, str]] = []
        self._ack = -1

    def next(self) -> str | None:
        """None: nothing is left."""
        status, answer = self.queue.patiently(lambda: self.queue.consume(self.id, ack=self._ack))
        if status == 400:
            return None
        self._ack = answer["offset"]
        self.seen.append((answer["topic"], answer["offset"], answer["message"]))
        return answer["message"]

    def until(self, *texts: str) -> None:
        missing, deadline = set(texts), time.monotonic() + LIMIT_S
        while missing:
            missing.discard(self.next() or "")
            assert time.monotonic() < deadline, f"{missing} of {self.seen}"


class Deaths(HttpQueueTable):
    """The table, and that it goes on. A twin says where calls go `without` a victim."""

    def without(self, victim: dict[str, Any]) -> None:
        raise NotImplementedError

    def test_the_death_of_any_server_and_of_control(self) -> None:
        topic = self.made("P1", "P2")
        self.producer = self.registered("producer", topic)
        self.one = Reader(self.queue, self.registered("consumer", topic, "P1"))
        self.every = Reader(self.queue, self.registered("consumer", topic))
        self.go_on("before")
        for at in (0, 1, 2):
            victim = replicas()[at]
            os.kill(victim["pid"], signal.SIGKILL)
            self.without(victim)
            self.go_on(victim["name"])
            wait_until(whole, LIMIT_S, "the fleet is whole again")
            self.setUp()
        (control,) = Systems.system.children("control")
        os.kill(control["pid"], signal.SIGKILL)
        self.go_on("control")
        wait_until(whole, LIMIT_S, "the fleet is whole again")
        for reader in (self.one, self.every):
            while reader.next() is not None:
                pass
            self.assertEqual(self.queue.get("/size", consumer_id=reader.id), fine(0, note=""))
        self.assert_in_order()

    def go_on(self, what: str) -> None:
        """Two messages, one for each partition; both consumers get theirs."""
        self.one.queue = self.every.queue = queue = self.queue
        for at in (0, 1):
            told = queue.patiently(lambda at=at: queue.produce(self.producer, f"{what} {at}")[0])
            self.assertEqual((told[0], told[1]["status"]), (200, "success"), told)
        self.every.until(f"{what} 0", f"{what} 1")

    def assert_in_order(self) -> None:
        """Each consumer saw the log; one message again only where an answer was lost."""
        log = {(part, offset): text for part, offset, text in self.every.seen}
        for reader in (self.one, self.every):
            for part in {part for part, _, _ in reader.seen}:
                offsets = [offset for other, offset, _ in reader.seen if other == part]
                self.assertEqual(offsets, sorted(offsets))
                self.assertEqual(set(offsets), set(range(max(offsets) + 1)))
            self.assertEqual([log[part, offset] for part, offset, _ in reader.seen], [text for *_, text in reader.seen])


@pytest.mark.system
class AtTheServers(Deaths):
    __test__ = True

    def setUp(self) -> None:
        self.queue = HttpQueue([replica["address"] for replica in replicas()])
        found = [replica["queue_address"] for replica in replicas()]
        self.maker = ByAdmin(",".join(address for address in found if address))
        super().setUp()

    def without(self, victim: dict[str, Any]) -> None:
        self.queue.addresses.remove(victim["address"])

    def test_who_leads(self) -> None:
        topic = self.made("P1", "P2", "P3")
        leaders = set(self.queue.get("/topics")[1]["message"][topic].values())
        self.assertLessEqual(leaders, {replica["name"] for replica in replicas()})


@pytest.mark.system
class AtTheFrontDoor(Deaths):
    __test__ = True

    def setUp(self) -> None:
        system = Systems.system
        self.queue = HttpQueue([f"127.0.0.1:{port}" for port in (system.port, system.second_port)])
        if self.queue.ask("POST", "/topics/add", b"{}")[0] != 400:
            self.skipTest("this front door knows no /topics/add")
        self.maker = ByControl(self.queue)
        super().setUp()

    def without(self, victim: dict[str, Any]) -> None:
        """The front door knows by itself."""

    def test_a_registration_makes_what_is_missing(self) -> None:
        queue, topic = self.queue, self.topic
        producer = self.registered("producer", topic, "second_hand")
        self.assertEqual(queue.produce(producer, "x"), [fine(f"{topic}xsecond_hand:Success")])
        other = self.registered("producer", topic, "another")
        self.assertEqual(queue.produce(other, "x"), [fine(f"{topic}xanother:Success")])
        self.assertEqual(set(queue.get("/topics")[1]["message"][topic]), {"second_hand", "another"})


del Deaths, HttpQueueTable

if __name__ == "__main__":
    unittest.main()
