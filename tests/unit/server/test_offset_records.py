"""`server.offset_records`: there and back, Kafka's bytes, every version that is read, and hostile ones."""

import unittest
from struct import pack

from hypothesis import given
from hypothesis import strategies as st

from server.offset_records import (
    GroupKey,
    GroupValue,
    OffsetKey,
    OffsetValue,
    OtherKey,
    StoredMember,
    decode_group,
    decode_key,
    decode_offset,
    encode_key,
    encode_value,
)
from wire.primitives import WireError

INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=20)
MEMBERS = st.builds(
    StoredMember, TEXT, st.none() | TEXT, TEXT, TEXT, st.integers(0, 2**31 - 1), INT32, st.binary(), st.binary()
)
GROUPS = st.builds(
    GroupValue, TEXT, INT32, st.none() | TEXT, st.none() | TEXT, INT64, st.lists(MEMBERS, max_size=3).map(tuple)
)
OFFSETS = st.builds(OffsetValue, INT64, INT32, TEXT, INT64, st.just(-1))


class ThereAndBackTest(unittest.TestCase):
    @given(st.builds(OffsetKey, TEXT, TEXT, INT32) | st.builds(GroupKey, TEXT))
    def test_keys(self, key: OffsetKey | GroupKey) -> None:
        self.assertEqual(decode_key(encode_key(key)), key)

    @given(OFFSETS)
    def test_offsets(self, value: OffsetValue) -> None:
        self.assertEqual(decode_offset(encode_value(value) or b""), value)

    @given(st.builds(OffsetValue, INT64, st.just(-1), TEXT, INT64, st.integers(0, 2**63 - 1)))
    def test_offsets_with_an_expiry_of_their_own(self, value: OffsetValue) -> None:
        self.assertEqual(decode_offset(encode_value(value) or b""), value)

    @given(GROUPS)
    def test_groups(self, value: GroupValue) -> None:
        self.assertEqual(decode_group(encode_value(value) or b""), value)

    def test_a_tombstone(self) -> None:
        self.assertIsNone(encode_value(None))


class KafkasBytesTest(unittest.TestCase):
    """Spelt out from OffsetCommitKey.json, OffsetCommitValue.json and their twins GroupMetadata….json."""

    def test_keys(self) -> None:
        self.assertEqual(encode_key(OffsetKey("grp", "top", 5)), b"\0\1\0\3grp\0\3top\0\0\0\5")
        self.assertEqual(encode_key(GroupKey("grp")), b"\0\2\0\3grp")
        self.assertEqual(decode_key(b"\0\0\0\3grp\0\3top\0\0\0\5"), OffsetKey("grp", "top", 5))
        self.assertEqual(decode_key(b"\0\3whatever comes later"), OtherKey(3))

    def test_an_offset_in_every_version(self) -> None:
        rest = b"\0\2me" + pack(">q", 9)
        self.assertEqual(encode_value(OffsetValue(7, 3, "me", 9)), b"\0\3" + pack(">qi", 7, 3) + rest)
        self.assertEqual(decode_offset(b"\0\0" + pack(">q", 7) + rest), OffsetValue(7, -1, "me", 9))
        self.assertEqual(
            decode_offset(b"\0\1" + pack(">q", 7) + rest + pack(">q", 11)), OffsetValue(7, -1, "me", 9, 11)
        )
        self.assertEqual(decode_offset(b"\0\2" + pack(">q", 7) + rest), OffsetValue(7, -1, "me", 9))
        flexible = b"\0\4" + pack(">qi", 7, 3) + b"\3me" + pack(">q", 9) + b"\1\5\2??"  # with a tag that nobody knows
        self.assertEqual(decode_offset(flexible), OffsetValue(7, 3, "me", 9))

    def test_a_group_in_every_version(self) -> None:
        head = b"\0\1t" + pack(">i", 4) + b"\0\1p\0\1l"
        ids, tail = b"\0\1c\0\1h", pack(">i", 6) + b"\0\0\0\1s\0\0\0\1a"
        old = StoredMember("m", None, "c", "h", 6, 6, b"s", b"a")
        one = pack(">i", 1) + b"\0\1m"
        self.assertEqual(decode_group(b"\0\0" + head + one + ids + tail), GroupValue("t", 4, "p", "l", -1, (old,)))
        newer = old._replace(rebalance_timeout_ms=8)
        tail = pack(">i", 8) + tail
        self.assertEqual(decode_group(b"\0\1" + head + one + ids + tail), GroupValue("t", 4, "p", "l", -1, (newer,)))
        since = pack(">q", 5)
        found = decode_group(b"\0\2" + head + since + one + ids + tail)
        self.assertEqual(found, GroupValue("t", 4, "p", "l", 5, (newer,)))
        static = newer._replace(instance_id="i")
        written = b"\0\3" + head + since + one + b"\0\1i" + ids + tail
        value = GroupValue("t", 4, "p", "l", 5, (static,))
        self.assertEqual(encode_value(value), written)
        self.assertEqual(decode_group(written), value)
        member = b"\2m\2i\2c\2h" + pack(">ii", 8, 6) + b"\2s\2a\0"
        self.assertEqual(decode_group(b"\0\4\2t" + pack(">i", 4) + b"\2p\2l" + since + b"\2" + member + b"\0"), value)


class HostileTest(unittest.TestCase):
    @given(st.binary(max_size=100) | GROUPS.map(lambda value: encode_value(value) or b""), st.data())
    def test_whatever_the_bytes(self, raw: bytes, data: st.DataObject) -> None:
        raw = raw[: data.draw(st.integers(0, len(raw)))]
        for decode in (decode_key, decode_offset, decode_group):
            try:
                decode(raw)
            except WireError:
                continue

    def test_versions_from_the_future_and_bytes_behind_the_end(self) -> None:
        self.assertRaises(WireError, decode_offset, b"\0\5" + bytes(40))
        self.assertRaises(WireError, decode_key, b"\0\2\0\1gx")
