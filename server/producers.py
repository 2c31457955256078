"""Idempotent producers: nothing twice, nothing out of order (KIP-98; Kafka's ProducerStateManager).

The problem: a producer whose answer got lost sends its batch again. So each of its batches has a sequence number for
each partition, and the partition remembers the last five batches of every producer, as many as a client may have under
way (`max.in.flight.requests.per.connection`): a batch that it knows is answered with the offset it got then, one that
continues the sequence is appended, all else is refused.

What holds: the state is a function of the log's batches in order, so that a follower, a recovery or a truncation comes
to the same by replaying the batches behind a snapshot. That is why `check` changes nothing and only `appended` does,
and why expiry goes by the batches' own times. The road not taken: to remember batches by content; a producer's second
try may be compressed differently.
"""

from collections.abc import Iterator, Mapping
from struct import Struct
from struct import error as StructError
from typing import Final, NamedTuple, Protocol

from wire.batches import MAX_SEQUENCE, NO_PRODUCER, BatchHeader, crc32c
from wire.errors import ErrorCode
from wire.primitives import Data

REMEMBERED_BATCHES: Final = 5
"""As Kafka's ProducerStateEntry.NUM_BATCHES_TO_RETAIN; clients keep no more under way."""

SNAPSHOT_VERSION: Final = 1


class ProducerError(Exception):
    """A batch that doesn't continue its producer's sequence. `code` is Kafka's answer to it."""

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class SnapshotError(Exception):
    """A snapshot that was written by nobody, or not to its end."""


class Remembered(NamedTuple):
    """One batch that was appended; what its duplicate is answered with."""

    first_sequence: int
    last_sequence: int
    base_offset: int
    last_offset: int
    timestamp_ms: int


class Policy(Protocol):
    """How one producer's batches are told from its duplicates. Kafka's is one; others may trim overlaps, say."""

    kind: int
    """Its number in snapshots, for ever."""

    def check(self, header: BatchHeader, known: "Producer") -> Remembered | None:
        """None if the batch may be appended, or the one that it repeats. Changes nothing. Raises ProducerError."""
        ...


class Producer:
    """One producer's newest batches, the oldest first, all of one epoch, and who decides about the next."""

    __slots__ = ("batches", "epoch", "policy")

    def __init__(self, epoch: int, batches: tuple[Remembered, ...], policy: Policy) -> None:
        self.epoch = epoch
        self.batches = batches
        self.policy = policy

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Producer) and self._facts() == other._facts()

    __hash__ = None  # type: ignore[assignment]

    def _facts(self) -> tuple[int, tuple[Remembered, ...], int]:
        return self.epoch, self.batches, self.policy.kind


class KafkaPolicy:
    """The last five batches by their sequence numbers; the next must continue them, or begin a new epoch at 0."""

    kind = 0

    def check(self, header: BatchHeader, known: Producer) -> Remembered | None:
        if header.producer_epoch != known.epoch:
            return _check_new_epoch(header, known)
        for batch in known.batches:
            if batch.first_sequence == header.base_sequence and batch.last_sequence == header.last_sequence:
                return batch
        return _check_sequence(header, known)


KAFKA: Final = KafkaPolicy()
POLICIES: Final[Mapping[int, Policy]] = {KAFKA.kind: KAFKA}


class Producers:
    """The producers of one partition."""

    __slots__ = ("_producers",)

    def __init__(self) -> None:
        self._producers: dict[int, Producer] = {}

    def __len__(self) -> int:
        return len(self._producers)

    def __iter__(self) -> Iterator[tuple[int, Producer]]:
        return iter(self._producers.items())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Producers) and self._producers == other._producers

    __hash__ = None  # type: ignore[assignment]

    def check(self, header: BatchHeader) -> Remembered | None:
        """None if the batch may be appended, or the batch that it repeats. Raises ProducerError.

        A duplicate is answered with success only once what it repeats may be (R1). A producer that isn't known may
        begin anywhere: its state may have expired.
        """
        if header.producer_id == NO_PRODUCER:
            return None
        known = self._producers.get(header.producer_id)
        if known is None:
            return None
        return known.policy.check(header, known)

    def appended(self, header: BatchHeader, base_offset: int) -> None:
        """The batch of `header` now stands at `base_offset`. Control batches and unnumbered ones don't count."""
        if header.producer_id == NO_PRODUCER or header.base_sequence < 0:
            return
        batch = Remembered(
            header.base_sequence,
            header.last_sequence,
            base_offset,
            base_offset + header.last_offset_delta,
            header.max_timestamp_ms,
        )
        known = self._producers.get(header.producer_id)
        if known is None or known.epoch != header.producer_epoch:
            policy = KAFKA if known is None else known.policy
            self._producers[header.producer_id] = Producer(header.producer_epoch, (batch,), policy)
        else:
            known.batches = (*known.batches[1 - REMEMBERED_BATCHES :], batch)

    def expire(self, now_ms: int, after_ms: int) -> None:
        """Forget who wrote nothing for `after_ms` (`producer.id.expiration.ms`)."""
        silent = [key for key, known in self._producers.items() if now_ms - known.batches[-1].timestamp_ms >= after_ms]
        for key in silent:
            del self._producers[key]

    def last_offsets(self) -> frozenset[int]:
        """The last offset of each producer's last batch: compaction keeps these batches, emptied if need be."""
        return frozenset(known.batches[-1].last_offset for known in self._producers.values())

    # --- snapshots ---------------------------------------------------------------------------------------------

    def to_snapshot(self) -> bytes:
        parts = [_HEAD.pack(SNAPSHOT_VERSION, len(self._producers))]
        for key, known in self._producers.items():
            parts.append(_PRODUCER.pack(key, known.epoch, known.policy.kind, len(known.batches)))
            parts += [_BATCH.pack(*batch) for batch in known.batches]
        body = b"".join(parts)
        return body + _CRC.pack(crc32c(body, 0, len(body)))

    @classmethod
    def from_snapshot(cls, data: Data) -> "Producers":
        """What `to_snapshot` wrote. Raises SnapshotError."""
        end = len(data) - _CRC.size
        if end < _HEAD.size or _CRC.unpack_from(data, end)[0] != crc32c(data, 0, end):
            raise SnapshotError("a snapshot of producers whose CRC isn't that of its bytes")
        version, count = _HEAD.unpack_from(data)
        if version != SNAPSHOT_VERSION:
            raise SnapshotError(f"a snapshot of version {version}")
        try:
            return cls._read(data, count)
        except (StructError, KeyError) as error:
            raise SnapshotError(f"a snapshot with {error!r}") from None

    @classmethod
    def _read(cls, data: Data, count: int) -> "Producers":
        found, at = cls(), _HEAD.size
        for _ in range(count):
            key, epoch, kind, batches = _PRODUCER.unpack_from(data, at)
            at += _PRODUCER.size
            starts = range(at, at + batches * _BATCH.size, _BATCH.size)
            known = tuple(Remembered._make(_BATCH.unpack_from(data, start)) for start in starts)
            found._producers[key] = Producer(epoch, known, POLICIES[kind])
            at += batches * _BATCH.size
        return found


def _check_new_epoch(header: BatchHeader, known: Producer) -> None:
    if header.producer_epoch < known.epoch:
        raise ProducerError(
            ErrorCode.INVALID_PRODUCER_EPOCH, f"epoch {header.producer_epoch}, where {known.epoch} was seen"
        )
    if header.base_sequence != 0:
        raise _out_of_order(f"a new epoch that begins with sequence number {header.base_sequence}")


def _check_sequence(header: BatchHeader, known: Producer) -> None:
    expected = (known.batches[-1].last_sequence + 1) & MAX_SEQUENCE
    if header.base_sequence != expected:
        raise _out_of_order(f"sequence number {header.base_sequence}, where {expected} was expected")


def _out_of_order(reason: str) -> ProducerError:
    return ProducerError(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, reason)


_HEAD: Final = Struct(">hi")
_PRODUCER: Final = Struct(">qhhh")
_BATCH: Final = Struct(">iiqqq")
_CRC: Final = Struct(">I")
