"""Produce requests, 3 to 13, by hand: their records stay views of the frame that they came in.

The problem: this is the way of every message, and the general one (`wire.messages`) takes three times as long and
copies the records. Most requests are of one shape, no transaction, one topic and one partition, which two structs
around the topic's name read in 1.4 to 1.9 us; any other takes the bounded reader, from 3.5 us on. Both must take the
same bytes for the same request: a property test holds them to kio and to each other, harmed bytes included.

Versions: 9 is flexible, 13 has topic ids instead of names; the others differ in their answers only.
"""

from struct import Struct
from struct import error as StructError
from typing import Final, NamedTuple

from wire.answer_parts import Topic
from wire.primitives import MAX_UVARINT_SIZE, Reader, present

FLEXIBLE_FROM: Final = 9
IDS_FROM: Final = 13


class ProducedPartition(NamedTuple):
    """What a request has for one partition. The view is of the frame: it holds the receive buffer while it lives."""

    partition: int
    records: memoryview | None


class ProducedTopic(NamedTuple):
    topic: Topic
    partitions: list[ProducedPartition]


class ProduceRequest(NamedTuple):
    transactional_id: str | None
    acks: int
    timeout_ms: int
    topics: list[ProducedTopic]


def read_produce(version: int, frame: memoryview, at: int) -> ProduceRequest:
    """The request whose body begins at `at`; bytes behind it are skipped (`wire.messages.decode`). Raises WireError."""
    return _USUAL[version](frame, at) or _read_any(version, frame, at)


def _read_any(version: int, frame: memoryview, at: int) -> ProduceRequest:
    reader = Reader(frame, at)
    flexible = version >= FLEXIBLE_FROM
    transactional_id = reader.compact_string() if flexible else reader.legacy_string()
    acks, timeout_ms = reader.fields(_ACKS)
    if flexible:
        topics = _compact_topics(reader, version >= IDS_FROM)
        reader.skip_tags()
    else:
        topics = _legacy_topics(reader)
    return ProduceRequest(transactional_id, acks, timeout_ms, topics)


def _compact_topics(reader: Reader, ids: bool) -> list[ProducedTopic]:
    topics: list[ProducedTopic] = []
    for _ in range(present(reader.compact_count(3))):
        topic = reader.raw_uuid() if ids else present(reader.compact_string())
        partitions: list[ProducedPartition] = []
        for _ in range(present(reader.compact_count(6))):
            partition = reader.int32()
            partitions.append(ProducedPartition(partition, reader.compact_view()))
            reader.skip_tags()
        reader.skip_tags()
        topics.append(ProducedTopic(topic, partitions))
    return topics


def _legacy_topics(reader: Reader) -> list[ProducedTopic]:
    topics: list[ProducedTopic] = []
    for _ in range(present(reader.count(6))):
        topic = present(reader.legacy_string())
        partitions: list[ProducedPartition] = []
        for _ in range(present(reader.count(8))):
            partition = reader.int32()
            partitions.append(ProducedPartition(partition, reader.legacy_view()))
        topics.append(ProducedTopic(topic, partitions))
    return topics


# --- the usual request: no transaction, one topic, one partition, no tags; None if it is another -----------


def _usual_3(frame: memoryview, at: int) -> ProduceRequest | None:
    try:
        no_transaction, acks, timeout_ms, topics, size = _USUAL_3.unpack_from(frame, at)
        if no_transaction != -1 or topics != 1 or size < 0:
            return None
        name_at = at + _USUAL_3.size
        partitions, partition, records_size = _ONE_3.unpack_from(frame, name_at + size)
        topic = str(frame[name_at : name_at + size], "utf-8")
    except (StructError, UnicodeDecodeError):
        return None
    records_at = name_at + size + _ONE_3.size
    if partitions != 1 or records_size != len(frame) - records_at:
        return None
    return _one(acks, timeout_ms, topic, partition, frame[records_at:])


def _usual_9(frame: memoryview, at: int) -> ProduceRequest | None:
    try:
        transaction, acks, timeout_ms, topics, size = _USUAL_9.unpack_from(frame, at)
        if transaction or topics != 2 or not 0 < size < 0x80:
            return None
        name_at = at + _USUAL_9.size
        name_end = name_at + size - 1
        partitions, partition = _ONE_9.unpack_from(frame, name_end)
        topic = str(frame[name_at:name_end], "utf-8")
    except (StructError, UnicodeDecodeError):
        return None
    records = _usual_records(frame, name_end + _ONE_9.size)
    return None if records is None or partitions != 2 else _one(acks, timeout_ms, topic, partition, records)


def _usual_13(frame: memoryview, at: int) -> ProduceRequest | None:
    try:
        transaction, acks, timeout_ms, topics, topic, partitions, partition = _USUAL_13.unpack_from(frame, at)
    except StructError:
        return None
    if transaction or topics != 2 or partitions != 2:
        return None
    records = _usual_records(frame, at + _USUAL_13.size)
    return None if records is None else _one(acks, timeout_ms, topic, partition, records)


def _usual_records(frame: memoryview, at: int) -> memoryview | None:
    """The compact records at `at`, if nothing follows them but three times no tags."""
    end = len(frame) - 3
    size, shift = 0, 0
    for byte in frame[at : min(at + MAX_UVARINT_SIZE, end)]:
        at += 1
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    else:
        return None
    if at + size - 1 != end or frame[end] or frame[end + 1] or frame[end + 2]:
        return None
    return frame[at:end]


def _one(acks: int, timeout_ms: int, topic: Topic, partition: int, records: memoryview) -> ProduceRequest:
    return ProduceRequest(None, acks, timeout_ms, [ProducedTopic(topic, [ProducedPartition(partition, records)])])


_USUAL: Final = {
    **dict.fromkeys(range(3, 9), _usual_3),
    **dict.fromkeys(range(9, 13), _usual_9),
    13: _usual_13,
}
_ACKS: Final = Struct(">hi")
_USUAL_3: Final = Struct(">hhiih")
_ONE_3: Final = Struct(">iii")
_USUAL_9: Final = Struct(">BhiBB")
_ONE_9: Final = Struct(">Bi")
_USUAL_13: Final = Struct(">BhiB16sBi")
