"""All coordinators of one server: one for each partition of `__consumer_offsets` that it leads, found by group id.

This is where a request meets R2: what is answered without replication is answered only while the server is confirmed
as the partition's leader, by `is_confirmed`, both when a request comes and when its answer leaves.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import count

from server.coordinator import Coordinator
from server.group_words import (
    Answer,
    Commit,
    DeleteGroup,
    DeleteOffsets,
    Effect,
    Event,
    GroupSettings,
    JoinOutcome,
    OffsetsOutcome,
    Request,
    SyncOutcome,
)
from server.java_hash import partition_of
from server.now import Now
from wire.errors import ErrorCode
from wire.primitives import Data

_REPLICATED = (Commit, DeleteOffsets, DeleteGroup)
"""Answered when their records are durable on all in-sync replicas, which only the leader can bring about."""


class Coordinators:
    """`partitions` is how many the topic has, None as long as it doesn't exist (`offsets.topic.num.partitions` is
    what it's created with; it never changes). Effects come back with the partition that they are for."""

    def __init__(
        self, settings: GroupSettings, new_id: Callable[[], str], is_confirmed: Callable[[int], bool] = lambda _: True
    ) -> None:
        self.partitions: int | None = None
        self._settings = settings
        self._new_id = new_id
        self._is_confirmed = is_confirmed
        self._next_append = count(1).__next__
        self._led: dict[int, Coordinator] = {}

    # --- leading

    def lead(self, partition: int) -> None:
        """This server has become the leader: what is in the log is to be replayed now."""
        self._led[partition] = Coordinator(self._settings, self._new_id, self._next_append)

    def replay(self, partition: int, records: Iterable[tuple[Data | None, Data | None]]) -> None:
        """Raises WireError as `Coordinator.replay` does."""
        self._led[partition].replay(records)

    def finish_loading(self, partition: int, now: Now) -> list[Effect]:
        return self._led[partition].finish_loading(now)

    def resign(self, partition: int, now: Now) -> list[Effect]:
        """No longer the leader. All that waited is answered; appends still under way are nobody's any more."""
        coordinator = self._led.pop(partition, None)
        return [] if coordinator is None else coordinator.close(now)

    def topic_deleted(self, name: str, now: Now) -> list[tuple[int, list[Effect]]]:
        """What each partition's coordinator does about the offsets of a topic that is gone."""
        return [(partition, coordinator.forget_topic(name, now)) for partition, coordinator in self._led.items()]

    # --- asking

    def partition_of(self, group_id: str) -> int | None:
        """Where the group's state is kept; None while the topic doesn't exist."""
        return None if self.partitions is None else partition_of(group_id, self.partitions)

    def request(self, event: Request, now: Now) -> tuple[int, list[Effect]]:
        """Bring a request to its group. The partition is -1 where there is none for it."""
        partition = self.partition_of(event.group_id)
        coordinator = None if partition is None else self._led.get(partition)
        if (
            partition is None
            or coordinator is None
            or not (isinstance(event, _REPLICATED) or self._is_confirmed(partition))
        ):
            return -1, [Answer(event.ticket, event.refused(ErrorCode.NOT_COORDINATOR))]
        return partition, self._fenced(partition, coordinator.step(event, now))

    def step(self, partition: int, event: Event, now: Now) -> list[Effect]:
        """A Tick, or news of an append of this partition's."""
        coordinator = self._led.get(partition)
        return [] if coordinator is None else self._fenced(partition, coordinator.step(event, now))

    def find(self, group_id: str) -> Coordinator | ErrorCode:
        """For queries: the group's coordinator, if it may answer now."""
        partition = self.partition_of(group_id)
        coordinator = None if partition is None else self._led.get(partition)
        if partition is None or coordinator is None or not self._is_confirmed(partition):
            return ErrorCode.NOT_COORDINATOR
        return coordinator.refusal() or coordinator

    def all(self) -> Iterator[Coordinator | ErrorCode]:
        """For ListGroups: each coordinator, or why its groups can't be told."""
        for partition, coordinator in self._led.items():
            yield coordinator.refusal() or coordinator if self._is_confirmed(partition) else ErrorCode.NOT_COORDINATOR

    def deadlines(self) -> list[tuple[int, int]]:
        """(steady ms, partition) of each coordinator's next Tick."""
        found = [(coordinator.deadline_ms, partition) for partition, coordinator in self._led.items()]
        return [(at, partition) for at, partition in found if at is not None]

    def _fenced(self, partition: int, effects: list[Effect]) -> list[Effect]:
        if not effects or self._is_confirmed(partition):
            return effects
        return [_fenced(effect) if isinstance(effect, Answer) else effect for effect in effects]


def _fenced(answer: Answer) -> Answer:
    """A join or sync that waited longer than the leadership was confirmed, or a change refused for what may be
    outdated; one that is durable on all in-sync replicas is true whoever says so."""
    outcome = answer.outcome
    if isinstance(outcome, JoinOutcome):
        return Answer(answer.ticket, JoinOutcome(ErrorCode.NOT_COORDINATOR, outcome.member_id))
    if isinstance(outcome, SyncOutcome):
        return Answer(answer.ticket, SyncOutcome(ErrorCode.NOT_COORDINATOR))
    if isinstance(outcome, OffsetsOutcome) and outcome.code:
        codes = (ErrorCode.NOT_COORDINATOR,) * len(outcome.codes)
        return Answer(answer.ticket, OffsetsOutcome(ErrorCode.NOT_COORDINATOR, codes))
    return Answer(answer.ticket, ErrorCode.NOT_COORDINATOR) if isinstance(outcome, ErrorCode) and outcome else answer
