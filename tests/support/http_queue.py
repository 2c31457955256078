"""A client of the queue's plain HTTP interface, and the specification's table as calls and answers, for any engine.

Calls go to the given addresses in turn, so that what one replica wrote another must know. Topics are made either by
control (`POST /topics/add`), or, where there is none, by Kafka's admin client and the names that control would write.
"""

import contextlib
import http.client
import itertools
import json
import time
import unittest
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

import confluent_kafka
from confluent_kafka import admin as kafka_admin

from wire.http_queue import NAMES_TOPIC, encode_name, name_key, partition_names

PATIENCE_S = 30.0

Answer = tuple[int, dict[str, Any]]
_admin: Any = kafka_admin


class HttpQueue:
    """`addresses`: HOST:PORT of replicas or of the front door; each call takes the next one."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = list(addresses)
        self._next = itertools.count()

    def ask(self, method: str, target: str, body: bytes | None = None) -> Answer:
        """What it answers, which is JSON whatever happens."""
        address = self.addresses[next(self._next) % len(self.addresses)]
        with contextlib.closing(http.client.HTTPConnection(address, timeout=PATIENCE_S)) as connection:
            connection.request(method, target, body)
            response = connection.getresponse()
            told = response.read()
            assert response.headers["Content-Type"].startswith("application/json"), (response.status, told)
            return response.status, json.loads(told)

    def get(self, path: str, **parameters: Any) -> Answer:
        return self.ask("GET", f"{path}?{urlencode(parameters)}" if parameters else path)

    def post(self, path: str, **told: Any) -> Answer:
        return self.ask("POST", path, json.dumps(told).encode())

    def consume(self, consumer_id: int, **ack: int) -> Answer:
        return self.get("/consumer/consume", consumer_id=consumer_id, **ack)

    def produce(self, producer_id: int, *messages: str) -> list[Answer]:
        return [self.post("/producer/produce", producer_id=producer_id, message=one) for one in messages]

    def patiently(self, ask: Callable[[], Answer]) -> Answer:
        """The first answer that isn't 502 to 504, of calls that may be made twice: a server has just died."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                status, answer = ask()
            except OSError as error:
                status, answer = 503, {"message": str(error)}
            if status not in (502, 503, 504):
                return status, answer
            assert time.monotonic() < deadline, answer
            time.sleep(0.05)


class ByAdmin:
    """Makes topics as control would, over the Kafka protocol. The internal topics must be there: GET /topics first."""

    def __init__(self, bootstrap: str) -> None:
        settings = {"bootstrap.servers": bootstrap, "log_level": 0}
        self._admin: Any = _admin.AdminClient(settings)
        self._producer = confluent_kafka.Producer({**settings, "acks": "all"})
        self._names: dict[str, dict[int, str]] = {}

    def add(self, topic: str, part: str) -> None:
        names = self._names.setdefault(topic, {})
        assert part not in partition_names(len(names), names)
        if names:
            made = self._admin.create_partitions([_admin.NewPartitions(topic, len(names) + 1)])
        else:
            made = self._admin.create_topics([_admin.NewTopic(topic, 1, -1)])
        made[topic].result(PATIENCE_S)
        number = len(names)
        names[number] = part
        self._producer.produce(NAMES_TOPIC, encode_name(part), name_key(topic, number), 0)
        assert self._producer.flush(PATIENCE_S) == 0

    def remove(self, topic: str) -> None:
        self._admin.delete_topics([topic])[topic].result(PATIENCE_S)
        for number in self._names.pop(topic):
            self._producer.produce(NAMES_TOPIC, None, name_key(topic, number), 0)
        assert self._producer.flush(PATIENCE_S) == 0


class ByControl:
    """Makes topics by POST /topics/add."""

    def __init__(self, queue: HttpQueue) -> None:
        self._queue = queue

    def add(self, topic: str, part: str) -> None:
        answer = self._queue.post("/topics/add", topic=topic, part=part)
        assert answer == fine(f"Topic:{topic}x{part} created successfully"), answer
        again = self._queue.post("/topics/add", topic=topic, part=part)
        assert again == bad(f"{topic}:{part} already exist"), again


def fine(message: Any, **more: Any) -> Answer:
    return 200, {"message": message, **more, "status": "success"}


def bad(message: str, **more: Any) -> Answer:
    return 400, {"message": message, **more, "status": "failure"}


def got(message: str, topic: str, part: str, offset: int) -> Answer:
    return fine(message, topic=f"{topic}:{part}", offset=offset)


def empty(consumer_id: int, topic: str, part: str) -> Answer:
    return bad(f"Empty logs for Comsumer:{consumer_id} for Topic:{topic}x{part}", topic=f"{topic}:{part}")


MISTAKES: Sequence[tuple[str, str, bytes | None]] = (
    ("POST", "/producer/register", b""),
    ("POST", "/producer/register", b"[]"),
    ("POST", "/producer/register", b"{"),
    ("POST", "/producer/register", b"\xff\xfe\xfd"),
    ("POST", "/producer/register", b'{"part": "P1"}'),
    ("POST", "/producer/register", b'{"topic": 1}'),
    ("POST", "/producer/register", b'{"topic": ""}'),
    ("POST", "/producer/register", b'{"topic": "T1", "part": 1}'),
    ("POST", "/producer/register", b'{"topic": "T1", "part": ""}'),
    ("POST", "/producer/register", b'{"topic": "T1", "part": "a:b"}'),
    ("POST", "/producer/register", b'{"topic": "a/b", "part": "P1"}'),
    ("POST", "/producer/register", b'{"topic": "__carousel_names", "part": "P1"}'),
    ("POST", "/producer/produce", b'{"producer_id": 0}'),
    ("POST", "/producer/produce", b'{"message": "x"}'),
    ("POST", "/producer/produce", b'{"producer_id": 0, "message": 1}'),
    ("POST", "/producer/produce", b'{"producer_id": 0, "producer_id": 1, "message": "x"}'),
    ("POST", "/producer/produce", b'{"producer_id": -1, "message": "x"}'),
    ("POST", "/producer/produce", b'{"producer_id": true, "message": "x"}'),
    ("POST", "/producer/produce", b'{"producer_id": 0.0, "message": "x"}'),
    ("POST", "/producer/produce", b'{"producer_id": "one", "message": "x"}'),
    ("POST", "/producer/produce", b'{"producer_id": 99999999999999999999, "message": "x"}'),
    ("POST", "/producer/produce", b'{"producer_id": 0, "message": "\\ud800"}'),
    ("POST", "/consumer/register", b"null"),
    ("POST", "/consumer/register", b'{"topic": null}'),
    ("GET", "/consumer/consume", None),
    ("GET", "/consumer/consume?consumer_id=", None),
    ("GET", "/consumer/consume?consumer_id=-1", None),
    ("GET", "/consumer/consume?consumer_id=1e3", None),
    ("GET", "/consumer/consume?consumer_id=0&consumer_id=0", None),
    ("GET", "/consumer/consume?consumer_id=0&ack=x", None),
    ("GET", "/consumer/consume?consumer_id=0&ack=-2", None),
    ("GET", "/size?consumer_id=%20", None),
    ("GET", "/size", None),
)
"""Calls that are wrong in themselves; a topic that doesn't exist is another matter."""


class HttpQueueTable(unittest.TestCase):
    """The table. A twin gives `queue` and `maker`; topics are each test's own, ids only grow."""

    __test__ = False
    queue: HttpQueue
    maker: ByAdmin | ByControl

    def setUp(self) -> None:
        self.assertEqual(self.queue.get("/topics")[0], 200)  # and the internal topics are there
        self.topic = self.id().rpartition(".test_")[2] + type(self).__name__

    def made(self, *parts: str) -> str:
        for part in parts:
            self.maker.add(self.topic, part)
        return self.topic

    def registered(self, kind: str, topic: str, part: str | None = None) -> int:
        told = {"topic": topic} if part is None else {"topic": topic, "part": part}
        status, answer = self.queue.post(f"/{kind}/register", **told)
        self.assertEqual((status, answer["status"]), (200, "success"), answer)
        self.assertIs(type(answer["message"]), int)
        return answer["message"]

    def test_topics(self) -> None:
        topic = self.made("P1", "P2")
        status, answer = self.queue.get("/topics")
        self.assertEqual((status, answer["status"]), (200, "success"))
        self.assertEqual(set(answer["message"][topic]), {"P1", "P2"})
        self.assertFalse([name for name in answer["message"] if name.startswith("__")])

    def test_ids_follow_each_other(self) -> None:
        topic = self.made("P1")
        for kind in ("producer", "consumer"):
            first = self.registered(kind, topic)
            self.assertEqual(self.registered(kind, topic, "P1"), first + 1)
            self.assertEqual(self.registered(kind, topic, "*"), first + 2)

    def test_what_does_not_exist(self) -> None:
        queue, topic = self.queue, self.topic
        missing = f"{topic} does not exist, thus can not register as consumer"
        no_partitions = f"{topic} does not exist thus no partitions are available"
        self.assertEqual(queue.post("/producer/register", topic=topic), bad(no_partitions))
        self.assertEqual(queue.post("/consumer/register", topic=topic), bad(missing))
        self.assertEqual(queue.post("/consumer/register", topic=topic, part="P1"), bad(missing))
        self.assertNotIn(topic, queue.get("/topics")[1]["message"])
        self.made("P1")
        missing = f"{topic}:P9 does not exist, thus can not register as consumer"
        self.assertEqual(queue.post("/consumer/register", topic=topic, part="P9"), bad(missing))
        self.assertEqual(queue.produce(777777, "x"), [bad("Producer:777777 does not exist")])
        self.assertEqual(queue.consume(777777), bad("Consumer:777777 does not exist"))
        self.assertEqual(queue.get("/size", consumer_id=777777), bad("Consumer:777777 does not exist"))

    def test_one_partition(self) -> None:
        queue, topic = self.queue, self.made("first")
        producer = self.registered("producer", topic, "first")
        self.assertEqual(queue.produce(producer, "before"), [fine(f"{topic}xfirst:Success")])
        consumer = self.registered("consumer", topic, "first")
        self.assertEqual(queue.consume(consumer), empty(consumer, topic, "first"))
        answer = queue.post("/producer/produce", producer_id=str(producer), message="é \n\0 x")
        self.assertEqual(answer, fine(f"{topic}xfirst:Success"))
        queue.produce(producer, "")
        self.assertEqual(queue.get("/size", consumer_id=consumer), fine(2, note=""))
        self.assertEqual(queue.consume(consumer), got("é \n\0 x", topic, "first", 1))
        self.assertEqual(queue.consume(consumer), got("", topic, "first", 2))
        self.assertEqual(queue.consume(consumer), empty(consumer, topic, "first"))
        self.assertEqual(queue.get("/size", consumer_id=consumer), fine(0, note=""))

    def test_all_partitions_in_turn(self) -> None:
        queue, topic = self.queue, self.made("P1", "P2", "other")
        producer, consumer = self.registered("producer", topic), self.registered("consumer", topic)
        parts = [topic + f"x{part}:Success" for part in ("P1", "P2", "other") * 3]
        self.assertEqual([answer["message"] for _, answer in queue.produce(producer, *"abcdefghi")], parts)
        self.assertEqual(queue.get("/size", consumer_id=consumer), fine(9, note=""))
        taken = [queue.consume(consumer) for _ in range(10)]
        expected = [got(text, topic, ("P1", "P2", "other")[at % 3], at // 3) for at, text in enumerate("abcdefghi")]
        self.assertEqual(taken, [*expected, empty(consumer, topic, "*")])

    def test_a_partition_made_later(self) -> None:
        """Every replica has written to the topic, and knows it as it was."""
        queue, topic = self.queue, self.made("P1")
        old = self.registered("producer", topic, "P1")
        every = self.registered("consumer", topic)
        for _ in queue.addresses:
            self.assertEqual(queue.produce(old, "x"), [fine(f"{topic}xP1:Success")])
            self.assertEqual(queue.consume(every)[1]["message"], "x")
        self.made("late")
        consumer, producer = self.registered("consumer", topic, "late"), self.registered("producer", topic, "late")
        for at, _ in enumerate(queue.addresses):
            self.assertEqual(queue.produce(producer, str(at)), [fine(f"{topic}xlate:Success")])
        for at, _ in enumerate(queue.addresses):
            self.assertEqual(queue.consume(consumer), got(str(at), topic, "late", at))
            self.assertEqual(queue.consume(every), got(str(at), topic, "late", at))

    def test_nothing_twice_and_all_of_it(self) -> None:
        queue, topic = self.queue, self.made("P1", "P2")
        producer, consumer = self.registered("producer", topic), self.registered("consumer", topic)
        sent = [str(at) for at in range(30)]
        for text in sent:
            self.assertEqual(queue.produce(producer, text)[0][0], 200)
        self.assertEqual([queue.consume(consumer)[1]["message"] for _ in sent], sent)

    def test_acknowledged_by_the_next_call(self) -> None:
        queue, topic = self.queue, self.made("P1")
        producer, consumer = self.registered("producer", topic, "P1"), self.registered("consumer", topic, "P1")
        queue.produce(producer, "a", "b")
        for _ in range(3):
            self.assertEqual(queue.consume(consumer, ack=-1), got("a", topic, "P1", 0))
        for _ in range(3):
            self.assertEqual(queue.consume(consumer, ack=0), got("b", topic, "P1", 1))
        self.assertEqual(queue.get("/size", consumer_id=consumer), fine(1, note=""))
        self.assertEqual(queue.consume(consumer, ack=1), empty(consumer, topic, "P1"))
        self.assertEqual(queue.get("/size", consumer_id=consumer), fine(0, note=""))

    def test_mistakes_are_told_as_json(self) -> None:
        for method, target, body in MISTAKES:
            with self.subTest(target, body=body):
                status, answer = self.queue.ask(method, target, body)
                self.assertEqual((status, answer["status"]), (400, "failure"), answer)
                self.assertTrue(answer["message"])

    def test_other_methods(self) -> None:
        for method, target in (("POST", "/topics"), ("GET", "/producer/produce"), ("DELETE", "/consumer/consume?x=1")):
            status, answer = self.queue.ask(method, target, b"{}" if method == "POST" else None)
            self.assertEqual((status, answer["status"]), (405, "failure"), answer)

    def test_a_large_message(self) -> None:
        topic = self.made("P1")
        producer, consumer = self.registered("producer", topic), self.registered("consumer", topic)
        large = "x" * 900_000
        self.assertEqual(self.queue.produce(producer, large), [fine(f"{topic}xP1:Success")])
        self.assertEqual(self.queue.consume(consumer), got(large, topic, "P1", 0))
        status, answer = self.queue.produce(producer, "x" * 1_020_000)[0]
        self.assertEqual((status, answer["status"]), (400, "failure"), answer)
        self.assertEqual(self.queue.consume(consumer), empty(consumer, topic, "*"))

    def test_a_new_topic_under_an_old_name(self) -> None:
        queue, topic = self.queue, self.made("P1")
        if not isinstance(self.maker, ByAdmin):
            self.skipTest("topics are removed over the Kafka protocol")
        producer, consumer = self.registered("producer", topic), self.registered("consumer", topic)
        queue.produce(producer, *"abc")
        for text in "ab":
            self.assertEqual(queue.consume(consumer)[1]["message"], text)
        self.maker.remove(topic)
        deadline = time.monotonic() + PATIENCE_S
        while topic in queue.get("/topics")[1]["message"]:
            self.assertLess(time.monotonic(), deadline)
        self.maker.add(topic, "P1")
        second = self.registered("consumer", topic)
        for _ in queue.addresses:
            self.assertEqual(queue.consume(second), empty(second, topic, "*"))
        self.assertEqual(queue.produce(producer, "new"), [fine(f"{topic}xP1:Success")])
        self.assertEqual(queue.consume(second), got("new", topic, "P1", 0))
