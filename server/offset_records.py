"""The records of `__consumer_offsets` in Kafka's own schemas (group-coordinator/src/main/resources/common/message).

A key and a value begin with an int16 each. The key's says which kind of record it is: 0 and 1 a committed offset, 2 a
classic group, 3 and on the groups of other protocols. The value's is its schema's version. What is written is what
Kafka 4 writes: values of version 3, the last without tagged fields, and a committed offset with an expiry time of its
own (OffsetCommit 2 to 4 can ask for that) as version 1, which alone has one. Every version that Kafka 4 reads is read.

What holds: whatever the bytes, decoding returns or raises WireError. A value of None is a tombstone. The road not taken
is kio, which has the messages of the network only.
"""

from struct import Struct
from typing import Final, NamedTuple

from wire.primitives import Data, Reader, WireError, present

OFFSET_KEYS: Final = (0, 1)
GROUP_KEY: Final = 2
"""Kinds of records, by the version of their keys."""

HIGHEST_VALUE: Final = 4
"""The last version of both values that Kafka 4 knows, and the first flexible one (KIP-915)."""

WRITTEN_VALUE: Final = 3
EXPIRING_VALUE: Final = 1

MIN_MEMBER: Final = 18
"""Bytes of the smallest member of a group's value: three lengths of two bytes, two of four, and a session time-out."""

NO_TIME: Final = -1


class OffsetKey(NamedTuple):
    """What a committed offset is of."""

    group_id: str
    topic: str
    partition: int


class OffsetValue(NamedTuple):
    """A committed offset. Times are in ms since 1970; `expire_ms` -1 leaves the expiry to the retention setting."""

    offset: int
    leader_epoch: int
    metadata: str
    commit_ms: int
    expire_ms: int = NO_TIME


class GroupKey(NamedTuple):
    """Which classic group."""

    group_id: str


class StoredMember(NamedTuple):
    """One member of a stable group: `subscription` is its metadata for the protocol chosen."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    subscription: bytes
    assignment: bytes


class GroupValue(NamedTuple):
    """A classic group, as it is when an assignment is spread, or when nobody is left."""

    protocol_type: str
    generation: int
    protocol: str | None
    leader: str | None
    since_ms: int
    members: tuple[StoredMember, ...]


class OtherKey(NamedTuple):
    """A record of another kind, which whoever doesn't serve it passes over, as Kafka does after a downgrade."""

    kind: int


Key = OffsetKey | GroupKey | OtherKey
Value = OffsetValue | GroupValue


# --- writing -------------------------------------------------------------------------------------------------


def encode_key(key: OffsetKey | GroupKey) -> bytes:
    if isinstance(key, GroupKey):
        return _INT16.pack(GROUP_KEY) + _string(key.group_id)
    return b"".join((_INT16.pack(1), _string(key.group_id), _string(key.topic), _INT32.pack(key.partition)))


def encode_value(value: Value | None) -> bytes | None:
    """Raises struct.error for texts beyond 32 767 bytes, which limits on what is accepted rule out."""
    if value is None:
        return None
    return _encode_offset(value) if isinstance(value, OffsetValue) else _encode_group(value)


def _encode_offset(value: OffsetValue) -> bytes:
    if value.expire_ms == NO_TIME:
        head = _OFFSET_3.pack(WRITTEN_VALUE, value.offset, value.leader_epoch)
        return head + _string(value.metadata) + _INT64.pack(value.commit_ms)
    head = _OFFSET_1.pack(EXPIRING_VALUE, value.offset)
    return head + _string(value.metadata) + _INT64.pack(value.commit_ms) + _INT64.pack(value.expire_ms)


def _encode_group(value: GroupValue) -> bytes:
    parts = [
        _INT16.pack(WRITTEN_VALUE),
        _string(value.protocol_type),
        _INT32.pack(value.generation),
        _string(value.protocol),
        _string(value.leader),
        _INT64.pack(value.since_ms),
        _INT32.pack(len(value.members)),
    ]
    for member in value.members:
        parts += [_string(text) for text in member[:4]]
        parts += (_INT32.pack(member.rebalance_timeout_ms), _INT32.pack(member.session_timeout_ms))
        parts += (_bytes(member.subscription), _bytes(member.assignment))
    return b"".join(parts)


def _string(value: str | None) -> bytes:
    if value is None:
        return b"\xff\xff"
    raw = value.encode()
    return _INT16.pack(len(raw)) + raw


def _bytes(value: bytes) -> bytes:
    return _INT32.pack(len(value)) + value


# --- reading -------------------------------------------------------------------------------------------------


def decode_key(data: Data) -> Key:
    """The key of any record of the topic. Raises WireError."""
    reader = Reader(data)
    kind = reader.int16()
    if kind in OFFSET_KEYS:
        key = OffsetKey(present(reader.legacy_string()), present(reader.legacy_string()), reader.int32())
    elif kind == GROUP_KEY:
        key = GroupKey(present(reader.legacy_string()))
    else:
        return OtherKey(kind)
    reader.expect_end()
    return key


def decode_offset(data: Data) -> OffsetValue:
    """The value of an OffsetKey. Raises WireError."""
    reader, version = _versioned(data)
    offset = reader.int64()
    epoch = reader.int32() if version >= 3 else -1
    metadata = present(_read_string(reader, version))
    commit_ms = reader.int64()
    expire_ms = reader.int64() if version == 1 else NO_TIME
    _finish(reader, version)
    return OffsetValue(offset, epoch, metadata, commit_ms, expire_ms)


def decode_group(data: Data) -> GroupValue:
    """The value of a GroupKey. Raises WireError."""
    reader, version = _versioned(data)
    protocol_type = present(_read_string(reader, version))
    generation = reader.int32()
    protocol, leader = _read_string(reader, version), _read_string(reader, version)
    since_ms = reader.int64() if version >= 2 else NO_TIME
    flexible = version >= HIGHEST_VALUE
    count = present(reader.compact_count(13) if flexible else reader.count(MIN_MEMBER))
    members = tuple([_read_member(reader, version) for _ in range(count)])
    _finish(reader, version)
    return GroupValue(protocol_type, generation, protocol, leader, since_ms, members)


def _read_member(reader: Reader, version: int) -> StoredMember:
    member_id = present(_read_string(reader, version))
    instance_id = _read_string(reader, version) if version >= 3 else None
    client_id, client_host = present(_read_string(reader, version)), present(_read_string(reader, version))
    rebalance_ms = reader.int32() if version >= 1 else -1
    session_ms = reader.int32()
    member = StoredMember(
        member_id,
        instance_id,
        client_id,
        client_host,
        session_ms if rebalance_ms == -1 else rebalance_ms,
        session_ms,
        _read_bytes(reader, version),
        _read_bytes(reader, version),
    )
    if version >= HIGHEST_VALUE:
        reader.skip_tags()
    return member


def _versioned(data: Data) -> tuple[Reader, int]:
    reader = Reader(data)
    version = reader.int16()
    if not 0 <= version <= HIGHEST_VALUE:
        raise WireError(f"a value of version {version}, where 0 to {HIGHEST_VALUE} are known")
    return reader, version


def _finish(reader: Reader, version: int) -> None:
    if version >= HIGHEST_VALUE:
        reader.skip_tags()
    reader.expect_end()


def _read_string(reader: Reader, version: int) -> str | None:
    return reader.compact_string() if version >= HIGHEST_VALUE else reader.legacy_string()


def _read_bytes(reader: Reader, version: int) -> bytes:
    return bytes(present(reader.compact_view() if version >= HIGHEST_VALUE else reader.legacy_view()))


_INT16: Final = Struct(">h")
_INT32: Final = Struct(">i")
_INT64: Final = Struct(">q")
_OFFSET_1: Final = Struct(">hq")
_OFFSET_3: Final = Struct(">hqi")
