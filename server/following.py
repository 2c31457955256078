"""What a follower asks of one leader, and what it does with the answer (KIP-227, KIP-101, KIP-279, KIP-595). Pure.

The problem: a server may follow a leader in a thousand partitions, few of which have news; each Fetch tells the leader
what the follower has *synced*, by which HW moves (R1), and both may have histories of their own behind a change of
leaders. So one session per leader tells only what has changed; where histories part the leader says so, and the
follower cuts its log to the end of the last epoch that both know: its own end of it or the leader's, whichever is
first.

What holds: a partition is asked for by the leader epoch of the image that is known here, so the answer of a leader that
isn't one any more is an error; nothing is appended whose leader epoch has changed while the answer was under way.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Any, Final, NamedTuple

from server.partition import Partition, Role
from wire.errors import ErrorCode
from wire.follower_fetches import Follow, Session, follower_fetch

MAX_WAIT_MS: Final = 500
"""`replica.fetch.wait.max.ms`"""
MAX_BYTES: Final = 8 * 1024 * 1024
"""`replica.fetch.response.max.bytes` is 10 MiB; a leader gives no more than this (server.aio.kafka.MAX_ANSWER)."""
MAX_PARTITION_BYTES: Final = 1024 * 1024
"""`replica.fetch.max.bytes`"""

SESSION_ERRORS: Final = frozenset({
    ErrorCode.FETCH_SESSION_ID_NOT_FOUND,
    ErrorCode.INVALID_FETCH_SESSION_EPOCH,
    ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR,
})  # fmt: skip

MAX_EPOCH: Final = 2**31 - 1
"""Of a session; 1 follows (KIP-227). At 5 000 requests a second it is reached within five days."""

NEW: Final = Session(0, 0)

Key = tuple[str, int]


class Act(Enum):
    APPEND = "append"
    CUT = "cut to the offset"
    RESTART = "begin anew at the offset"


class Step(NamedTuple):
    """What is to be done with one partition. `offset` is for CUT and RESTART."""

    act: Act
    partition: Partition
    records: bytes = b""
    offset: int = -1
    high_watermark: int = -1
    log_start: int = -1


class Told(NamedTuple):
    """What an answer brings: steps; whether it is wrong as a whole, so that the next request had better wait a moment;
    and which partitions had better be left out of it for as long, so that they don't slow down the others."""

    steps: list[Step]
    is_wrong: bool
    wrong: list[Partition]


class Following:
    """One leader's session, of the server `node_id`."""

    def __init__(self, node_id: int) -> None:
        self._node_id = node_id
        self._session = NEW
        self._told: dict[Key, Follow] = {}
        self._asked: dict[Key, Partition] = {}

    def request(self, correlation_id: int, broker_epoch: int, partitions: Iterable[Partition]) -> bytes:
        """The next request frame: what has changed of `partitions`, which are all that are followed there."""
        self._asked = {(partition.topic_id, partition.number): partition for partition in partitions}
        now = {key: _follow(partition) for key, partition in self._asked.items()}
        changed = [follow for key, follow in now.items() if self._told.get(key) != follow]
        forgotten: dict[bytes, list[int]] = {}
        for topic, number in self._told.keys() - now.keys():
            forgotten.setdefault(bytes.fromhex(topic), []).append(number)
        self._told = now
        return follower_fetch(
            correlation_id,
            self._node_id,
            broker_epoch,
            self._session,
            changed,
            forgotten,
            max_wait_ms=MAX_WAIT_MS,
            max_bytes=MAX_BYTES,
        )

    def restart(self) -> None:
        """The connection, or the session, is gone."""
        self._session, self._told = NEW, {}

    def answered(self, answer: Any) -> Told:
        """What to do, and what went wrong."""
        if answer.error_code:
            self.restart()
            return Told([], ErrorCode(int(answer.error_code)) not in SESSION_ERRORS, [])
        epoch = 1 if self._session.epoch == MAX_EPOCH else self._session.epoch + 1
        self._session = Session(answer.session_id, epoch) if answer.session_id else NEW
        steps: list[Step] = []
        wrong: list[Partition] = []
        for topic in answer.responses:
            for told in topic.partitions:
                key = (topic.topic_id.hex, told.partition_index)
                step = self._step(key, told)
                if step is not None:
                    steps.append(step)
                elif key in self._asked:
                    wrong.append(self._asked[key])
        if self._session is NEW:  # the leader keeps none, as it has too many: it is told everything again
            self._told = {}
        return Told(steps, False, wrong)

    def _step(self, key: Key, told: Any) -> Step | None:
        """None if nothing can be done about it for now."""
        partition, asked = self._asked.get(key), self._told.get(key)
        if partition is None or partition.log is None or partition.role is not Role.FOLLOWER:
            return None
        if asked is None or asked.leader_epoch != partition.leader_epoch:
            return None
        log = partition.log
        if told.error_code == ErrorCode.OFFSET_OUT_OF_RANGE and told.log_start_offset > log.end_offset:
            return Step(Act.RESTART, partition, offset=told.log_start_offset)
        if told.error_code or log.end_offset != asked.fetch_offset:
            return None
        if told.diverging_epoch is not None and told.diverging_epoch.epoch >= 0:
            _, mine = log.epochs.end_of(told.diverging_epoch.epoch, log.end_offset)
            offset = min(mine if mine >= 0 else log.end_offset, told.diverging_epoch.end_offset)
            return Step(Act.CUT, partition, offset=max(offset, log.log_start))
        return Step(
            Act.APPEND,
            partition,
            bytes(told.records or b""),
            high_watermark=told.high_watermark,
            log_start=told.log_start_offset,
        )


def _follow(partition: Partition) -> Follow:
    log = partition.log
    assert log is not None
    return Follow(
        partition.raw_id,
        partition.number,
        partition.leader_epoch,
        log.end_offset,
        log.epochs.latest,
        log.log_start,
        log.safe_end,
        MAX_PARTITION_BYTES,
    )
