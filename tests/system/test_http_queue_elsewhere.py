"""The same table through the front door where the queue is another cluster: `carousel up --queue-bootstrap`."""

import contextlib
import unittest
from typing import ClassVar

import pytest
from support.kafka_engines import java_or_skip

from analysis.kafka_peer import Kafka
from analysis.running import running
from loadbalancer.settings import Settings
from tests.support.http_queue import ByControl, HttpQueue, HttpQueueTable


def load_tests(loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None) -> unittest.TestSuite:
    """A real system is started: once, under pytest, is enough."""
    return unittest.TestSuite()


class Addresses:
    door: ClassVar[list[str]]
    kafka: ClassVar[str]


@pytest.fixture(scope="module", autouse=True)
def _system() -> object:
    if "queue_bootstrap" not in Settings.model_fields:
        pytest.skip("this front door has no --queue-bootstrap")
    java_or_skip()
    with contextlib.ExitStack() as stack:
        kafka = stack.enter_context(Kafka())
        system = stack.enter_context(running("--workers", "1", "--queue-bootstrap", kafka.bootstrap, replicas=2))
        Addresses.kafka = kafka.bootstrap
        Addresses.door = [f"127.0.0.1:{port}" for port in (system.port, system.second_port)]
        yield


@pytest.mark.system
@pytest.mark.slow
class OverKafka(HttpQueueTable):
    __test__ = True

    def setUp(self) -> None:
        self.queue = HttpQueue(Addresses.door)
        self.maker = ByControl(self.queue)
        super().setUp()

    def test_who_leads(self) -> None:
        topic = self.made("P1")
        self.assertEqual(self.queue.get("/topics")[1]["message"][topic], {"P1": Addresses.kafka})


del HttpQueueTable

if __name__ == "__main__":
    unittest.main()
