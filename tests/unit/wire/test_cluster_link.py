"""`wire.cluster_link`: both ends agree, unknown things are skipped, hostile bytes are refused."""

import json
import unittest

from hypothesis import given
from hypothesis import strategies as st

from wire import messages
from wire.cluster_link import (
    Offer,
    Position,
    Registration,
    Stop,
    Update,
    offer_request,
    poll_answer,
    poll_request,
    read_offer,
    read_poll,
    read_registration,
    read_update,
    registration_request,
)
from wire.frames import read_head, read_response_head
from wire.primitives import WireError

REGISTRATION = Registration(
    3, "cluster", "0" * 31 + "1", "f" * 32, 7, Stop.SAME_BOOT, {"CLIENT": ("127.0.0.1", 9092), "INTERNAL": ("::1", 1)}
)


class PollTest(unittest.TestCase):
    @given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(0, 2**31 - 1))
    def test_request(self, generation: int, version: int, correlation_id: int) -> None:
        frame = memoryview(poll_request(correlation_id, "node-1", Position(generation, version)))[4:]
        head = read_head(frame)
        assert head.at is not None
        self.assertEqual((head.api_key, head.version, head.correlation_id), (10_000, 0, correlation_id))
        self.assertEqual(read_poll(frame, head.at), (generation, version))

    def test_answer(self) -> None:
        for snapshot in (None, [], [{"type": "topic", "name": "événement"}]):
            update = Update(Position(2, 5), [{"type": "generation", "number": 2}], snapshot)
            frame = memoryview(poll_answer(9, update))[4:]
            correlation_id, at = read_response_head(frame, 0)
            self.assertEqual(correlation_id, 9)
            self.assertEqual(read_update(frame, at), update)

    def test_unknown_fields_are_skipped(self) -> None:
        body = json.dumps({"generation": 1, "version": 2, "new": True}).encode()
        self.assertEqual(read_poll(body, 0), Position(1, 2))
        self.assertEqual(read_update(body, 0), Update(Position(1, 2), []))

    def test_what_is_no_poll_is_refused(self) -> None:
        bodies = (b"", b"\xff", b"[]", b"{}", b'{"generation":1}', b'{"generation":true,"version":1}', b"[" * 100_000)
        for body in bodies:
            with self.assertRaises(WireError):
                read_poll(body, 0)
        for records in (b"3", b"[3]", b"{}"):
            with self.assertRaises(WireError):
                read_update(b'{"generation":1,"version":1,"records":' + records + b"}", 0)

    @given(st.binary(max_size=60))
    def test_hostile_bytes(self, raw: bytes) -> None:
        for read in (read_poll, read_update):
            try:
                read(raw, 0)
            except WireError:
                continue

    def test_positions_are_ordered_by_generation_first(self) -> None:
        self.assertLess(Position(1, 100), Position(2, 1))


class OfferTest(unittest.TestCase):
    def test_a_copy_comes_as_it_was_sent(self) -> None:
        offer = Offer(Position(2, 5), [{"type": "topic", "name": "événement"}], 4, "1" * 32, "d" * 32)
        frame = memoryview(offer_request(9, "node-1", offer))[4:]
        head = read_head(frame)
        assert head.at is not None
        self.assertEqual((head.api_key, head.version, head.correlation_id), (10_001, 0, 9))
        self.assertEqual(read_offer(frame, head.at), offer)

    def test_what_is_no_offer_is_refused(self) -> None:
        whole = {"generation": 1, "version": 1, "records": [], "epoch": 1, "incarnation": "1", "directory": "d"}
        self.assertEqual(read_offer(json.dumps(whole).encode(), 0).epoch, 1)
        for name in whole:
            for wrong in (None, [3]):
                with self.assertRaises(WireError):
                    read_offer(json.dumps(whole | {name: wrong}).encode(), 0)


class RegistrationTest(unittest.TestCase):
    def test_round_trip(self) -> None:
        frame = memoryview(registration_request(5, "node-3", REGISTRATION))[4:]
        head = read_head(frame)
        assert head.at is not None
        self.assertEqual((head.api_key, head.version, head.correlation_id), (62, 4, 5))
        self.assertEqual(read_registration(head.version, frame, head.at), REGISTRATION)

    def test_a_reader_that_does_not_know_the_tag_skips_it(self) -> None:
        frame = memoryview(registration_request(5, None, REGISTRATION))[4:]
        head = read_head(frame)
        assert head.at is not None
        self.assertEqual(messages.decode(62, 4, frame, head.at).previous_broker_epoch, 7)

    def test_without_the_tag_the_stop_was_unclean(self) -> None:
        frame = memoryview(registration_request(5, None, REGISTRATION))[4:]
        at = read_head(frame).at
        assert at is not None
        plain = messages.encode(messages.decode(62, 4, frame, at))
        self.assertIs(read_registration(4, plain, 0).stop, Stop.UNCLEAN)

    def test_a_version_without_directories_is_refused(self) -> None:
        values = {
            "broker_id": 1, "cluster_id": "c", "incarnation_id": b"\1" * 16, "listeners": [], "features": [],
            "rack": None,
        }  # fmt: skip
        body = messages.encode(messages.build(62, 0, values, "request"))
        with self.assertRaises(WireError):
            read_registration(0, body, 0)
