"""`wire.http_queue`: names, records and texts of the plain HTTP interface."""

import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from wire import http_queue as told

COUNTS = st.integers(0, 2**63 - 1)
OFFSETS = st.dictionaries(st.integers(0, 10_000), COUNTS, max_size=5)
PLACES = st.none() | st.tuples(COUNTS, COUNTS)
REGISTRATIONS = st.builds(told.Registration, st.text(), st.none(), st.just("*"), OFFSETS) | st.builds(
    told.Registration, st.text(), COUNTS, st.text(), OFFSETS
)
CURSORS = st.builds(told.Cursor, COUNTS, st.text(), OFFSETS, COUNTS, PLACES, PLACES, st.booleans())
ANYTHING = st.none() | st.binary() | st.sampled_from([b"[1]", b"{}", b'{"v":2}', b'{"v":1}', b"[" * 100_000])


class NamesTest(unittest.TestCase):
    def test_partitions_names(self) -> None:
        for name in ("P1", "first", "part_3", "é", "p.1", "x".upper()):
            self.assertIsNone(told.why_not_a_partition(name), name)

    def test_what_is_none(self) -> None:
        for name in ("", "*", "a-b", "box", "a:b", "a@b", "a|b", "a b", "a\n", "a\x00", "P" * (told.MAX_NAME + 1)):
            self.assertIsNotNone(told.why_not_a_partition(name), name)

    def test_usual_names(self) -> None:
        self.assertEqual(told.partition_names(3, {}), ("P1", "P2", "P3"))
        self.assertEqual(told.partition_names(0, {}), ())

    def test_given_names_go_first_and_none_comes_twice(self) -> None:
        self.assertEqual(told.partition_names(3, {1: "second"}), ("P1", "second", "P3"))
        self.assertEqual(told.partition_names(3, {0: "P2", 2: "P2_1"}), ("P2", "P2_2", "P2_1"))

    @settings(deadline=None)
    @given(st.dictionaries(st.integers(0, 9), st.sampled_from(["P1", "P2", "P3", "P2_1", "P2_2", "a"]), max_size=5))
    def test_law_names_are_distinct_and_stay(self, names: dict[int, str]) -> None:
        given_once = {number: name for number, name in names.items() if list(names.values()).count(name) == 1}
        few, many = told.partition_names(10, given_once), told.partition_names(20, given_once)
        self.assertEqual(len(set(many)), 20)
        self.assertEqual(many[:10], few)

    def test_hidden_topics(self) -> None:
        self.assertTrue(all(told.is_hidden(topic) for topic in told.TOPICS))
        self.assertTrue(told.is_hidden("__consumer_offsets"))
        self.assertFalse(told.is_hidden("_schemas"))


class RecordsTest(unittest.TestCase):
    @settings(deadline=None)
    @given(REGISTRATIONS)
    def test_registrations(self, registration: told.Registration) -> None:
        self.assertEqual(told.decode_registration(told.encode_registration(registration)), registration)

    @settings(deadline=None)
    @given(CURSORS)
    def test_cursors(self, cursor: told.Cursor) -> None:
        self.assertEqual(told.decode_cursor(told.encode_cursor(cursor)), cursor)

    @settings(deadline=None)
    @given(COUNTS)
    def test_whose(self, number: int) -> None:
        self.assertEqual(told.decode_whose(told.consumer_key(number)), ("consumer", number))
        self.assertEqual(told.decode_whose(told.producer_key(number)), ("producer", number))
        self.assertEqual(told.decode_turn(told.encode_turn(number)), number)

    @settings(deadline=None)
    @given(st.text(), COUNTS, st.text(min_size=1))
    def test_names(self, topic: str, partition: int, name: str) -> None:
        self.assertEqual(told.decode_name_key(told.name_key(topic, partition)), (topic, partition))
        self.assertEqual(told.decode_name(told.encode_name(name)), name)

    @settings(deadline=None)
    @given(ANYTHING)
    def test_what_can_not_be_understood_is_none(self, text: bytes | None) -> None:
        self.assertIsNone(told.decode_registration(text))
        self.assertIsNone(told.decode_cursor(text))
        self.assertIsNone(told.decode_turn(text))
        self.assertIsNone(told.decode_whose(text))
        self.assertIsNone(told.decode_name_key(text))
        self.assertIsNone(told.decode_name(text))

    def test_wrong_types(self) -> None:
        self.assertIsNone(told.decode_registration(b'{"v":1,"topic":"T","partition":true}'))
        self.assertIsNone(told.decode_registration(b'{"v":1,"topic":"T","partition":null,"ends":{"a":1}}'))
        self.assertIsNone(told.decode_cursor(b'{"v":1,"sequence":1,"positions":{"0":-1},"turn":0}'))
        long = b'{"v":1,"sequence":1,"positions":{"' + b"9" * 5000 + b'":1},"turn":0}'
        self.assertIsNone(told.decode_cursor(long))
        self.assertIsNone(told.decode_whose(b'{"group":1}'))
        self.assertIsNone(told.decode_name(b'{"v":1,"name":""}'))

    def test_keys_are_the_same_bytes_each_time(self) -> None:
        self.assertEqual(told.name_key("T1", 0), b'{"partition":0,"topic":"T1"}')
        self.assertNotEqual(told.registration_key("a"), told.registration_key("b"))


class TextsTest(unittest.TestCase):
    """The specification's table."""

    def test_texts(self) -> None:
        self.assertEqual(told.topic_created("T1", "P1"), "Topic:T1xP1 created successfully")
        self.assertEqual(told.topic_exists("T1", "P1"), "T1:P1 already exist")
        self.assertEqual(told.no_partitions("T1"), "T1 does not exist thus no partitions are available")
        self.assertEqual(told.produced("T1", "P1"), "T1xP1:Success")
        self.assertEqual(told.no_producer(7), "Producer:7 does not exist")
        self.assertEqual(told.no_consumer(7), "Consumer:7 does not exist")
        self.assertEqual(told.can_not_register("T1"), "T1 does not exist, thus can not register as consumer")
        self.assertEqual(told.can_not_register("T1", "P9"), "T1:P9 does not exist, thus can not register as consumer")
        self.assertEqual(told.empty_logs(0, "T1", "P1"), "Empty logs for Comsumer:0 for Topic:T1xP1")
        self.assertEqual(told.topic_and_part("T1", "P1"), "T1:P1")
        self.assertEqual(told.broker_added("broker1"), "successfully added broker1")
        self.assertEqual(told.broker_exists("broker1"), "broker1 already exist")
        self.assertEqual(told.broker_removed("broker1"), "Removed broker1")
        self.assertEqual(told.no_broker("broker1"), "broker1 does not exist")


if __name__ == "__main__":
    unittest.main()
