import shutil
import sys
import tempfile
import unittest
from pathlib import Path

from client.compat.myqueue import ApiHandler, Message, MyConsumer, MyProducer, readProduceLog, writeComsumeLog
from client.errors import ConfigError, Refused, Unreachable
from tests.support.http_queue_server import QueueServer

NOT_LONG_S = 0.05


class MyQueueCase(unittest.TestCase):
    def setUp(self) -> None:
        self.server = QueueServer()
        self.server.__enter__()
        self.addCleanup(self.server.__exit__)
        self.folder = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.folder)


class ApiHandlerTest(MyQueueCase):
    def test_the_fields_methods(self) -> None:
        api = ApiHandler(self.server.address)
        self.addCleanup(api.calls.close)
        self.assertFalse(api.can_send())
        self.assertEqual(api.add_topic("T1", "P1"), "Topic:T1xP1 created successfully")
        self.assertTrue(api.can_send())
        producer, consumer = api.reg_producer("T1"), api.reg_consumer("T1", "*")
        self.assertFalse(api.can_get_next(consumer))
        self.assertEqual(api.produce(producer, "m"), "T1xP1:Success")
        self.assertEqual((api.get_size(consumer), api.size(consumer)), (1, 1))
        message = api.consume(consumer)
        assert message is not None
        self.assertEqual((message.topic, message.message), ("T1:P1", "m"))
        self.assertEqual(message, ("T1:P1", "m"))
        self.assertIsNone(api.consume(consumer))
        self.assertEqual(api.get_brokers(), ["server1"])
        self.assertEqual(api.get_topics(), {"T1": {"P1": "server1"}})

    def test_failures_say_the_servers_words(self) -> None:
        api = ApiHandler(self.server.address)
        self.addCleanup(api.calls.close)
        with self.assertRaises(Refused) as caught:
            api.reg_producer("T2")
        self.assertEqual(str(caught.exception), "T2 does not exist thus no partitions are available")
        for name in ("", "a@b", "P-1", "x"):
            with self.subTest(name), self.assertRaisesRegex(ConfigError, "is not allowed"):
                api.create_topic("T1", name)

    def test_addresses(self) -> None:
        self.assertEqual(ApiHandler("localhost").calls.url, "http://localhost:5000")
        self.assertEqual(ApiHandler("h", "81").calls.url, "http://h:81")


class ProducerAndConsumerTest(MyQueueCase):
    def test_as_the_fields_scripts_use_them(self) -> None:
        ApiHandler(self.server.address).add_topic("T1", "P1")
        consumer = MyConsumer(topics=[["T1", "P1"], ["T1", "*"]], host=self.server.address, timeout=NOT_LONG_S)
        producer = MyProducer(topics=[["T1", "P1"], ["T1", "*"]], host=self.server.address)
        self.assertTrue(producer.can_send())
        producer.send("T1", "P1", "a")
        producer.send("T1", "b")
        producer.send("T1", "c", partition="P1")
        producer.stop()
        self.assertTrue(consumer.has_next("T1"))
        writer = writeComsumeLog(f"{self.folder}/consumer_1.txt")
        for message in consumer.get_next():
            writer.writeline(f"{message.topic}     {message.message}")
        writer.write(Message("T1:P1", "d"))
        writer.close()
        consumer.stop()
        lines = (self.folder / "consumer_1.txt").read_text().splitlines()
        self.assertEqual(sorted(lines[:-1]), sorted(f"T1:P1     {word}" for word in "aabbcc"))
        self.assertEqual(lines[-1], "T1:P1     d")

    def test_lost_answers_lose_no_message(self) -> None:
        ApiHandler(self.server.address).add_topic("T1", "P1")
        consumer = MyConsumer(["T1:P1"], broker=self.server.address, timeout=1)
        producer = MyProducer(["T1:P1"], broker=self.server.address)
        for word in "abc":
            producer.send("T1", "P1", word)
        seen = []
        for message in consumer.get_next("T1"):
            self.server.lose = 1
            seen.append(message.message)
            if len(seen) == 3:
                break
        self.assertEqual(seen, ["a", "b", "c"])
        self.server.lose = 0

    def test_sends_are_tried_again_until_the_timeout(self) -> None:
        producer = MyProducer(["T1:P1"], broker=self.server.address, timeout=NOT_LONG_S)
        self.server.away = 1
        producer.timeout = 5
        producer.send("T1", "P1", "a")
        self.server.away = 1_000
        producer.timeout = NOT_LONG_S
        with self.assertRaises(Unreachable):
            producer.send("T1", "P1", "b")
        self.server.away = 0
        self.assertEqual(self.server.topics["T1"]["P1"], ["a"])

    def test_a_topic_that_the_producer_was_not_made_for(self) -> None:
        producer = MyProducer(["T1:P1"], broker=self.server.address)
        with self.assertRaisesRegex(ConfigError, "T1:P2 is not among"):
            producer.send("T1", "P2", "a")
        with self.assertRaises(ConfigError):
            producer.send("T1")


class LogTest(MyQueueCase):
    def write(self, text: str) -> str:
        path = self.folder / "producer_1.txt"
        path.write_text(text)
        return str(path)

    def test_the_fields_generator(self) -> None:
        lines = readProduceLog(self.write("21:52:23 INFO * T1\n\n21:52:23 WARN P2 T3\n"))
        self.assertEqual(next(lines), ("T1", "*", "INFO"))
        topic, part, message = next(lines)
        self.assertEqual((topic, part, message), ("T3", "P2", "WARN"))
        with self.assertRaises(StopIteration):
            next(lines)

    def test_held_against_the_topics(self) -> None:
        path = self.write("21:52:23 INFO * T1\n21:52:23 WARN P2 T3\n")
        self.assertEqual(len(list(readProduceLog(path, [["T1", "P1"], "T3:P2"]))), 2)
        with self.assertRaisesRegex(Exception, "log file:incompitable, line 2"):
            readProduceLog(path, ["T1"])
        with self.assertRaisesRegex(Exception, "log file:incompitable, line 1: it has 2 fields"):
            list(readProduceLog(self.write("INFO T1")))

    def test_by_the_fields_import(self) -> None:
        import client.compat

        folder = str(Path(client.compat.__file__).parent)
        sys.path.insert(0, folder)
        self.addCleanup(sys.path.remove, folder)
        import myqueue  # type: ignore[import-not-found]

        self.assertIs(myqueue.MyProducer, MyProducer)
        self.assertIs(myqueue.readProduceLog, readProduceLog)
