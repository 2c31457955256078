"""`wire.fetch_answers`: byte by byte as kio writes, for every version, and the records not copied."""

import unittest
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from wire import messages
from wire.answer_parts import CurrentLeader, Endpoint, Topic
from wire.fetch_answers import FetchResult, pack_fetch

VERSIONS = range(4, 19)
INT32, INT64 = (st.integers(-(2**bits), 2**bits - 1) for bits in (31, 63))
LEADERS = st.none() | st.builds(CurrentLeader, st.integers(0, 2**31 - 1), INT32)
RESULTS = st.builds(
    FetchResult,
    INT32,
    st.integers(-1, 90),
    INT64,
    INT64,
    INT64,
    st.lists(st.binary(max_size=200), max_size=3),
    st.none() | st.lists(st.tuples(INT64, INT64), max_size=3),
    INT32,
    st.none() | st.tuples(st.integers(0, 100), INT64),
    LEADERS,
)
ENDPOINTS = st.lists(
    st.builds(Endpoint, INT32, st.text(max_size=10), INT32, st.none() | st.text(max_size=5)), max_size=2
)


class PackTest(unittest.TestCase):
    @settings(max_examples=300, deadline=None)
    @given(st.sampled_from(VERSIONS), st.data(), st.tuples(INT32, INT32, st.integers(0, 90), INT32))
    def test_byte_by_byte_as_kio_writes(
        self, version: int, data: st.DataObject, head: tuple[int, int, int, int]
    ) -> None:
        named: st.SearchStrategy[Topic] = st.text(max_size=10) if version < 13 else st.binary(min_size=16, max_size=16)
        answered = data.draw(st.lists(st.tuples(named, st.lists(RESULTS, max_size=4)), max_size=4))
        endpoints = data.draw(ENDPOINTS)
        self.check(version, answered, head, endpoints)

    def test_the_usual_answer_of_every_version(self) -> None:
        for version in VERSIONS:
            topic: Topic = "orders" if version < 13 else b"i" * 16
            for size in (0, 1, 126, 127, 16_382, 16_383, 100_000):
                records = [memoryview(bytearray(size))]
                self.check(version, [(topic, [FetchResult(0, 0, 9, 9, 0, records)])], (1, 0, 0, 0), [])
            self.check(version, [], (1, 0, 70, 5), [])

    def test_records_are_handed_on_not_copied(self) -> None:
        records = [memoryview(bytearray(10)), memoryview(bytearray(20))]
        for version in VERSIONS:
            out = pack_fetch(version, 1, [(b"i" * 16, [FetchResult(0, 0, 9, 9, 0, records)])])
            self.assertIs(out[1], records[0])
            self.assertIs(out[2], records[1])
            self.assertEqual(len(out), 4)

    def check(
        self,
        version: int,
        answered: list[tuple[Topic, list[FetchResult]]],
        head: tuple[int, int, int, int],
        endpoints: list[Endpoint],
    ) -> None:
        correlation_id, throttle_ms, error_code, session_id = head
        ours = pack_fetch(
            version,
            correlation_id,
            answered,
            throttle_ms=throttle_ms,
            error_code=error_code,
            session_id=session_id,
            endpoints=endpoints,
        )
        values = {
            "throttle_time": throttle_ms,
            "error_code": error_code,
            "session_id": session_id,
            "responses": [
                {"topic": topic, "topic_id": topic, "partitions": [result_of(one) for one in results]}
                for topic, results in answered
            ],
            "node_endpoints": [endpoint._asdict() for endpoint in endpoints],
        }
        theirs = messages.answer(correlation_id, messages.build(1, version, values))
        self.assertEqual(b"".join(ours), theirs)


def result_of(result: FetchResult) -> dict[str, Any]:
    values: dict[str, Any] = {
        "partition_index": result.partition,
        "error_code": result.error_code,
        "high_watermark": result.high_watermark,
        "last_stable_offset": result.last_stable_offset,
        "log_start_offset": result.log_start_offset,
        "aborted_transactions": None,
        "preferred_read_replica": result.preferred_read_replica,
        "records": b"".join(result.records),
    }
    if result.aborted is not None:
        values["aborted_transactions"] = [{"producer_id": pid, "first_offset": at} for pid, at in result.aborted]
    if result.diverging_epoch is not None:
        values["diverging_epoch"] = dict(zip(("epoch", "end_offset"), result.diverging_epoch, strict=True))
    if result.current_leader is not None:
        values["current_leader"] = result.current_leader._asdict()
    return values
