"""`wire.topic_names`: Kafka's rules."""

import unittest

from wire.topic_names import MAX_LENGTH, colliding, why_not_a_name


class TopicNamesTest(unittest.TestCase):
    def test_names(self) -> None:
        for name in ("a", "orders.eu-1_x", "...", "0", "__consumer_offsets", "x" * MAX_LENGTH):
            self.assertIsNone(why_not_a_name(name), name)

    def test_what_is_none(self) -> None:
        for name in ("", ".", "..", "a b", "a/b", "é", "a\n", "x" * (MAX_LENGTH + 1)):
            self.assertTrue((why_not_a_name(name) or "").startswith("Topic name is invalid"), name)

    def test_collisions(self) -> None:
        self.assertEqual(colliding("a.b", ["x", "a_b"]), "a_b")
        self.assertIsNone(colliding("a.b", ["a.b", "a-b"]))
