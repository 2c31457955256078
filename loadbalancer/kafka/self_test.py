"""A server's self-test: what its clients do, done against this very server, and said in lines of text.

With our own engine a topic is made whose one partition lies on that server and nowhere else, so that it is the one that
appends and serves. Over another cluster the server holds nothing: the cluster is asked, and the server's own HTTP
interface over it. The topic is deleted at the end, and hidden from the interface's clients all the while.
"""

import http.client
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from loadbalancer.kafka.cluster import COMMON, LOOK_S, READING, WRITING
from wire.http_queue import PREFIX, SUCCESS, TESTS_PASSED

CASE_S: Final = 10.0
MADE_BY: Final = 2
"""So many cases come before the topic's creation, which may have been carried out where it has failed."""
LED_S: Final = 10.0
"""From a topic's creation until clients are told of its leader."""
MESSAGES: Final = 100
BYTES: Final = 100
AGAIN: Final = 503
TOPIC: Final = f"{PREFIX}test_"


@dataclass(frozen=True, slots=True)
class Target:
    """`host` and `port` are its HTTP's. `bootstrap`: its own listener, or the other cluster's, with `node_id` None."""

    name: str
    host: str
    port: int
    health_path: str
    bootstrap: str
    node_id: int | None


class _Failed(Exception):
    """Why a case has failed."""


class _Test:
    """The cases, in order; each says what it saw, or raises."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._topic = f"{TOPIC}{uuid.uuid4().hex}"
        self._common = {**COMMON, "bootstrap.servers": target.bootstrap}
        self._admin: Any = AdminClient(self._common)
        self._payloads = [f"{self._topic} {number}".encode().ljust(BYTES, b".") for number in range(MESSAGES)]

    def cases(self) -> list[tuple[str, Callable[[], str]]]:
        return [
            ("heartbeat", self._heartbeat),
            ("metadata", self._metadata),
            ("create topic", self._create),
            ("produce", self._produce),
            ("consume", self._consume),
            ("list topics over HTTP", self._http),
        ]

    def _heartbeat(self) -> str:
        status, _ = self._get(self._target.health_path)
        _check(200 <= status < 300, f"{self._target.health_path} answers {status}")
        return str(status)

    def _metadata(self) -> str:
        found = self._admin.list_topics(timeout=CASE_S)
        node_id = self._target.node_id
        _check(bool(found.brokers), "it knows of no server")
        _check(node_id is None or node_id in found.brokers, f"it does not know of itself, node {node_id}")
        return f"{len(found.brokers)} servers, {len(found.topics)} topics"

    def _create(self) -> str:
        node_id = self._target.node_id
        where: dict[str, Any] = {} if node_id is None else {"replica_assignment": [[node_id]]}
        wanted: Any = NewTopic(self._topic, num_partitions=1, config={"min.insync.replicas": "1"}, **where)
        self._admin.create_topics([wanted])[self._topic].result(CASE_S)
        end = time.monotonic() + LED_S
        while (leader := self._leader()) < 0:
            _check(time.monotonic() < end, "it has no leader")
            time.sleep(LOOK_S)
        _check(node_id in (None, leader), f"node {leader} leads it, not node {node_id}")
        return f"led by node {leader}"

    def _leader(self) -> int:
        """-1: not yet known."""
        topic = self._admin.list_topics(timeout=CASE_S).topics.get(self._topic)
        return topic.partitions[0].leader if topic is not None and 0 in topic.partitions else -1

    def _produce(self) -> str:
        errors: list[Any] = []

        def told(error: Any, _: Any) -> None:
            errors.append(error)

        producer: Any = Producer({**self._common, **WRITING})
        for payload in self._payloads:
            producer.produce(self._topic, payload, partition=0, on_delivery=told)
        producer.flush(CASE_S)
        failed = [error for error in errors if error is not None]
        _check(not failed, failed[0].str() if failed else "")
        _check(len(errors) == MESSAGES, f"{len(errors)} of {MESSAGES} were acknowledged in time")
        return f"{MESSAGES} messages acknowledged"

    def _consume(self) -> str:
        consumer: Any = Consumer({**self._common, **READING, "enable.partition.eof": False})
        try:
            consumer.assign([TopicPartition(self._topic, 0, 0)])
            found: list[bytes] = []
            end = time.monotonic() + CASE_S
            while len(found) < MESSAGES and time.monotonic() < end:
                found += [message.value() for message in consumer.consume(MESSAGES, 1.0) if message.error() is None]
        finally:
            consumer.close()
        _check(len(found) == MESSAGES, f"{len(found)} of {MESSAGES} messages came in time")
        _check(found == self._payloads, "other messages came, or in another order")
        return f"{MESSAGES} messages in order"

    def _http(self) -> str:
        status, body = self._get("/topics")
        end = time.monotonic() + CASE_S
        while status == AGAIN and time.monotonic() < end:
            time.sleep(LOOK_S)
            status, body = self._get("/topics")
        told: Any = json.loads(body)
        _check((status, told["status"]) == (200, SUCCESS), f"/topics answers {status}: {told['message']}")
        return f"{len(told['message'])} topics"

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._target.host, self._target.port, timeout=CASE_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def clean(self) -> None:
        """Its failure is told to nobody: the server may be what failed."""
        try:
            self._admin.delete_topics([self._topic])[self._topic].result(CASE_S)
        except (KafkaException, TimeoutError):
            return


def run(target: Target) -> tuple[bool, str]:
    """Whether all cases have passed, and the output. Blocks for seconds; a case that fails ends it."""
    test = _Test(target)
    cases = test.cases()
    lines = [f"Self-test of {target.name}: {len(cases)} cases"]
    passed = 0
    try:
        for title, case in cases:
            begun = time.monotonic()
            said = case()
            passed += 1
            lines.append(f"{title}: ok, {said} ({(time.monotonic() - begun) * 1000:.1f} ms)")
    except (_Failed, OSError, http.client.HTTPException, KafkaException, ValueError, LookupError, TypeError) as error:
        lines.append(f"{cases[passed][0]}: failed, {_reason(error)}")
    if passed >= MADE_BY:
        test.clean()
    good = passed == len(cases)
    lines.append(TESTS_PASSED if good else f"{passed} of {len(cases)} test cases are passed")
    return good, "\n".join(lines)


def _reason(error: BaseException) -> str:
    if isinstance(error, KafkaException):
        return error.args[0].str()
    return str(error) or type(error).__name__


def _check(holds: bool, why_not: str) -> None:
    if not holds:
        raise _Failed(why_not)
