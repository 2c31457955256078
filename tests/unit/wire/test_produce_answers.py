"""`wire.produce_answers`: byte by byte as kio writes, for every version."""

import unittest
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from wire import messages
from wire.answer_parts import CurrentLeader, Endpoint, Topic
from wire.produce_answers import ProduceResult, pack_produce

VERSIONS = range(3, 14)
INT32, INT64 = (st.integers(-(2**bits), 2**bits - 1) for bits in (31, 63))
TIMES = st.just(-1) | st.integers(0, 2**40)


def topics(version: int, results: st.SearchStrategy[Any]) -> st.SearchStrategy[list[tuple[Topic, list[Any]]]]:
    named: st.SearchStrategy[Topic] = st.text(max_size=10) if version < 13 else st.binary(min_size=16, max_size=16)
    return st.lists(st.tuples(named, st.lists(results, max_size=4)), max_size=4)


STORED = st.tuples(INT32, st.just(0), INT64, TIMES, INT64).map(lambda fields: ProduceResult(*fields))
FAILED = st.builds(
    ProduceResult,
    INT32,
    st.integers(1, 90),
    INT64,
    TIMES,
    INT64,
    st.none() | st.text(max_size=10),
    st.lists(st.tuples(INT32, st.none() | st.text(max_size=10)), max_size=3),
    st.none() | st.builds(CurrentLeader, st.integers(0, 2**31 - 1), INT32),
)
ENDPOINTS = st.lists(
    st.builds(Endpoint, INT32, st.text(max_size=10), INT32, st.none() | st.text(max_size=5)), max_size=2
)


class PackTest(unittest.TestCase):
    @settings(max_examples=200, deadline=None)
    @given(st.sampled_from(VERSIONS), st.data(), INT32, INT32)
    def test_byte_by_byte_as_kio_writes(
        self, version: int, data: st.DataObject, correlation_id: int, throttle_ms: int
    ) -> None:
        answered = data.draw(topics(version, STORED | FAILED))
        endpoints = data.draw(ENDPOINTS)
        ours = pack_produce(version, correlation_id, answered, throttle_ms, endpoints)
        self.assertEqual(ours, self.by_kio(version, correlation_id, answered, throttle_ms, endpoints))

    def test_the_usual_answer_of_every_version(self) -> None:
        for version in VERSIONS:
            topic: Topic = "orders" if version < 13 else b"i" * 16
            answered = [(topic, [ProduceResult(3, 0, 12_345, -1, 7)])]
            self.assertEqual(pack_produce(version, 9, answered), self.by_kio(version, 9, answered, 0, []))

    def by_kio(
        self,
        version: int,
        correlation_id: int,
        answered: list[tuple[Topic, list[ProduceResult]]],
        throttle_ms: int,
        endpoints: list[Endpoint],
    ) -> bytes:
        values = {
            "responses": [
                {"name": topic, "topic_id": topic, "partition_responses": [self.result(one) for one in results]}
                for topic, results in answered
            ],
            "throttle_time": throttle_ms,
            "node_endpoints": [endpoint._asdict() for endpoint in endpoints],
        }
        return messages.answer(correlation_id, messages.build(0, version, values))

    def result(self, result: ProduceResult) -> dict[str, Any]:
        values = {
            "index": result.partition,
            "error_code": result.error_code,
            "base_offset": result.base_offset,
            "log_append_time": result.log_append_time_ms,
            "log_start_offset": result.log_start_offset,
            "record_errors": [
                {"batch_index": index, "batch_index_error_message": text} for index, text in result.record_errors
            ],
            "error_message": result.error_message,
        }
        return values | ({"current_leader": result.current_leader._asdict()} if result.current_leader else {})
