"""`wire.produce_requests`: equal to kio for every version, and as strict as the general reader."""

import unittest
from datetime import timedelta
from random import Random
from typing import Any

from support.kio_messages import harmed, random_message

from wire import messages
from wire.answer_parts import Topic
from wire.primitives import NO_UUID, WireError
from wire.produce_requests import ProducedPartition, ProducedTopic, ProduceRequest, read_produce
from wire.schemas import Entity, message_class

VERSIONS = range(3, 14)


def as_ours(message: Entity) -> ProduceRequest:
    """kio's request in our values, with the records as bytes."""
    topics = [
        ProducedTopic(
            topic_of(topic),
            [ProducedPartition(part.index, part.records) for part in topic.partition_data],
        )
        for topic in message.topic_data
    ]
    return ProduceRequest(message.transactional_id, message.acks, message.timeout // timedelta(milliseconds=1), topics)


def topic_of(entity: Any, name: str = "name") -> Topic:
    if hasattr(entity, name):
        return getattr(entity, name)
    return NO_UUID if entity.topic_id is None else entity.topic_id.bytes


class ReadTest(unittest.TestCase):
    def check(self, version: int, message: Entity) -> None:
        frame = memoryview(b"head" + messages.encode(message))
        expected = as_ours(message)
        self.assertEqual(read_produce(version, frame, 4), expected)
        self.assertEqual(messages.decode(0, version, frame, 4), message)

    def test_any_request_of_every_version(self) -> None:
        random = Random(3)
        for version in VERSIONS:
            for _ in range(40):
                self.check(version, random_message(message_class(0, version, "request"), random))

    def usual(self, version: int, records: bytes | None, name: str = "orders", **change: Any) -> Entity:
        topic = {"name": name, "topic_id": b"i" * 16, "partition_data": [{"index": 3, "records": records}]}
        values = {"transactional_id": None, "acks": -1, "timeout": 1000, "topic_data": [topic], **change}
        return messages.build(0, version, values, "request")

    def test_the_usual_request_of_every_version_and_size(self) -> None:
        for version in VERSIONS:
            for size in (0, 1, 126, 127, 128, 16_382, 16_383, 16_384, 2_097_151, 2_097_152):
                self.check(version, self.usual(version, bytes(size)))
            for name in ("", "n" * 126, "n" * 127, "n" * 249, "é"):
                self.check(version, self.usual(version, b"abc", name))
            self.check(version, self.usual(version, None))
            self.check(version, self.usual(version, b"abc", transactional_id=""))
            self.check(version, self.usual(version, b"abc", transactional_id="me"))

    def test_records_are_views_of_the_frame(self) -> None:
        for version in VERSIONS:
            data = bytearray(messages.encode(self.usual(version, b"abcdef")))
            request = read_produce(version, memoryview(data), 0)
            at = data.index(b"abcdef")
            data[at : at + 6] = b"ABCDEF"
            records = request.topics[0].partitions[0].records
            assert records is not None
            self.assertEqual(bytes(records), b"ABCDEF")

    def test_as_strict_as_the_general_reader(self) -> None:
        """Both take the same harmed bytes for the same request, or none of them does."""
        random = Random(5)
        refused = 0
        for turn in range(6_000):
            version = VERSIONS[turn % len(VERSIONS)]
            message = self.usual(version, b"\0" * random.randrange(4)) if turn % 2 else None
            message = message or random_message(message_class(0, version, "request"), random)
            data = memoryview(harmed(messages.encode(message), random))
            try:
                expected = as_ours(messages.decode(0, version, data))
            except WireError:
                refused += 1
                self.assertRaises(WireError, read_produce, version, data, 0)
            else:
                self.assertEqual(read_produce(version, data, 0), expected)
        self.assertTrue(1_000 < refused < 6_000, refused)

    def test_every_cut_is_refused_and_every_tail_skipped(self) -> None:
        for version in VERSIONS:
            data = messages.encode(self.usual(version, b"\0\0\0"))
            for end in range(len(data)):
                self.assertRaises(WireError, read_produce, version, memoryview(data[:end]), 0)
            whole = read_produce(version, memoryview(data), 0)
            for tail in (b"\0", b"\1\2\3", data):
                self.assertEqual(read_produce(version, memoryview(data + tail), 0), whole)
