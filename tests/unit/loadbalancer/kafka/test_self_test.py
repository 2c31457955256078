import http.server
import json
import threading
import unittest
from typing import Any
from unittest import mock

from confluent_kafka import KafkaError
from support.fake_confluent import Admin, Consumer, Memory, Producer, error

from loadbalancer.kafka import self_test as module
from loadbalancer.kafka.self_test import Target, run
from wire.http_queue import TESTS_PASSED

GOOD = {"message": {"T1": {"P1": "server1"}}, "status": "success"}


class Server(http.server.ThreadingHTTPServer):
    """Answers with what the test says, (status, body) by path; several of them one after another."""

    answers: dict[str, list[tuple[int, Any]]]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        answers = self.server.answers[self.path]
        status, body = answers[0] if len(answers) == 1 else answers.pop(0)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


class SelfTest(unittest.TestCase):
    def setUp(self) -> None:
        self.memory = Memory()
        for name, kind in (("AdminClient", Admin), ("Consumer", Consumer), ("Producer", Producer)):
            self.enterContext(mock.patch.object(module, name, lambda _, kind=kind: kind(self.memory)))
        self.enterContext(mock.patch.object(module, "LOOK_S", 0))
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.answers = {"/heartbeat": [(200, None)], "/topics": [(200, GOOD)]}
        thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def run_test(self, node_id: int | None = 1) -> tuple[bool, list[str]]:
        target = Target("server1", "127.0.0.1", self.server.server_port, "/heartbeat", "k:1", node_id)
        passed, text = run(target)
        return passed, text.splitlines()

    def assert_fails(self, passed: int, last: str, **told: Any) -> None:
        good, lines = self.run_test(**told)
        self.assertFalse(good)
        self.assertIn(last, lines[-2])
        self.assertEqual(lines[-1], f"{passed} of 6 test cases are passed")
        self.assertEqual(len(lines), passed + 3)

    def test_all_is_well(self) -> None:
        for node_id in (1, None):
            good, lines = self.run_test(node_id)
            self.assertTrue(good, lines)
            self.assertEqual((lines[0], lines[-1]), ("Self-test of server1: 6 cases", TESTS_PASSED))
            self.assertEqual(len(lines), 8)
        self.assertEqual(len(self.memory.deleted), 2)
        self.assertTrue(all(name.startswith("__carousel_test_") for name in self.memory.deleted))

    def test_no_heartbeat(self) -> None:
        self.server.answers["/heartbeat"] = [(500, None)]
        self.assert_fails(0, "heartbeat: failed, /heartbeat answers 500")
        self.server.server_port = 1
        self.assert_fails(0, "heartbeat: failed, ")

    def test_it_does_not_know_of_itself(self) -> None:
        self.assert_fails(1, "it does not know of itself, node 7", node_id=7)
        self.memory.brokers = ()
        self.assert_fails(1, "it knows of no server", node_id=None)

    def test_it_can_t_make_a_topic(self) -> None:
        self.memory.faults["make"] = [error(KafkaError.POLICY_VIOLATION, "not here")]
        self.assert_fails(2, "create topic: failed, not here")

    def test_another_leads(self) -> None:
        self.memory.leader = 2
        self.assert_fails(2, "node 2 leads it, not node 1")
        self.assertEqual(len(self.memory.deleted), 1, "it is there, and would stay, hidden")
        with mock.patch.object(module, "LED_S", 0):
            self.memory.leader = -1
            self.assert_fails(2, "it has no leader", node_id=None)

    def test_it_does_not_acknowledge(self) -> None:
        self.memory.acks = False
        self.assert_fails(3, "0 of 100 were acknowledged in time")
        self.memory.acks, self.memory.faults["write"] = True, [error(KafkaError._MSG_TIMED_OUT, "too late")]
        self.assert_fails(3, "produce: failed, too late")

    def test_it_gives_others(self) -> None:
        swapped = type(
            "Swapped", (Consumer,), {"assign": lambda its, places: its.waiting.extend(self.reversed(places))}
        )
        with mock.patch.object(module, "Consumer", lambda _: swapped(self.memory)):
            self.assert_fails(4, "or in another order")

    def reversed(self, places: list[Any]) -> list[Any]:
        (place,) = places
        return self.memory.logs[place.topic, place.partition][::-1]

    def test_its_http_interface(self) -> None:
        self.server.answers["/topics"] = [(503, {"message": "wait", "status": "failure"})] * 3 + [(200, GOOD)]
        self.assertTrue(self.run_test()[0])
        for answer, text in (
            ((404, {"message": "no", "status": "failure"}), "/topics answers 404: no"),
            ((200, []), "list topics over HTTP: failed"),
            ((200, {}), "list topics over HTTP: failed"),
        ):
            self.server.answers["/topics"] = [answer]
            self.assert_fails(5, text)


if __name__ == "__main__":
    unittest.main()
