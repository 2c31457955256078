import unittest

from client.errors import CarouselError, ConfigError, Refused, Unreachable
from client.web.calls import NOTHING, Consumed, QueueCalls, url_of
from tests.support.http_queue_server import QueueServer


class UrlTest(unittest.TestCase):
    def test_forms(self) -> None:
        for address, url in {
            "localhost": "http://localhost:5000",
            "10.1.2.3:81": "http://10.1.2.3:81",
            "http://a:1/": "http://a:1",
            "https://a": "https://a:5000",
            "[::1]:7": "http://[::1]:7",
        }.items():
            self.assertEqual(url_of(address), url)

    def test_what_is_none(self) -> None:
        for address in ("", "a:b", "ftp://a", "a/path", "a:99999"):
            with self.subTest(address), self.assertRaisesRegex(ConfigError, "HOST:PORT"):
                url_of(address)


class QueueCallsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.server = QueueServer()
        self.server.__enter__()
        self.addCleanup(self.server.__exit__)
        self.calls = QueueCalls(self.server.address)
        self.addCleanup(self.calls.close)

    def test_the_table(self) -> None:
        calls = self.calls
        self.assertEqual(calls.topics(), {})
        self.assertEqual(calls.add_topic("T1", "P1"), "Topic:T1xP1 created successfully")
        self.assertEqual(calls.topics(), {"T1": {"P1": "server1"}})
        self.assertEqual((calls.register_producer("T1"), calls.register_producer("T1", "P2")), (0, 1))
        self.assertEqual((calls.register_consumer("T1"), calls.register_consumer("T1", "P2")), (0, 1))
        self.assertEqual(calls.produce(0, "ünï"), "T1xP1:Success")
        self.assertEqual((calls.size(0), calls.size(1)), (1, 0))
        self.assertEqual(calls.consume(0), Consumed("T1:P1", "ünï", 0))
        self.assertIsNone(calls.consume(0))
        self.assertEqual(calls.brokers(), ["server1"])

    def test_a_no_is_the_servers_own_words(self) -> None:
        self.calls.add_topic("T1", "P1")
        for call, words in (
            (lambda: self.calls.add_topic("T1", "P1"), "T1:P1 already exist"),
            (lambda: self.calls.register_producer("T2"), "T2 does not exist thus no partitions are available"),
            (
                lambda: self.calls.register_consumer("T1", "P9"),
                "T1:P9 does not exist, thus can not register as consumer",
            ),
        ):
            with self.assertRaises(Refused) as caught:
                call()
            self.assertEqual(str(caught.exception), words)

    def test_with_acks_a_lost_answer_comes_again(self) -> None:
        self.calls.add_topic("T1", "P1")
        self.calls.register_producer("T1")
        self.calls.register_consumer("T1")
        for message in "ab":
            self.calls.produce(0, message)
        self.server.lose = 1
        with self.assertRaises(Unreachable):
            self.calls.consume(0, NOTHING)
        self.assertEqual(self.calls.consume(0, NOTHING), Consumed("T1:P1", "a", 0))
        self.assertEqual(self.calls.consume(0, 0), Consumed("T1:P1", "b", 1))
        self.assertEqual(self.calls.consume(0, 0), Consumed("T1:P1", "b", 1))
        self.assertIsNone(self.calls.consume(0, 1))

    def test_nobody_there(self) -> None:
        self.server.away = 1
        with self.assertRaisesRegex(Unreachable, "/topics: 503 nobody"):
            self.calls.topics()
        with self.assertRaises(Unreachable):
            QueueCalls("127.0.0.1:1").topics()

    def test_somebody_else_is_there(self) -> None:
        self.assertIsNone(self.calls.cluster())
        with self.assertRaisesRegex(CarouselError, "404, which isn't the queue's"):
            self.calls.test_broker("broker1")

    def test_the_cluster(self) -> None:
        self.server.cluster = {"queue": {"bootstrap": "a:1"}}
        self.assertEqual(self.calls.cluster(), {"queue": {"bootstrap": "a:1"}})
