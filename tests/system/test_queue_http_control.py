"""The queue's HTTP calls that control answers, on a running system: by the servers as engine, and by Apache Kafka."""

import http.client
import json
import os
import signal
import socket
import unittest
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.kafka_engines import java_or_skip

from analysis.kafka_peer import Kafka
from analysis.running import Running, running, wait_until
from wire.http_queue import TESTS_PASSED

LIMIT_S = 60.0
FLAGS = ("--workers", "1", "--health-timeout", "3", "--health-fall", "5")
"""A busy machine is no reason to replace a server here."""


def load_tests(loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None) -> unittest.TestSuite:
    """A real system is started: once, under pytest, is enough."""
    return unittest.TestSuite()


def environment(pid: int) -> dict[str, str]:
    told = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(line.split("=", 1) for line in told if "=" in line)


class OverUnix(http.client.HTTPConnection):
    """A connection to a Unix socket, as a server's to control."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=LIMIT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class QueueCase(unittest.TestCase):
    system: Running

    def get(self, path: str) -> tuple[int, Any]:
        status, body = self.system.call("GET", path)
        self.assertEqual(body["status"], "success" if status == 200 else "failure", body)
        return status, body["message"]

    def add(self, topic: str, part: str) -> tuple[int, str]:
        """On the second port, which answers the same."""
        connection = http.client.HTTPConnection("127.0.0.1", self.system.second_port, timeout=LIMIT_S)
        return self.post(connection, topic, part)

    def add_as_server(self, topic: str, part: str) -> tuple[int, str]:
        """As a server of ours does."""
        pid = self.system.cluster()["replicas"][0]["pid"]
        address = environment(pid)["CONTROL_HTTP"]
        return self.post(OverUnix(address.removeprefix("unix:")), topic, part)

    def post(self, connection: http.client.HTTPConnection, topic: str, part: str) -> tuple[int, str]:
        body = json.dumps({"topic": topic, "part": part})
        connection.request("POST", "/topics/add", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        status, told = answer.status, json.loads(answer.read())
        connection.close()
        self.assertEqual(told["status"], "success" if status == 200 else "failure", told)
        return status, told["message"]

    def check_partitions(self) -> None:
        self.assertEqual(self.add("T1", "P1"), (200, "Topic:T1xP1 created successfully"))
        self.assertEqual(self.add("T1", "P1"), (400, "T1:P1 already exist"))
        self.assertEqual(self.add_as_server("T1", "left"), (200, "Topic:T1xleft created successfully"))
        self.assertEqual(self.add_as_server("T1", "left"), (400, "T1:left already exist"))
        self.assertEqual(self.add("T1", "P3"), (200, "Topic:T1xP3 created successfully"))
        self.assertEqual(self.add("T1", "a*b")[0], 400)
        self.assertEqual(self.parts("T1"), ["P1", "left", "P3"])

    def parts(self, topic: str) -> list[str]:
        """As a server tells them."""
        found: list[tuple[int, Any]] = []

        def listed() -> bool:
            found.append(self.get("/topics"))
            return found[-1][0] != 503  # a leader may be on its way to another server

        wait_until(listed, LIMIT_S, "the topics")
        self.assertEqual(found[-1][0], 200, found[-1])
        return list(found[-1][1][topic])

    def check_servers(self) -> None:
        names = [f"server{number}" for number in (1, 2)]
        self.assertEqual(self.get("/brokers"), (200, names))
        self.assertEqual(self.get("/brokers/add?broker_name=broker1"), (200, "successfully added broker1"))
        self.assertEqual(self.get("/brokers/add?broker_name=broker1"), (400, "broker1 already exist"))
        self.assertEqual(self.get("/brokers"), (200, [*names, "broker1"]))
        for name in (*names, "broker1"):
            status, text = self.get(f"/brokers/test?broker_name={name}")
            self.assertEqual((status, text.splitlines()[-1]), (200, TESTS_PASSED), text)
        self.assertEqual(self.get("/brokers/test?broker_name=nix"), (400, "nix does not exist"))
        self.assertEqual(self.get("/brokers/rm?broker_name=broker1"), (200, "Removed broker1"))
        self.assertEqual(self.get("/brokers/rm?broker_name=broker1"), (400, "broker1 does not exist"))
        self.assertEqual(self.get("/brokers/rm"), (400, "broker_name is missing"))
        self.assertEqual(self.get("/brokers"), (200, names))

    def check_death_of_control(self) -> None:
        """Names are kept, and read again by the next one."""
        (control,) = self.system.children("control")
        os.kill(control["pid"], signal.SIGKILL)
        wait_until(lambda: self.add("T1", "P4")[0] in (200, 400), LIMIT_S, "another control")
        self.assertEqual(self.add("T1", "P4"), (400, "T1:P4 already exist"))
        self.assertEqual(self.add("T1", "left"), (400, "T1:left already exist"))
        self.assertEqual(self.parts("T1"), ["P1", "left", "P3", "P4"])


@pytest.mark.system
@pytest.mark.slow
class OurServers(QueueCase):
    def test_the_calls_that_control_answers(self) -> None:
        with running(*FLAGS, replicas=2) as self.system:
            wait_until(lambda: self.system.cluster()["queue"]["brokers"] == 2, LIMIT_S, "all are registered")
            self.check_partitions()
            self.check_servers()
            self.check_death_of_control()
            self.check_that_all_answers_when_the_queue_is_slow()

    def check_that_all_answers_when_the_queue_is_slow(self) -> None:
        """More calls than Flask has threads are under way, and /rep is answered all the same."""
        with ExitStack() as stack:
            waiting = [
                stack.enter_context(socket.create_connection(("127.0.0.1", self.system.port))) for _ in range(40)
            ]
            for number, sock in enumerate(waiting):
                body = b'{"topic": "T2", "part": "q%d"}' % number
                head = b"POST /topics/add HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
                sock.sendall(head + body)
            self.assertEqual(self.system.call("GET", "/rep", timeout_s=10.0)[0], 200)
            for sock in waiting:
                sock.settimeout(LIMIT_S)
                self.assertTrue(sock.recv(64).startswith(b"HTTP/1.1 200"))
        self.assertEqual(len(self.parts("T2")), 40)


@pytest.mark.system
@pytest.mark.slow
class ApacheKafka(QueueCase):
    """--queue-bootstrap: one address is changed, and all of it is the same."""

    def test_the_calls_that_control_answers(self) -> None:
        java_or_skip()
        with Kafka() as kafka, running(*FLAGS, "--queue-bootstrap", kafka.bootstrap, replicas=2) as self.system:
            self.check_that_servers_hold_nothing(kafka.bootstrap)
            self.check_partitions()
            self.check_servers()
            self.check_death_of_control()

    def check_that_servers_hold_nothing(self, bootstrap: str) -> None:
        cluster = self.system.cluster()
        self.assertEqual(cluster["queue"], {"bootstrap": bootstrap, "outside": True})
        self.assertNotIn("queue_address", cluster["replicas"][0])
        told = environment(cluster["replicas"][0]["pid"])
        self.assertEqual(told["QUEUE_CLIENT_BOOTSTRAP"], bootstrap)
        self.assertFalse({"CONTROL", "CLUSTER_SECRET_FILE"} & set(told))
        self.assertFalse((self.system.state_dir / "run" / "queue.sock").exists())
        self.assertIsNone(json.loads((self.system.state_dir / "ports.json").read_text())["queue"])
        ready = f", queue {bootstrap}, 2 replicas"
        wait_until(lambda: ready in (self.system.state_dir / "system.log").read_text(), LIMIT_S, "the ready line")


if __name__ == "__main__":
    unittest.main()
