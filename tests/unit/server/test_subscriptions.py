"""`server.subscriptions`: topics in a consumer's metadata, as clients write it."""

import unittest

from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from hypothesis import given
from hypothesis import strategies as st

from server.subscriptions import subscribed_topics


class SubscribedTopicsTest(unittest.TestCase):
    def test_as_another_client_writes_them(self) -> None:
        written = [ConsumerProtocolMemberMetadata(0, topics, b"data").encode() for topics in (["t", "u"], ["v"], [])]
        self.assertEqual(subscribed_topics(written), {"t", "u", "v"})

    def test_later_versions_begin_alike(self) -> None:
        raw = bytes.fromhex("0003 00000001 0001 74 ffffffff 00000000 00000005 ffff")
        self.assertEqual(subscribed_topics([raw]), {"t"})

    @given(st.lists(st.binary(max_size=30)))
    def test_what_can_t_be_read_is_not_known(self, metadata: list[bytes]) -> None:
        found = subscribed_topics(metadata)
        self.assertTrue(found is None or isinstance(found, frozenset))
        self.assertIsNone(subscribed_topics([*metadata, b"\0\0\xff\xff"]))
