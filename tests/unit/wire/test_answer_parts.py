"""`wire.answer_parts`: the pieces; whole answers are held to kio by their own tests."""

import unittest

from wire.answer_parts import CurrentLeader, Endpoint, endpoints_tag, leader_tag, topic_head


class AnswerPartsTest(unittest.TestCase):
    def test_a_name_has_a_length_and_an_id_none(self) -> None:
        self.assertEqual(topic_head("ab", True), b"\x03ab")
        self.assertEqual(topic_head("ab", False), b"\x00\x02ab")
        self.assertEqual(topic_head(b"i" * 16, True), b"i" * 16)

    def test_a_leader_is_a_struct_in_a_tag(self) -> None:
        self.assertEqual(leader_tag(1, CurrentLeader(2, 3)), b"\x01\x09\0\0\0\x02\0\0\0\x03\0")

    def test_endpoints_are_an_array_in_a_tag_and_none_is_no_tag(self) -> None:
        self.assertEqual(endpoints_tag([]), b"\0")
        self.assertEqual(endpoints_tag([Endpoint(1, "h", 2)]), b"\x01\0\x0d\x02\0\0\0\x01\x02h\0\0\0\x02\0\0")
