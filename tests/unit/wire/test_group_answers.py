"""`wire.group_answers`: byte by byte as kio writes, for every version."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from wire import messages
from wire.answer_parts import Topic
from wire.group_answers import pack_heartbeat, pack_offset_commit

INT32 = st.integers(-(2**31), 2**31 - 1)
ERRORS = st.integers(-1, 90)


class HeartbeatTest(unittest.TestCase):
    @given(INT32, ERRORS, INT32)
    def test_every_version(self, correlation_id: int, error_code: int, throttle_ms: int) -> None:
        for version in range(5):
            values = {"error_code": error_code, "throttle_time": throttle_ms}
            theirs = messages.answer(correlation_id, messages.build(12, version, values))
            self.assertEqual(pack_heartbeat(version, correlation_id, error_code, throttle_ms), theirs)


class OffsetCommitTest(unittest.TestCase):
    @given(st.data(), INT32, INT32)
    def test_every_version(self, data: st.DataObject, correlation_id: int, throttle_ms: int) -> None:
        names, ids = st.text(max_size=10), st.binary(min_size=16, max_size=16)
        for version in range(2, 11):
            named: st.SearchStrategy[Topic] = names if version < 10 else ids
            results = st.lists(st.tuples(INT32, ERRORS), max_size=4)
            topics = data.draw(st.lists(st.tuples(named, results), max_size=3))
            values = {
                "throttle_time": throttle_ms,
                "topics": [
                    {
                        "name": topic,
                        "topic_id": topic,
                        "partitions": [{"partition_index": index, "error_code": code} for index, code in committed],
                    }
                    for topic, committed in topics
                ],
            }
            theirs = messages.answer(correlation_id, messages.build(8, version, values))
            self.assertEqual(pack_offset_commit(version, correlation_id, topics, throttle_ms), theirs)
