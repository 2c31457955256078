"""`wire.fetch_requests`: equal to kio for every version, and as strict as the general reader."""

import unittest
from datetime import timedelta
from random import Random
from typing import Any

from support.kio_messages import harmed, random_message

from wire import messages
from wire.answer_parts import Topic
from wire.fetch_requests import NO_HIGH_WATERMARK, FetchedPartition, FetchedTopic, FetchRequest, read_fetch
from wire.packing import uvarint
from wire.primitives import MAX_ELEMENTS, NO_UUID, WireError
from wire.schemas import Entity, message_class

VERSIONS = range(4, 19)


def as_ours(message: Entity) -> FetchRequest:
    """kio's request in our values."""
    state = getattr(message, "replica_state", None)
    return FetchRequest(
        message.replica_id if state is None else state.replica_id,
        -1 if state is None else state.replica_epoch,
        message.max_wait // timedelta(milliseconds=1),
        message.min_bytes,
        message.max_bytes,
        message.isolation_level,
        getattr(message, "session_id", 0),
        getattr(message, "session_epoch", -1),
        [FetchedTopic(topic_of(topic), [partition_of(part) for part in topic.partitions]) for topic in message.topics],
        [(topic_of(topic), topic.partitions) for topic in getattr(message, "forgotten_topics_data", ())],
        getattr(message, "rack_id", ""),
        getattr(message, "cluster_id", None),
    )


def partition_of(part: Any) -> FetchedPartition:
    directory = getattr(part, "replica_directory_id", None)
    return FetchedPartition(
        part.partition,
        getattr(part, "current_leader_epoch", -1),
        part.fetch_offset,
        getattr(part, "last_fetched_epoch", -1),
        getattr(part, "log_start_offset", -1),
        part.partition_max_bytes,
        getattr(part, "high_watermark", NO_HIGH_WATERMARK),
        None if directory is None else directory.bytes,
    )


def topic_of(entity: Any) -> Topic:
    if hasattr(entity, "topic"):
        return entity.topic
    return NO_UUID if entity.topic_id is None else entity.topic_id.bytes


def usual(version: int, partitions: int = 1, **change: Any) -> Entity:
    asked = {"current_leader_epoch": 4, "fetch_offset": 77, "partition_max_bytes": 1 << 20}
    topic = {
        "topic": "orders",
        "topic_id": b"i" * 16,
        "partitions": [{"partition": p, **asked} for p in range(partitions)],
    }
    values = {
        "replica_id": -1,
        "max_wait": 500,
        "min_bytes": 1,
        "topics": [topic],
        "forgotten_topics_data": [],
        "rack_id": "",
    }
    return messages.build(1, version, values | change, "request")


class ReadTest(unittest.TestCase):
    def check(self, version: int, message: Entity) -> None:
        frame = memoryview(b"head" + messages.encode(message))
        self.assertEqual(read_fetch(version, frame, 4), as_ours(message))

    def test_any_request_of_every_version(self) -> None:
        random = Random(3)
        for version in VERSIONS:
            for _ in range(60):
                self.check(version, random_message(message_class(1, version, "request"), random))

    def test_the_usual_request_of_every_version(self) -> None:
        for version in VERSIONS:
            for partitions in (0, 1, 2, 12, 126, 127, 128):
                self.check(version, usual(version, partitions))
            self.check(version, usual(version, topics=[]))
            self.check(version, usual(version, rack_id="r"))

    def test_as_strict_as_the_general_reader(self) -> None:
        random = Random(5)
        refused = 0
        for turn in range(6_000):
            version = VERSIONS[turn % len(VERSIONS)]
            message = usual(version, turn % 4) if turn % 2 else None
            message = message or random_message(message_class(1, version, "request"), random)
            data = memoryview(harmed(messages.encode(message), random))
            try:
                expected = as_ours(messages.decode(1, version, data))
            except WireError:
                refused += 1
                self.assertRaises(WireError, read_fetch, version, data, 0)
            else:
                self.assertEqual(read_fetch(version, data, 0), expected)
        self.assertTrue(1_000 < refused < 6_000, refused)

    def test_every_cut_is_refused_and_every_tail_skipped(self) -> None:
        for version in VERSIONS:
            data = messages.encode(usual(version, 2))
            for end in range(len(data)):
                self.assertRaises(WireError, read_fetch, version, memoryview(data[:end]), 0)
            whole = read_fetch(version, memoryview(data), 0)
            for tail in (b"\0", b"\1\2\3", data):
                self.assertEqual(read_fetch(version, memoryview(data + tail), 0), whole)

    def test_tags_of_later_versions_are_skipped(self) -> None:
        """Tag 0 of a partition is a directory id from version 17 on; before it is nobody's."""
        for version in (12, 16, 17, 18):
            data = messages.encode(usual(version))
            at = len(data) - 5  # no tags, topic's no tags, nothing forgotten, no rack, no tags
            assert data[at:] == b"\x00\x00\x01\x01\x00"
            tagged = data[:at] + b"\x02\x00\x10" + b"d" * 16 + b"\x63\x01x" + data[at + 1 :]
            (topic,) = read_fetch(version, memoryview(tagged), 0).topics
            self.assertEqual(topic.partitions[0].directory_id, b"d" * 16 if version >= 17 else None)
            self.assertEqual(topic.partitions[0].fetch_offset, 77)

    def test_a_tag_of_another_size_is_refused(self) -> None:
        data = messages.encode(usual(17))
        at = len(data) - 5
        for tag in (b"\x01\x00\x0f" + bytes(15), b"\x01\x00\x11" + bytes(17)):
            self.assertRaises(WireError, read_fetch, 17, memoryview(data[:at] + tag + data[at + 1 :]), 0)
        for tag in (b"\x01\x01\x0c" + bytes(12), b"\x01\x01\x0e" + bytes(14)):
            self.assertRaises(WireError, read_fetch, 15, memoryview(messages.encode(usual(15))[:-1] + tag), 0)

    def test_too_many_partitions_are_refused(self) -> None:
        data = messages.encode(usual(12))
        head = data[: data.index(b"\x07orders") + 7]
        for count in (MAX_ELEMENTS - 1, MAX_ELEMENTS):
            many = memoryview(head + uvarint(count + 1) + bytes(33 * count) + b"\x00\x01\x01\x00")
            if count < MAX_ELEMENTS:  # the topic counts as well
                self.assertEqual(len(read_fetch(12, many, 0).topics[0].partitions), count)
            else:
                self.assertRaises(WireError, read_fetch, 12, many, 0)
