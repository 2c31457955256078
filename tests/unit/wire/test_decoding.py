"""`wire.decoding`: the same values as kio's reader, and none of its accidents."""

import contextlib
import tracemalloc
import unittest
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from kio.serial import entity_reader as kio_reader
from support.kio_messages import EVERY_CLASS, harmed, random_message

from wire.decoding import entity_reader
from wire.messages import encode
from wire.packing import uvarint
from wire.primitives import MAX_ELEMENTS, Reader, WireError
from wire.schemas import Entity, message_class

SMALL_MEMORY = 64 * 1024
"""Bytes that decoding may take whatever the message; besides, only a multiple of its own size."""

PER_BYTE = 200
"""The largest blow-up: an empty compact string, one byte, is a place in a tuple and a struct around it."""


def read(cls: type[Entity], data: bytes) -> Entity:
    reader = Reader(data)
    entity = entity_reader(cls).read(reader)
    reader.expect_end()
    return entity


def check_equal(cls: type[Entity], random: Random) -> None:
    message = random_message(cls, random)
    data = encode(message)
    assert kio_reader(cls)(data, 0) == (message, len(data))
    assert read(cls, data) == message


def check_harmed(cls: type[Entity], random: Random) -> None:
    data = harmed(encode(random_message(cls, random)), random)
    with contextlib.suppress(WireError):
        read(cls, data)


class EqualTest(unittest.TestCase):
    def test_every_message_of_every_version_is_read_as_kio_reads_it(self) -> None:
        random = Random(6)
        for cls in EVERY_CLASS:
            for _ in range(3):
                with self.subTest(cls=cls):
                    check_equal(cls, random)

    @settings(max_examples=100, deadline=None)
    @given(st.sampled_from(EVERY_CLASS), st.randoms(use_true_random=False))
    def test_any_message(self, cls: type[Entity], random: Random) -> None:
        check_equal(cls, random)

    def test_nothing_shorter_than_min_size_is_a_message(self) -> None:
        for cls in EVERY_CLASS:
            size = entity_reader(cls).min_size
            with self.subTest(cls=cls), self.assertRaises(WireError):
                read(cls, bytes(size - 1) if size else b"more")


class HostileTest(unittest.TestCase):
    def test_harmed_bytes_raise_one_exception_only(self) -> None:
        random = Random(7)
        for cls in EVERY_CLASS:
            for _ in range(5):
                with self.subTest(cls=cls):
                    check_harmed(cls, random)

    @settings(max_examples=200, deadline=None)
    @given(st.sampled_from(EVERY_CLASS), st.binary(max_size=200))
    def test_any_bytes(self, cls: type[Entity], data: bytes) -> None:
        with contextlib.suppress(WireError):
            read(cls, data)

    def test_every_cut_of_a_message_is_refused(self) -> None:
        random = Random(8)
        for cls in EVERY_CLASS:
            data = encode(random_message(cls, random))[:400]
            for end in range(len(data) - 1):
                try:
                    self.assertRaises(WireError, read, cls, data[:end])
                except AssertionError:
                    self.fail(f"{cls} took {end} of {len(data)} bytes")

    def test_a_length_reserves_nothing(self) -> None:
        metadata = message_class(3, 12, "request")
        tracemalloc.start()
        try:
            for head in (b"\xff\xff\xff\xff\x7f", b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x08"):
                with self.assertRaises(WireError):
                    read(metadata, head + bytes(100))
            with self.assertRaises(WireError):
                read(message_class(3, 1, "request"), b"\x7f\xff\xff\xff" + bytes(100))
            self.assertLess(tracemalloc.get_traced_memory()[1], SMALL_MEMORY)
        finally:
            tracemalloc.stop()

    def test_memory_follows_the_bytes(self) -> None:
        random = Random(9)
        worst = 0.0
        for cls in EVERY_CLASS[::3]:
            data = harmed(encode(random_message(cls, random)), random)
            tracemalloc.start()
            with contextlib.suppress(WireError):
                read(cls, data)
            worst = max(worst, tracemalloc.get_traced_memory()[1] - PER_BYTE * len(data))
            tracemalloc.stop()
        self.assertLess(worst, SMALL_MEMORY)

    def test_many_small_elements_are_refused(self) -> None:
        cls = message_class(42, 2, "request")  # DeleteGroups: names of one byte each
        count = MAX_ELEMENTS
        self.assertEqual(len(read(cls, uvarint(count + 1) + b"\x01" * count + b"\x00").groups_names), count)
        count += 1
        with self.assertRaises(WireError):
            read(cls, uvarint(count + 1) + b"\x01" * count + b"\x00")


class TagTest(unittest.TestCase):
    def setUp(self) -> None:
        self.fetch = message_class(1, 16, "request")
        self.message = random_message(self.fetch, Random(1))

    def test_unknown_tagged_fields_are_skipped(self) -> None:
        heartbeat = message_class(12, 4, "request")
        message = heartbeat(group_id="g", generation_id=3, member_id="m", group_instance_id=None)
        data = encode(message)
        assert data[-1:] == b"\x00"
        self.assertEqual(read(heartbeat, data[:-1] + b"\x02\x05\x03abc\x90\x4e\x00"), message)

    def test_a_known_tag_must_have_its_own_size(self) -> None:
        versions = message_class(18, 3, "response")
        data = encode(
            versions(
                error_code=random_message(message_class(12, 0, "response"), Random(1)).error_code,
                api_keys=(),
                throttle_time=self.message.max_wait,
                finalized_features_epoch=5,
            )
        )
        at = data.index(b"\x01\x01\x08")
        self.assertEqual(read(versions, data).finalized_features_epoch, 5)
        with self.assertRaises(WireError):
            read(versions, data[: at + 2] + b"\x09" + data[at + 3 :] + b"\x00")

    def test_tags_that_are_not_there_have_their_defaults(self) -> None:
        fetched = read(self.fetch, encode(self.message))
        self.assertEqual(fetched.replica_state, self.message.replica_state)
        self.assertEqual(fetched, self.message)


class LenientTest(unittest.TestCase):
    def test_any_bool_but_zero_is_true(self) -> None:
        metadata = message_class(3, 4, "request")
        self.assertIs(read(metadata, b"\xff\xff\xff\xff\x02").allow_auto_topic_creation, True)

    def test_null_and_empty_are_two_things(self) -> None:
        metadata = message_class(3, 1, "request")
        self.assertIsNone(read(metadata, b"\xff\xff\xff\xff").topics)
        self.assertEqual(read(metadata, bytes(4)).topics, ())

    def test_times_out_of_range_are_clamped(self) -> None:
        commit = message_class(8, 2, "request")
        head = b"\x00\x01g" + bytes(4) + b"\x00\x00"
        for retention in (b"\x7f" + b"\xff" * 7, b"\x80" + bytes(7)):
            self.assertEqual(read(commit, head + retention + bytes(4)).group_id, "g")
        produced = message_class(0, 3, "response")
        topic = b"\x00\x00\x00\x01\x00\x01t\x00\x00\x00\x01" + bytes(6 + 8)
        late = read(produced, topic + b"\x7f" + b"\xff" * 7 + bytes(4))
        self.assertEqual(late.responses[0].partition_responses[0].log_append_time.year, 9999)

    def test_an_unknown_error_code_is_unknown_server_error(self) -> None:
        self.assertEqual(read(message_class(12, 0, "response"), b"\x7f\xff").error_code, -1)
