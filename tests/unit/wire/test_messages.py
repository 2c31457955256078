"""`wire.messages`: whole messages there and back, and built once for all versions."""

import unittest
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

from support.kio_messages import EVERY_VERSION, random_message

from wire import frames, messages
from wire.errors import ErrorCode
from wire.primitives import WireError
from wire.schemas import message_class


class ThereAndBackTest(unittest.TestCase):
    def test_every_version(self) -> None:
        random = Random(2)
        for key, version in EVERY_VERSION:
            request = random_message(message_class(key, version, "request"), random)
            response = random_message(message_class(key, version, "response"), random)
            self.assertEqual(messages.decode(key, version, messages.encode(request)), request)
            self.assertEqual(messages.decode_response(key, version, messages.encode(response)), response)

    def test_the_body_begins_where_the_head_ends(self) -> None:
        message = messages.build(12, 4, {"group_id": "g", "generation_id": 1, "member_id": "m"}, "request")
        frame = memoryview(frames.request_frame(12, 4, 7, "me", messages.encode(message)))[4:]
        head = frames.read_head(frame)
        assert head.at is not None
        self.assertEqual(messages.decode(12, 4, frame, head.at), message)

    def test_bytes_behind_a_request_are_skipped_and_behind_an_answer_refused(self) -> None:
        asked = messages.build(3, 1, {"topics": [{"name": "t"}]}, "request")
        self.assertEqual(messages.decode(3, 1, messages.encode(asked) + b"\0\1\2"), asked)
        answered = messages.encode(messages.build(18, 0, {"error_code": 0, "api_keys": []}))
        self.assertRaises(WireError, messages.decode_response, 18, 0, answered + b"\0")


class AnswerTest(unittest.TestCase):
    def test_api_versions_keeps_the_old_header(self) -> None:
        values = {"error_code": 0, "api_keys": [], "throttle_time": 0}
        self.assertEqual(messages.answer(7, messages.build(18, 3, values))[:9], b"\0\0\0\x0c\0\0\0\x07\0")

    def test_others_have_tags_from_their_flexible_version_on(self) -> None:
        old = messages.answer(7, messages.build(12, 3, {"throttle_time": 0, "error_code": 0}))
        new = messages.answer(7, messages.build(12, 4, {"throttle_time": 0, "error_code": 0}))
        self.assertEqual(old, bytes.fromhex("0000000a 00000007 00000000 0000"))
        self.assertEqual(new, bytes.fromhex("0000000c 00000007 00 00000000 0000 00"))


class BuildTest(unittest.TestCase):
    VALUES: Final[dict[str, Any]] = {
        "throttle_time": 5,
        "error_code": 0,
        "brokers": [{"node_id": 1, "host": "h", "port": 9, "rack": None}],
        "cluster_id": "c",
        "controller_id": 1,
        "topics": [
            {
                "error_code": 0,
                "name": "t",
                "topic_id": b"i" * 16,
                "is_internal": False,
                "partitions": [
                    {
                        "error_code": 5,
                        "partition_index": 0,
                        "leader_id": -1,
                        "leader_epoch": 3,
                        "replica_nodes": [1],
                        "isr_nodes": [1],
                        "offline_replicas": [],
                    }
                ],
            }
        ],
    }

    def test_one_dictionary_for_all_versions(self) -> None:
        for version in range(14):
            built = messages.build(3, version, self.VALUES)
            read = messages.decode_response(3, version, messages.encode(built))
            self.assertEqual(read, built)
            self.assertEqual(read.topics[0].partitions[0].error_code, ErrorCode.LEADER_NOT_AVAILABLE)
            self.assertEqual(hasattr(read, "throttle_time"), version >= 3)
            if version >= 10:
                self.assertEqual(read.topics[0].topic_id, UUID(bytes=b"i" * 16))

    def test_times_ids_and_nothing(self) -> None:
        answered = {"index": 1, "error_code": ErrorCode.NONE, "base_offset": 2, "record_errors": []}
        for given, expected in ((-1, None), (1_500, datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)), (None, None)):
            topic = {"topic_id": bytes(16), "partition_responses": [{**answered, "log_append_time": given}]}
            built = messages.build(0, 13, {"responses": [topic], "throttle_time": timedelta(seconds=1)})
            self.assertEqual(built.responses[0].partition_responses[0].log_append_time, expected)
            self.assertIsNone(built.responses[0].topic_id)

    def test_null_arrays_and_kios_own_structs_pass(self) -> None:
        self.assertIsNone(messages.build(3, 4, {"topics": None, "allow_auto_topic_creation": True}, "request").topics)
        built = messages.build(3, 12, self.VALUES)
        again = messages.build(3, 12, {**self.VALUES, "topics": built.topics})
        self.assertEqual(again, built)

    def test_what_has_no_default_must_be_given(self) -> None:
        self.assertRaises(TypeError, messages.build, 3, 12, {})
