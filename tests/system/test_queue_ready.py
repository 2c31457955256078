"""Ready means ready for a Kafka client too: the first one that asks, the moment the ready line is there."""

import shutil
import tempfile
import unittest
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from analysis.ports import free_ports
from analysis.running import Running, start, wait_until

SERVERS = 3
START_S = 30.0
ANSWER_S = 30.0


@pytest.mark.system
class ReadyTest(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="carousel-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def until_ready(self) -> tuple[Running, AdminClient]:
        (port,) = free_ports(1)
        system = start(self.directory, "--workers", "1", "--queue-port", str(port), replicas=SERVERS)
        self.addCleanup(system.end)
        log = self.directory / "system.log"
        wait_until(lambda: "Carousel is ready" in log.read_text(), START_S, "the ready line")
        return system, AdminClient({"bootstrap.servers": f"127.0.0.1:{port}"})

    def test_the_first_metadata_lists_all_and_the_first_topic_is_made(self) -> None:
        system, admin = self.until_ready()
        self.assertEqual(len(admin.list_topics(timeout=ANSWER_S).brokers), SERVERS)
        made = admin.create_topics([NewTopic("first", 6, SERVERS)])
        self.assertIsNone(made["first"].result(ANSWER_S))
        found = admin.list_topics("first", timeout=ANSWER_S).topics["first"].partitions.values()
        self.assertEqual({len(partition.replicas) for partition in found}, {SERVERS})
        self.assertEqual(system.end(), 0)

    def test_the_first_question_about_a_group_is_answered(self) -> None:
        """It makes the groups' topic; who coordinates is told when it does so."""
        _, admin = self.until_ready()
        described = admin.describe_consumer_groups(["anybody"])["anybody"].result(ANSWER_S)
        self.assertEqual(described.members, [])
