"""The queue of the compose system: an ordinary Kafka client on the host, through the published ports."""

import json
import socket
import struct
import unittest
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from support.compose import compose, eventually, some_commands
from support.http_queue import HttpQueue, fine, got

from analysis.composed import REPLICAS, Composed
from wire.http_queue import TESTS_PASSED

TOPIC = "orders"
PARTITIONS = 6
PATIENCE_S = 60
METADATA = struct.pack(">hhih1si", 3, 1, 7, 1, b"t", -1)
"""Of all topics, version 1."""
ASK = """
import socket, struct, sys
frame = bytes.fromhex(sys.argv[1])
with socket.create_connection((sys.argv[2], 9092), 5) as sock:
    sock.sendall(struct.pack('>i', len(frame)) + frame)
    answer = b''
    while len(answer) < 4 or len(answer) < 4 + struct.unpack('>i', answer[:4])[0]:
        answer += sock.recv(65536)
print(answer.hex())
"""


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.timeout(300)
class TestComposedQueue(unittest.TestCase):
    def setUp(self) -> None:
        self.composed: Composed = compose(some_commands()[0])
        self.addCleanup(self.composed.clear)
        self.composed.up()
        self.until_all_serve()
        self.bootstrap = f"127.0.0.1:{self.composed.queue_port}"

    def until_all_serve(self) -> None:
        self.composed.until_healthy(REPLICAS)
        self.assertTrue(eventually(self.serve), self.composed.run("logs").stdout[-4000:])

    def serve(self) -> bool:
        queue = self.composed.call("GET", "/admin/cluster")[1]["queue"]
        return (queue["brokers"], queue["fenced"], queue["offline"]) == (REPLICAS, 0, 0)

    def test_a_server_is_killed_and_nothing_is_lost(self) -> None:
        admin: Any = AdminClient({"bootstrap.servers": self.bootstrap})
        admin.create_topics([NewTopic(TOPIC, PARTITIONS)])[TOPIC].result(PATIENCE_S)
        leaders = {partition.leader for partition in admin.list_topics(TOPIC).topics[TOPIC].partitions.values()}
        acknowledged = self.produce(0, 600)
        victim = self.composed.names()[0]
        node = int(self.composed.replicas()[victim].labels["carousel.node"])
        self.assertIn(node, leaders, "it leads something")
        volumes = sorted(volume.name for volume in self.composed.volumes())
        self.composed.replicas()[victim].kill()
        acknowledged += self.produce(600, 1200)
        self.composed.until_healthy(REPLICAS, without_name=victim)
        self.assertEqual(volumes, sorted(volume.name for volume in self.composed.volumes()))
        self.assertEqual([b"%d" % number for number in range(1200)], acknowledged)
        self.assertEqual(acknowledged, sorted(self.consume(), key=int), "each once")
        found = admin.list_topics(TOPIC, PATIENCE_S)
        self.assertEqual(leaders, {partition.leader for partition in found.topics[TOPIC].partitions.values()})
        published = range(self.composed.queue_port + 1, self.composed.queue_port + 1 + REPLICAS)
        self.assertEqual(sorted(published), sorted(broker.port for broker in found.brokers.values()))
        self.check_that_it_outlives_the_front_door(acknowledged)

    def check_that_it_outlives_the_front_door(self, acknowledged: list[bytes]) -> None:
        self.composed.front().kill()
        self.composed.front().start()
        self.until_all_serve()
        acknowledged += self.produce(1200, 1300)
        self.assertEqual(0, self.composed.run("down").returncode)
        self.composed.up()
        self.until_all_serve()
        acknowledged += self.produce(1300, 1400)
        self.assertEqual(1400, len(acknowledged))
        self.assertEqual(acknowledged, sorted(self.consume(), key=int))

    def produce(self, first: int, end: int) -> list[bytes]:
        """What was acknowledged, by its number."""
        done: list[bytes] = []

        def told(error: Any, message: Any) -> None:
            if error is None:
                done.append(message.value())

        producer = Producer({"bootstrap.servers": self.bootstrap, "enable.idempotence": True})
        for number in range(first, end):
            producer.produce(TOPIC, b"%d" % number, partition=number % PARTITIONS, on_delivery=told)
            producer.poll(0.002)
        self.assertEqual(0, producer.flush(PATIENCE_S))
        return sorted(done, key=int)

    def consume(self) -> list[bytes]:
        """All that is there."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "g", "enable.partition.eof": True})
        consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in range(PARTITIONS)])
        found: list[bytes] = []
        ended: set[int] = set()
        while len(ended) < PARTITIONS:
            message: Any = consumer.poll(PATIENCE_S)
            assert message is not None, f"{len(found)} messages, then nothing"
            if message.error() is None:
                found.append(message.value())
            elif message.error().name() == "_PARTITION_EOF":
                ended.add(message.partition())
        consumer.close()
        return found

    def test_the_plain_http_interface(self) -> None:
        """Its servers ask control in another container, and each other by the network's names."""
        queue = HttpQueue([f"127.0.0.1:{port}" for port in (self.composed.port, self.composed.second_port)])
        self.assertEqual(queue.patiently(lambda: queue.get("/topics")), fine({}))
        for number, part in enumerate(("P1", "left")):
            self.assertEqual(queue.post("/producer/register", topic="T1", part=part), fine(number))
        self.assertEqual(queue.post("/consumer/register", topic="T1"), fine(0))
        for number, part in enumerate(("P1", "left")):
            self.assertEqual(queue.produce(number, "x"), [fine(f"T1x{part}:Success")])
            self.assertEqual(queue.consume(0), got("x", "T1", part, 0))
        names = self.composed.names()
        self.assertEqual(queue.get("/brokers"), fine(names))
        self.assertLessEqual(set(queue.get("/topics")[1]["message"]["T1"].values()), set(names))
        status, answer = queue.get("/brokers/test", broker_name=names[0])
        self.assertEqual((status, answer["message"][-len(TESTS_PASSED) :]), (200, TESTS_PASSED), answer)
        self.composed.replicas()[names[0]].kill()
        self.assertEqual(queue.patiently(lambda: queue.get("/size", consumer_id=0)), fine(0, note=""))

    def test_inside_the_network_servers_are_found_by_their_names(self) -> None:
        name, *others = self.composed.names()
        asked = ["python3", "-c", ASK, METADATA.hex(), f"{self.composed.project}-queue"]
        answer = bytes.fromhex(self.composed.replicas()[name].exec_run(asked).output.decode())
        for each in (name, *others):
            self.assertIn(each.encode() + struct.pack(">i", 9092), answer)

    def test_the_secret_is_seen_nowhere(self) -> None:
        read = "cat /var/lib/carousel/state/cluster.secret"
        secret = self.composed.front().exec_run(read).output.decode().strip()
        self.assertEqual(64, len(secret))
        containers = [self.composed.front(), *self.composed.replicas().values()]
        for container in containers:
            with self.subTest(container.name):
                self.assertNotIn(secret, json.dumps(container.attrs))
                self.assertNotIn(secret, container.logs().decode())
        kept = self.composed.replicas()[self.composed.names()[0]].exec_run("stat -c %a:%u /data/cluster.secret")
        self.assertEqual(b"400:10001", kept.output.strip())

    def test_limits_and_address(self) -> None:
        for container in self.composed.replicas().values():
            host = container.attrs["HostConfig"]
            self.assertEqual((True, ["ALL"], 256 << 20), (host["ReadonlyRootfs"], host["CapDrop"], host["Memory"]))
        bindings = self.composed.front().ports[f"{self.composed.queue_port}/tcp"]
        self.assertEqual(["127.0.0.1"], [binding["HostIp"] for binding in bindings])
        with socket.create_connection(("127.0.0.1", self.composed.queue_port), 5):
            pass


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.timeout(300)
class TestHealthCheck(unittest.TestCase):
    def test_of_a_front_door_that_demands_a_proxy_header(self) -> None:
        for settings in ({}, {"CAROUSEL_ADMIN_PORT": "5002"}):
            with self.subTest(settings):
                composed = compose(some_commands()[0], CAROUSEL_ACCEPT_PROXY_PROTOCOL="true", **settings)
                self.addCleanup(composed.clear)
                started = composed.run("up", "-d")
                self.assertEqual(0, started.returncode, started.stderr)
                health = ["python3", "-Im", "loadbalancer.cli.healthy"]
                self.assertTrue(eventually(lambda: composed.front().exec_run(health).exit_code == 0))  # noqa: B023


if __name__ == "__main__":
    unittest.main()
