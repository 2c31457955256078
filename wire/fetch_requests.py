"""Fetch requests, 4 to 18, by hand: consumers and followers ask thousands of times a second, mostly for one partition.

That usual shape, one topic and one partition with nothing else, is read by two structs around the topic's name (1.5 to
2.2 us); any other takes the bounded reader (from 4 us on, 0.45 us for each further partition). Both must take the same
bytes for the same request: a property test holds them to kio and to each other, harmed bytes included.

Versions: 5 adds the log start offset, 7 sessions (KIP-227), 9 the leader's epoch (KIP-320), 11 racks (KIP-392), 12 is
flexible and tells the last fetched epoch (KIP-595), 13 has topic ids, 15 moves the replica's id into a tag (KIP-903),
17 and 18 are the followers' own (directory id, high watermark).
"""

from collections.abc import Callable, Sequence
from struct import Struct
from struct import error as StructError
from typing import Final, NamedTuple

from wire.answer_parts import Topic
from wire.primitives import Reader, WireError, present

SESSIONS_FROM: Final = 7
RACK_FROM: Final = 11
FLEXIBLE_FROM: Final = 12
IDS_FROM: Final = 13
REPLICA_STATE_FROM: Final = 15

CONSUMER: Final = -1
"""The replica id of whoever isn't a follower."""

NO_HIGH_WATERMARK: Final = 2**63 - 1
"""What a follower that doesn't tell its high watermark is taken to have (KIP-1166)."""


SYNCED_END_TAG: Final = 10_000
"""Our own tags start here; who doesn't know them skips them (KIP-482)."""

UNKNOWN_SYNCED_END: Final = -1


class FetchedPartition(NamedTuple):
    """What is asked of one partition; -1 stands for "not told"."""

    partition: int
    leader_epoch: int
    fetch_offset: int
    last_fetched_epoch: int
    log_start_offset: int
    max_bytes: int
    high_watermark: int = NO_HIGH_WATERMARK
    directory_id: bytes | None = None
    synced_end: int = UNKNOWN_SYNCED_END
    """A follower's own: below it all is on its disk (cluster-rules R1). Kafka has no such field: our tag."""


class FetchedTopic(NamedTuple):
    topic: Topic
    partitions: list[FetchedPartition]


class FetchRequest(NamedTuple):
    """`session_id` 0 with `session_epoch` -1 is a request outside of any session, as are all before version 7."""

    replica_id: int
    replica_epoch: int
    max_wait_ms: int
    min_bytes: int
    max_bytes: int
    isolation_level: int
    session_id: int
    session_epoch: int
    topics: list[FetchedTopic]
    forgotten: list[tuple[Topic, tuple[int, ...]]]
    rack_id: str
    cluster_id: str | None


def read_fetch(version: int, frame: memoryview, at: int) -> FetchRequest:
    """The request whose body begins at `at`; bytes behind it are skipped (`wire.messages.decode`). Raises WireError."""
    return _USUAL[version](version, frame, at) or _read_any(version, frame, at)


def _read_any(version: int, frame: memoryview, at: int) -> FetchRequest:
    reader = Reader(frame, at)
    flexible = version >= FLEXIBLE_FROM
    replica_id, limits = _head(version, reader.fields(_HEADS[version]))
    topics = _compact_topics(reader, version) if flexible else _legacy_topics(reader, version)
    forgotten = _forgotten(reader, version) if version >= SESSIONS_FROM else []
    rack_id = _rack(reader, flexible) if version >= RACK_FROM else ""
    cluster_id, replica_epoch = None, -1
    if flexible:
        cluster_id, replica_id, replica_epoch = _request_tags(reader, version, replica_id)
    return FetchRequest._make((replica_id, replica_epoch, *limits, topics, forgotten, rack_id, cluster_id))


def _head(version: int, fields: Sequence[int]) -> tuple[int, Sequence[int]]:
    """The replica's id, and the limits with the session."""
    if version >= REPLICA_STATE_FROM:
        return CONSUMER, fields
    return fields[0], fields[1:] if version >= SESSIONS_FROM else (*fields[1:], 0, -1)


def _legacy_topics(reader: Reader, version: int) -> list[FetchedTopic]:
    layout, expand = _LEGACY_PARTITION[version]
    topics: list[FetchedTopic] = []
    for _ in range(present(reader.count(6))):
        topic = present(reader.legacy_string())
        count = present(reader.count(layout.size))
        partitions = [expand(*fields) for fields in layout.iter_unpack(reader.slice(count * layout.size))]
        topics.append(FetchedTopic(topic, partitions))
    return topics


def _expand_4(partition: int, offset: int, max_bytes: int) -> FetchedPartition:
    return FetchedPartition(partition, -1, offset, -1, -1, max_bytes)


def _expand_5(partition: int, offset: int, log_start: int, max_bytes: int) -> FetchedPartition:
    return FetchedPartition(partition, -1, offset, -1, log_start, max_bytes)


def _expand_9(partition: int, epoch: int, offset: int, log_start: int, max_bytes: int) -> FetchedPartition:
    return FetchedPartition(partition, epoch, offset, -1, log_start, max_bytes)


def _compact_topics(reader: Reader, version: int) -> list[FetchedTopic]:
    ids = version >= IDS_FROM
    known_tags = max(0, version - 16)  # 17 brought tag 0, 18 tag 1
    topics: list[FetchedTopic] = []
    for _ in range(present(reader.compact_count(3))):
        topic = reader.raw_uuid() if ids else present(reader.compact_string())
        partitions = _partitions(reader, present(reader.compact_count(_UNTAGGED.size)), known_tags)
        reader.skip_tags()
        topics.append(FetchedTopic(topic, partitions))
    return topics


def _partitions(reader: Reader, count: int, known_tags: int) -> list[FetchedPartition]:
    """All at once if none has tags, as a consumer's don't: 0.45 us each, a third of what they take one by one."""
    if count > 1:
        start = reader.at
        rows = _UNTAGGED.iter_unpack(reader.slice(count * _UNTAGGED.size))
        partitions = [FetchedPartition._make(row[:-1] + _NO_TAGS) for row in rows if not row[-1]]
        if len(partitions) == count:
            return partitions
        reader.at = start
    return [_partition(reader, known_tags) for _ in range(count)]


def _partition(reader: Reader, known_tags: int) -> FetchedPartition:
    fields = reader.fields(_PARTITION)
    count = reader.tag_count()
    if not count:
        return FetchedPartition._make(fields + _NO_TAGS)
    high_watermark, directory_id, synced_end = NO_HIGH_WATERMARK, None, UNKNOWN_SYNCED_END
    for _ in range(count):
        tag, end = reader.tag()
        if tag == SYNCED_END_TAG:
            synced_end = reader.int64()
        elif tag >= known_tags:
            reader.at = end
        elif tag == 0:
            directory_id = reader.raw_uuid()
        else:
            high_watermark = reader.int64()
        _expect_end_of_tag(reader, end)
    return FetchedPartition._make((*fields, high_watermark, directory_id, synced_end))


def _forgotten(reader: Reader, version: int) -> list[tuple[Topic, tuple[int, ...]]]:
    forgotten: list[tuple[Topic, tuple[int, ...]]] = []
    flexible = version >= FLEXIBLE_FROM
    for _ in range(present(reader.compact_count(3) if flexible else reader.count(6))):
        if version >= IDS_FROM:
            topic: Topic = reader.raw_uuid()
        else:
            topic = present(reader.compact_string() if flexible else reader.legacy_string())
        count = present(reader.compact_count(4) if flexible else reader.count(4))
        partitions = tuple([reader.int32() for _ in range(count)])
        if flexible:
            reader.skip_tags()
        forgotten.append((topic, partitions))
    return forgotten


def _rack(reader: Reader, flexible: bool) -> str:
    return present(reader.compact_string() if flexible else reader.legacy_string())


def _request_tags(reader: Reader, version: int, replica_id: int) -> tuple[str | None, int, int]:
    """(cluster id, replica id, replica epoch)."""
    cluster_id, replica_epoch = None, -1
    for _ in range(reader.tag_count()):
        tag, end = reader.tag()
        if tag == 0:
            cluster_id = reader.compact_string()
        elif tag == 1 and version >= REPLICA_STATE_FROM:
            replica_id, replica_epoch = reader.fields(_REPLICA_STATE)
            reader.skip_tags()
        else:
            reader.at = end
        _expect_end_of_tag(reader, end)
    return cluster_id, replica_id, replica_epoch


def _expect_end_of_tag(reader: Reader, end: int) -> None:
    if reader.at != end:
        raise WireError("a tagged field of another size than its own")


# --- the usual request: one topic, one partition, nothing else; None if it is another ----------------------


def _usual_4(version: int, frame: memoryview, at: int) -> FetchRequest | None:
    head_layout, tail_layout = _USUAL_LAYOUTS[version]
    try:
        *head, topics, size = head_layout.unpack_from(frame, at)
        start = at + head_layout.size
        if topics != 1 or size < 0 or start + size + tail_layout.size != len(frame):
            return None
        partitions, *fields, ends = tail_layout.unpack_from(frame, start + size)
        topic = str(frame[start : start + size], "utf-8")
    except (StructError, UnicodeDecodeError):
        return None
    if partitions != 1 or any(ends):
        return None
    return _one(version, head, topic, _LEGACY_PARTITION[version][1](*fields))


def _usual_12(version: int, frame: memoryview, at: int) -> FetchRequest | None:
    head_layout, tail_layout = _USUAL_LAYOUTS[version]
    try:
        *head, topics, size = head_layout.unpack_from(frame, at)
        start = at + head_layout.size
        end = start + size - 1
        if topics != 2 or not 0 < size < 0x80 or end + tail_layout.size != len(frame):
            return None
        partitions, *fields, ends = tail_layout.unpack_from(frame, end)
        topic = str(frame[start:end], "utf-8")
    except (StructError, UnicodeDecodeError):
        return None
    if partitions != 2 or ends != _COMPACT_ENDS:
        return None
    return _one(version, head, topic, FetchedPartition._make((*fields, *_NO_TAGS)))


def _usual_13(version: int, frame: memoryview, at: int) -> FetchRequest | None:
    layout, _ = _USUAL_LAYOUTS[version]
    if at + layout.size != len(frame):
        return None
    *head, topics, topic, partitions, one, epoch, offset, fetched, start, most, ends = layout.unpack_from(frame, at)
    if topics != 2 or partitions != 2 or ends != _COMPACT_ENDS:
        return None
    return _one(version, head, topic, FetchedPartition(one, epoch, offset, fetched, start, most))


def _one(version: int, head: Sequence[int], topic: Topic, partition: FetchedPartition) -> FetchRequest:
    replica_id, limits = _head(version, head)
    return FetchRequest._make((replica_id, -1, *limits, [FetchedTopic(topic, [partition])], [], "", None))


_REPLICA_STATE: Final = Struct(">iq")
_PARTITION: Final = Struct(">iiqiqi")
_UNTAGGED: Final = Struct(">iiqiqiB")
_NO_TAGS: Final = (NO_HIGH_WATERMARK, None, UNKNOWN_SYNCED_END)
_COMPACT_ENDS: Final = b"\x00\x00\x01\x01\x00"  # partition's and topic's no tags, none forgotten, no rack, no tags

_HEAD_CODES: Final = {  # (replica id,) max wait, min bytes, max bytes, isolation level (, session id and epoch)
    **dict.fromkeys((4, 5, 6), ">iiiib"),
    **dict.fromkeys(range(7, 15), ">iiiibii"),
    **dict.fromkeys(range(15, 19), ">iiibii"),
}
_HEADS: Final = {version: Struct(codes) for version, codes in _HEAD_CODES.items()}
_LEGACY_PARTITION: Final[dict[int, tuple[Struct, Callable[..., FetchedPartition]]]] = {
    4: (Struct(">iqi"), _expand_4),
    **dict.fromkeys((5, 6, 7, 8), (Struct(">iqqi"), _expand_5)),
    **dict.fromkeys((9, 10, 11), (Struct(">iiqqi"), _expand_9)),
}
_USUAL: Final = {
    **dict.fromkeys(range(4, 12), _usual_4),
    12: _usual_12,
    **dict.fromkeys(range(13, 19), _usual_13),
}


def _usual_layouts(version: int) -> tuple[Struct, Struct]:
    """What stands before a topic's name, and what behind it; with an id all is before."""
    head = _HEAD_CODES[version]
    if version >= IDS_FROM:
        return Struct(head + "B16sB" + "iiqiqi" + "5s"), Struct("")
    if version == FLEXIBLE_FROM:
        return Struct(head + "BB"), Struct(">B" + "iiqiqi" + "5s")
    ends = 6 if version >= RACK_FROM else 4 if version >= SESSIONS_FROM else 0
    return Struct(head + "ih"), Struct(">i" + _LEGACY_PARTITION[version][0].format[1:] + f"{ends}s")


_USUAL_LAYOUTS: Final = {version: _usual_layouts(version) for version in _HEAD_CODES}
