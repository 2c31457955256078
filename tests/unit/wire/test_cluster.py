"""Records and the image that they make."""

import json
import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wire.cluster import NO_LEADER, Broker, Image, Partition, Record, Topic

A, B = "a" * 32, "b" * 32
BROKER = Broker(1, "c" * 32, "d" * 32, 7, False, {"CLIENT": ("127.0.0.1", 9092)}, "rack-1")
TOPIC = Topic("orders", A, False, {"retention.ms": "1000"}, 3)


def partition(topic: str = A, number: int = 0, **fields: Any) -> Partition:
    return Partition(topic, number, **{"replicas": (1, 2), "isr": (1,), "leader": 1, **fields})


def image(*records: Record) -> Image:
    return Image().with_records(records, 3, 9)


class TestImage(unittest.TestCase):
    def test_an_empty_one_holds_nothing(self) -> None:
        self.assertEqual((Image().generation, Image().version, dict(Image().topics)), (0, 0, {}))

    def test_records_make_what_they_say(self) -> None:
        made = image(BROKER.record(), TOPIC.record(), partition().record(), {"type": "producer_ids", "next": 2000})
        self.assertEqual(made.brokers, {1: BROKER})
        self.assertEqual(made.topics, {"orders": TOPIC})
        self.assertEqual(made.names, {A: "orders"})
        self.assertEqual(made.partitions, {(A, 0): partition()})
        self.assertEqual((made.generation, made.version, made.next_producer_id), (3, 9, 2000))

    def test_the_image_before_stays_as_it_was_and_shares_what_did_not_change(self) -> None:
        before = image(TOPIC.record(), partition().record())
        after = before.with_records([partition(number=1).record()], 3, 10)
        self.assertEqual(len(before.partitions), 1)
        self.assertEqual(len(after.partitions), 2)
        self.assertIs(before.topics, after.topics)

    def test_a_topic_goes_with_its_partitions(self) -> None:
        made = image(TOPIC.record(), partition().record(), partition(number=1).record(), partition(B).record())
        gone = made.with_records([{"type": "topic_gone", "id": A}], 3, 10)
        self.assertEqual((dict(gone.topics), dict(gone.names)), ({}, {}))
        self.assertEqual(list(gone.partitions), [(B, 0)])

    def test_a_broker_goes(self) -> None:
        made = image(BROKER.record(), {"type": "broker_gone", "node_id": 1})
        self.assertEqual(dict(made.brokers), {})

    def test_configs_of_topics_and_brokers(self) -> None:
        made = image(
            TOPIC.record(),
            {"type": "topic_configs", "id": A, "configs": {"cleanup.policy": "compact"}},
            {"type": "configs", "node_id": 1, "configs": {"log.retention.ms": "5"}},
            {"type": "configs", "node_id": None, "configs": {"log.retention.ms": "6"}},
        )
        self.assertEqual(made.topics["orders"].configs, {"cleanup.policy": "compact"})
        self.assertEqual(made.topics["orders"].replication, 3)
        self.assertEqual(made.configs, {1: {"log.retention.ms": "5"}, None: {"log.retention.ms": "6"}})
        cleared = made.with_records([{"type": "configs", "node_id": 1, "configs": {}}], 3, 10)
        self.assertEqual(list(cleared.configs), [None])

    def test_configs_of_a_topic_that_is_gone_change_nothing(self) -> None:
        self.assertEqual(dict(image({"type": "topic_configs", "id": A, "configs": {}}).topics), {})

    def test_words_of_a_newer_version_are_skipped(self) -> None:
        made = image({"type": "share_group", "id": 1}, {**TOPIC.record(), "color": "red"})
        self.assertEqual(made.topics, {"orders": TOPIC})

    def test_fields_of_a_newer_version_may_lack(self) -> None:
        record = {"type": "topic", "name": "orders", "id": A}
        self.assertEqual(image(record).topics["orders"], Topic("orders", A))

    def test_what_no_control_has_written_is_refused_by_name(self) -> None:
        for record in ({}, {"type": "partition", "topic": A}, {**TOPIC.record(), "configs": 1}, {"type": "topic_gone"}):
            with self.assertRaisesRegex(ValueError, "a record that can't be applied"):
                image(record)

    def test_partitions_of_a_topic_by_number(self) -> None:
        made = image(partition(number=1).record(), partition(number=0).record(), partition(B).record())
        self.assertEqual([found.partition for found in made.partitions_of(A)], [0, 1])
        self.assertEqual(made.partitions_of("c" * 32), [])

    def test_topics_by_id_and_live_brokers(self) -> None:
        made = image(TOPIC.record(), BROKER.record(), {**BROKER.record(), "node_id": 2, "fenced": True})
        self.assertEqual((made.topic_of(A), made.topic_of(B)), (TOPIC, None))
        self.assertEqual([made.is_live(node) for node in (1, 2, 3)], [True, False, False])


IDS = st.lists(st.integers(0, 9), unique=True, max_size=4).map(tuple)
HEX = st.sampled_from([A, B, "e" * 32])
CONFIGS = st.dictionaries(st.sampled_from(["x", "y"]), st.text(max_size=3), max_size=2)
RECORDS = st.one_of(
    st.builds(
        Broker, st.integers(0, 3), HEX, HEX, st.integers(0, 99), st.booleans(),
        st.dictionaries(st.just("CLIENT"), st.tuples(st.text(max_size=5), st.integers(1, 65535))),
        st.none() | st.text(max_size=3), st.integers(-1, 9), st.booleans(),
    ).map(Broker.record),
    st.sampled_from([A, B]).flatmap(
        lambda id: st.builds(Topic, st.just("t" + id[0]), st.just(id), st.booleans(), CONFIGS, st.integers(1, 3))
    ).map(Topic.record),
    st.builds(
        Partition, st.sampled_from([A, B]), st.integers(0, 3), IDS, IDS, IDS, st.integers(-1, 9),
        st.integers(-1, 9), st.integers(0, 99), st.integers(0, 99), IDS, IDS,
    ).map(Partition.record),
    st.builds(lambda id: {"type": "topic_gone", "id": id}, HEX),
    st.builds(lambda node: {"type": "broker_gone", "node_id": node}, st.integers(0, 3)),
    st.builds(lambda n: {"type": "producer_ids", "next": n}, st.integers(0, 9999)),
    st.builds(lambda n, c: {"type": "configs", "node_id": n, "configs": c}, st.none() | st.integers(0, 3), CONFIGS),
    st.builds(lambda id, c: {"type": "topic_configs", "id": id, "configs": c}, HEX, CONFIGS),
)  # fmt: skip


class TestLaws(unittest.TestCase):
    @given(st.lists(RECORDS, max_size=20))
    def test_a_snapshot_is_the_log(self, records: list[Record]) -> None:
        made = image(*records)
        self.assertEqual(image(*made.records()), made)

    @given(st.lists(RECORDS, max_size=20), st.integers(0, 20))
    def test_piece_by_piece_is_all_at_once_and_json_keeps_it(self, records: list[Record], cut: int) -> None:
        kept = json.loads(json.dumps(records))
        halves = Image().with_records(kept[:cut], 3, 1).with_records(kept[cut:], 3, 9)
        self.assertEqual(halves, image(*records))

    @given(RECORDS)
    def test_twice_is_once(self, record: Record) -> None:
        self.assertEqual(image(record, record), image(record))

    def test_no_leader_is_kafkas(self) -> None:
        self.assertEqual((NO_LEADER, Partition(A, 0, (1,), (1,)).leader), (-1, -1))


if __name__ == "__main__":
    unittest.main()
