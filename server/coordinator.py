"""The coordinator of one led partition of `__consumer_offsets`: all groups whose ids hash there, of whatever type.

The partition's log is the state; memory is what replaying it yields, plus who waits. A change is appended first and
answered when it is durable (`Append`, later `Appended`), so an acknowledged commit is there after any failover. While
the log is being replayed everything is answered COORDINATOR_LOAD_IN_PROGRESS: an offset of -1 then would send a
consumer back to the beginning.

What holds: records of an offset are applied in the log's order, by the code that replays them. Every ticket is
answered once; one that waits for an append at the latest after `append_timeout_ms`, though what was appended counts
when it becomes durable after all. A group whose tombstone is under way is DEAD: who asks for it is to try again.

Types of groups share one namespace. What is typed here is only: which record replays into which group (`replay`), which
events a group takes (`step`). A second type brings its own machine, keys and events. Records of kinds that nobody here
knows are passed over, and stay in the log.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, cast

from server.append_errors import to_committer, to_member
from server.group import ClassicGroup
from server.group_words import (
    Answer,
    Append,
    Appended,
    AppendFailed,
    Commit,
    DeleteGroup,
    DeleteOffsets,
    Effect,
    Event,
    GroupEffect,
    GroupRequest,
    GroupSettings,
    GroupState,
    Heartbeat,
    Join,
    NewOffset,
    OffsetChange,
    OffsetsOutcome,
    Outcome,
    RejoinStored,
    Request,
    Store,
    SyncStored,
    Tick,
)
from server.now import Now
from server.offset_records import (
    NO_TIME,
    GroupKey,
    GroupValue,
    OffsetKey,
    OffsetValue,
    decode_group,
    decode_key,
    decode_offset,
    encode_key,
    encode_value,
)
from server.offsets import Expiry, GroupOffsets
from server.subscriptions import CONSUMER
from wire.errors import ErrorCode
from wire.primitives import Data

TOMBSTONES_AT_ONCE: Final = 1_000
"""Of a large group that is buried, so that a batch stays far below `max.message.bytes`; nothing asks that they be
atomic, and Kafka doesn't make them so either."""

MAX_METADATA: Final = 1024 * 1024
"""Of a member's protocols together: what one of them has goes into the group's record, which can't be larger than
`max.message.bytes`. Kafka finds out when the generation is stored, with UNKNOWN_SERVER_ERROR for all members, and keeps
up to 100 MiB of each until then."""

USUAL_ID: Final = 250
"""Bytes of a group's id up to which that many are small enough; a topic's name has no more, and ids may have 32 KiB."""

_EMPTY, _STABLE, _DEAD = GroupState.EMPTY, GroupState.STABLE, GroupState.DEAD

Done = Callable[[ErrorCode, Now], list[Effect]]
"""What follows when an append is durable (NONE) or not; the code is the log's."""


@dataclass(slots=True)
class _Waiting:
    """An append under way. `answer` is None once it has been called; `settle` tells whether the records hold."""

    changes: list[OffsetChange]
    deadline_ms: int
    answer: Done | None
    settle: Callable[[bool], None]


class Coordinator:
    """See the module. `new_id` yields member ids' random part, `next_append` numbers no coordinator has used before."""

    def __init__(self, settings: GroupSettings, new_id: Callable[[], str], next_append: Callable[[], int]) -> None:
        self.is_loading = True
        self.is_closed = False
        self.groups: dict[str, ClassicGroup] = {}
        self._offsets: dict[str, GroupOffsets] = {}
        self._settings = settings
        self._new_id = new_id
        self._next_append = next_append
        self._loaded: dict[str, GroupValue] = {}
        self._waiting: dict[int, _Waiting] = {}  # in the order of the log
        self._due: list[tuple[int, str]] = []
        self._armed: dict[str, int] = {}
        self._next_sweep_ms = 0

    # --- its life ----------------------------------------------------------------------------------------------

    def replay(self, records: Iterable[tuple[Data | None, Data | None]]) -> None:
        """The next (key, value)s of the log while loading, any number at a time. Raises WireError for a record that is
        malformed: then the partition can't be served, since what is missing can't be told from what never was."""
        assert self.is_loading
        for raw_key, raw_value in records:
            key = None if raw_key is None else decode_key(raw_key)
            if isinstance(key, OffsetKey):
                self._apply(key, None if raw_value is None else decode_offset(raw_value))
            elif isinstance(key, GroupKey):
                self._loaded.pop(key.group_id, None)
                if raw_value is not None:
                    self._loaded[key.group_id] = decode_group(raw_value)

    def finish_loading(self, now: Now) -> list[Effect]:
        """All records up to the end of the log that this leader found are replayed, and that end is committed."""
        assert self.is_loading
        self.is_loading = False
        self._next_sweep_ms = now.steady_ms + self._settings.retention_check_ms
        effects: list[Effect] = []
        for group_id, value in self._loaded.items():
            group = self._create(group_id, now)
            effects += self._carry_out(group, group.restore(value, now), now)
        for group_id in self._offsets:
            if group_id not in self.groups:
                self._create(group_id, now)
        self._loaded.clear()
        return effects

    def close(self, now: Now) -> list[Effect]:
        """Another server leads the partition: whoever waits is told, and so is whoever comes."""
        self.is_closed = True
        effects: list[Effect] = []
        waiting, self._waiting = self._waiting, {}
        for one in waiting.values():
            if one.answer is not None:
                effects += one.answer(ErrorCode.NOT_LEADER_OR_FOLLOWER, now)
        for group in self.groups.values():
            effects += [effect for effect in group.close(ErrorCode.NOT_COORDINATOR) if isinstance(effect, Answer)]
        return [effect for effect in effects if isinstance(effect, Answer)]

    def refusal(self) -> ErrorCode:
        """Why it answers nothing now; NONE when it does."""
        if self.is_closed:
            return ErrorCode.NOT_COORDINATOR
        return ErrorCode.COORDINATOR_LOAD_IN_PROGRESS if self.is_loading else ErrorCode.NONE

    @property
    def deadline_ms(self) -> int | None:
        """When the next Tick is due, at the latest, on the steady clock."""
        if self.refusal():
            return None
        times = [self._next_sweep_ms, *(at for at, _ in self._due[:1])]
        times += [next((one.deadline_ms for one in self._waiting.values() if one.answer), self._next_sweep_ms)]
        return min(times)

    # --- events ------------------------------------------------------------------------------------------------

    def step(self, event: Event, now: Now) -> list[Effect]:
        """Handle one event; the effects are to be carried out in order."""
        if isinstance(event, Appended):
            return self._appended(event.append_id, ErrorCode.NONE, now)
        if isinstance(event, AppendFailed):
            return self._appended(event.append_id, event.code, now)
        if isinstance(event, Tick):
            return self._tick(now)
        refusal = self.refusal()
        if refusal:
            return [Answer(event.ticket, _refused(event, refusal))]
        if isinstance(event, Commit):
            return self._commit(event, now)
        if isinstance(event, DeleteOffsets):
            return self._delete_offsets(event, now)
        if isinstance(event, DeleteGroup):
            return self._delete_group(event, now)
        return self._step_group(event, now)

    def _step_group(self, event: GroupRequest, now: Now) -> list[Effect]:
        if not event.group_id:
            return [Answer(event.ticket, event.refused(ErrorCode.INVALID_GROUP_ID))]
        group = self.groups.get(event.group_id)
        if isinstance(event, Join):
            code = self._check_join(event, group)
            if code:
                return [Answer(event.ticket, event.refused(code))]
            group = self._create(event.group_id, now) if group is None else group
        elif group is None:
            return [Answer(event.ticket, event.refused(ErrorCode.UNKNOWN_MEMBER_ID))]
        effects = group.step(event, now)
        if isinstance(event, Heartbeat):
            return cast("list[Effect]", effects)  # it stores nothing and makes nothing due earlier
        return self._carry_out(group, effects, now)

    def _check_join(self, event: Join, group: ClassicGroup | None) -> ErrorCode:
        settings = self._settings
        if not settings.min_session_timeout_ms <= event.session_timeout_ms <= settings.max_session_timeout_ms:
            return ErrorCode.INVALID_SESSION_TIMEOUT
        if sum(len(metadata) for _, metadata in event.protocols) > MAX_METADATA:
            return ErrorCode.UNKNOWN_SERVER_ERROR
        return ErrorCode.UNKNOWN_MEMBER_ID if group is None and event.member_id else ErrorCode.NONE

    def _commit(self, event: Commit, now: Now) -> list[Effect]:
        group = self.groups.get(event.group_id)
        if group is not None:
            code = group.check_commit(event.member_id, event.instance_id, event.generation, now)
        else:
            code = ErrorCode.NONE if event.generation < 0 else ErrorCode.GROUP_ID_NOT_FOUND
        if code:
            return [Answer(event.ticket, event.refused(code))]
        codes = tuple([self._check_metadata(offset) for offset in event.offsets])
        expire_ms = now.wall_ms + event.retention_ms if event.retention_ms >= 0 else NO_TIME
        changes: list[OffsetChange] = [
            (
                OffsetKey(event.group_id, offset.topic, offset.partition),
                OffsetValue(offset.offset, offset.leader_epoch, offset.metadata, now.wall_ms, expire_ms),
            )
            for offset, refused in zip(event.offsets, codes, strict=True)
            if not refused
        ]
        if group is None and changes:
            self._create(event.group_id, now)
        return self._change(event.group_id, changes, partial(_answer_commit, event, codes), now)

    def _check_metadata(self, offset: NewOffset) -> ErrorCode:
        is_too_large = len(offset.metadata.encode("utf-16-le")) // 2 > self._settings.offset_metadata_max
        return ErrorCode.OFFSET_METADATA_TOO_LARGE if is_too_large else ErrorCode.NONE

    def _delete_offsets(self, event: DeleteOffsets, now: Now) -> list[Effect]:
        group = self.groups.get(event.group_id)
        if group is None or group.state is _DEAD:
            return [Answer(event.ticket, event.refused(ErrorCode.GROUP_ID_NOT_FOUND))]
        if group.state is not _EMPTY and group.protocol_type != CONSUMER:
            return [Answer(event.ticket, event.refused(ErrorCode.NON_EMPTY_GROUP))]
        known = self._offsets_of(event.group_id)
        codes = tuple(
            [
                ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
                if group.state is not _EMPTY and group.subscribes_to(topic)
                else ErrorCode.NONE
                for topic, _ in event.partitions
            ]
        )
        changes: list[OffsetChange] = [
            (OffsetKey(event.group_id, topic, partition), None)
            for (topic, partition), refused in zip(event.partitions, codes, strict=True)
            if not refused and known.knows(topic, partition)
        ]
        return self._change(event.group_id, changes, partial(_answer_deletion, event, codes), now)

    def _delete_group(self, event: DeleteGroup, now: Now) -> list[Effect]:
        group = self.groups.get(event.group_id)
        if group is None or group.state is _DEAD:
            return [Answer(event.ticket, ErrorCode.GROUP_ID_NOT_FOUND)]
        if group.state is not _EMPTY:
            return [Answer(event.ticket, ErrorCode.NON_EMPTY_GROUP)]
        keys = self._offsets_of(event.group_id).known()
        return self._bury(group, keys, partial(_answer_group, event.ticket), now)

    def forget_topic(self, name: str, now: Now) -> list[Effect]:
        """A topic is gone for good: so are the offsets committed of it."""
        effects: list[Effect] = []
        for group_id, offsets in [] if self.refusal() else list(self._offsets.items()):
            for gone in _chunks(group_id, [key for key in offsets.known() if key[0] == name]):
                effects += self._change(group_id, gone, None, now)
        return effects

    # --- time --------------------------------------------------------------------------------------------------

    def _tick(self, now: Now) -> list[Effect]:
        if self.refusal():
            return []
        effects = self._time_out(now)
        while self._due and self._due[0][0] <= now.steady_ms:
            at, group_id = heapq.heappop(self._due)
            group = self.groups.get(group_id)
            if self._armed.get(group_id) == at:
                del self._armed[group_id]
                if group is not None:
                    effects += self._carry_out(group, group.step(Tick(), now), now)
        if now.steady_ms >= self._next_sweep_ms:
            self._next_sweep_ms = now.steady_ms + self._settings.retention_check_ms
            effects += self._sweep(now)
        return effects

    def _time_out(self, now: Now) -> list[Effect]:
        effects: list[Effect] = []
        for waiting in list(self._waiting.values()):
            if waiting.deadline_ms > now.steady_ms:
                break
            answer, waiting.answer = waiting.answer, None
            if answer is not None:
                effects += answer(ErrorCode.REQUEST_TIMED_OUT, now)
        return effects

    def _sweep(self, now: Now) -> list[Effect]:
        """Bury offsets that have outlived their time, and groups of which nothing is left."""
        effects: list[Effect] = []
        for group in list(self.groups.values()):
            if group.state is _DEAD:
                continue
            offsets = self._offsets_of(group.group_id)
            expired = offsets.expired(_expiry_of(group), now.wall_ms, self._settings.offsets_retention_ms)
            if group.state is _EMPTY and not group.roster.pending and len(expired) == len(offsets.known()):
                effects += self._bury(group, expired, None, now)
            else:
                for changes in _chunks(group.group_id, expired):
                    effects += self._change(group.group_id, changes, None, now)
        return effects

    # --- appending ---------------------------------------------------------------------------------------------

    def _change(self, group_id: str, changes: list[OffsetChange], answer: Done | None, now: Now) -> list[Effect]:
        """Append changes of a group's offsets; with none to append `answer` at once."""
        if not changes:
            return answer(ErrorCode.NONE, now) if answer is not None else []
        offsets = self._offsets.setdefault(group_id, GroupOffsets())
        keys = [(key.topic, key.partition) for key, _ in changes]
        offsets.begin(keys)
        return self._append(changes, [], answer, partial(self._end, group_id, keys), now)

    def _bury(self, group: ClassicGroup, keys: list[tuple[str, int]], answer: Done | None, now: Now) -> list[Effect]:
        """Tombstones for an empty group and the offsets of `keys`, which must be all it has; the group's comes last."""
        group.mark_deleting()
        *full, last = _chunks(group.group_id, keys)
        effects: list[Effect] = []
        for changes in full:
            effects += self._change(group.group_id, changes, None, now)
        tombstone = (encode_key(GroupKey(group.group_id)), None)
        return effects + self._append(last, [tombstone], answer, partial(self._buried, group), now)

    def _store(self, group: ClassicGroup, store: Store, now: Now) -> list[Effect]:
        record = (encode_key(GroupKey(group.group_id)), encode_value(store.value))
        answer = None if store.then is None else partial(self._stored, group, store.then)
        return self._append([], [record], answer, _settle_nothing, now)

    def _append(
        self,
        changes: list[OffsetChange],
        others: list[tuple[bytes, bytes | None]],
        answer: Done | None,
        settle: Callable[[bool], None],
        now: Now,
    ) -> list[Effect]:
        append_id = self._next_append()
        deadline_ms = now.steady_ms + self._settings.append_timeout_ms
        self._waiting[append_id] = _Waiting(changes, deadline_ms, answer, settle)
        records = [(encode_key(key), encode_value(value)) for key, value in changes]
        return [Append(append_id, now.wall_ms, (*records, *others))]

    def _appended(self, append_id: int, code: ErrorCode, now: Now) -> list[Effect]:
        waiting = self._waiting.pop(append_id, None)
        if waiting is None:
            return []
        if not code:
            for key, value in waiting.changes:
                self._apply(key, value)
        waiting.settle(not code)
        return waiting.answer(code, now) if waiting.answer is not None else []

    def _end(self, group_id: str, keys: list[tuple[str, int]], _: bool) -> None:
        offsets = self._offsets.get(group_id)
        if offsets is not None:
            offsets.end(keys)
            if offsets.is_empty:
                del self._offsets[group_id]
            self._forget_if_vacant(group_id)

    def _buried(self, group: ClassicGroup, holds: bool) -> None:
        """Unless some of its offsets stayed, as another append failed: then those are a simple consumer's, as they
        would be after a replay."""
        if holds and group.group_id not in self._offsets:
            del self.groups[group.group_id]
        else:
            group.unmark_deleting()

    def _stored(self, group: ClassicGroup, then: SyncStored | RejoinStored, code: ErrorCode, now: Now) -> list[Effect]:
        return self._carry_out(group, group.stored(then, to_member(code), now), now)

    # --- queries -----------------------------------------------------------------------------------------------

    def committed(self) -> Iterator[tuple[str, GroupOffsets]]:
        """All groups that have committed something. Not to be kept."""
        yield from self._offsets.items()

    def offsets_of(self, group_id: str) -> GroupOffsets | ErrorCode:
        """What the group has committed; nothing for a group that never was, which is no error. Not to be kept."""
        return self.refusal() or self._offsets_of(group_id)

    def group_of(self, group_id: str) -> ClassicGroup | ErrorCode:
        """The group, to be read only; GROUP_ID_NOT_FOUND when there is none or it is being deleted."""
        group = self.groups.get(group_id)
        if self.refusal() or group is None or group.state is _DEAD:
            return self.refusal() or ErrorCode.GROUP_ID_NOT_FOUND
        return group

    # --- leaves ------------------------------------------------------------------------------------------------

    def _carry_out(self, group: ClassicGroup, effects: list[GroupEffect], now: Now) -> list[Effect]:
        found: list[Effect] = []
        for effect in effects:
            found += self._store(group, effect, now) if isinstance(effect, Store) else [effect]
        self._arm(group)
        self._forget_if_vacant(group.group_id)
        return found

    def _arm(self, group: ClassicGroup) -> None:
        at = group.deadline_ms
        if at is not None and at < self._armed.get(group.group_id, at + 1):
            self._armed[group.group_id] = at
            heapq.heappush(self._due, (at, group.group_id))

    def _create(self, group_id: str, now: Now) -> ClassicGroup:
        group = self.groups[group_id] = ClassicGroup(group_id, self._settings, self._new_id, now)
        return group

    def _forget_if_vacant(self, group_id: str) -> None:
        """Ids that were given away and never used, and commits that failed, leave no group behind."""
        group = self.groups.get(group_id)
        if group is not None and group.is_vacant and self._offsets_of(group_id).is_empty:
            del self.groups[group_id]
            self._offsets.pop(group_id, None)

    def _offsets_of(self, group_id: str) -> GroupOffsets:
        return self._offsets.get(group_id) or GroupOffsets()

    def _apply(self, key: OffsetKey, value: OffsetValue | None) -> None:
        offsets = self._offsets.get(key.group_id)
        if offsets is None:
            if value is None:
                return
            offsets = self._offsets[key.group_id] = GroupOffsets()
        offsets.apply(key, value)
        if offsets.is_empty:
            del self._offsets[key.group_id]


def _refused(event: Request, code: ErrorCode) -> Outcome:
    """A heartbeat while loading is taken on trust, as in Kafka: nothing is known against it."""
    if isinstance(event, Heartbeat) and code is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
        return ErrorCode.NONE
    return event.refused(code)


def _chunks(group_id: str, keys: list[tuple[str, int]]) -> list[list[OffsetChange]]:
    """Tombstones for `keys`, at least one list of them; fewer in each where the group's id alone is long."""
    changes: list[OffsetChange] = [(OffsetKey(group_id, *key), None) for key in keys]
    at_once = max(1, TOMBSTONES_AT_ONCE * USUAL_ID // max(len(group_id.encode()), USUAL_ID))
    return [changes[at : at + at_once] for at in range(0, len(changes) or 1, at_once)]


def _expiry_of(group: ClassicGroup) -> Expiry:
    if group.protocol_type is None:
        return Expiry()
    if group.state is _EMPTY:
        return Expiry(since_ms=group.since_ms if group.since_ms != NO_TIME else None)
    if group.state is _STABLE and group.protocol_type == CONSUMER and group.topics is not None:
        return Expiry(kept_topics=group.topics)
    return Expiry(keeps_all=True)


def _answer_commit(event: Commit, codes: tuple[ErrorCode, ...], code: ErrorCode, _: Now) -> list[Effect]:
    if code:
        code = to_committer(code)
        codes = tuple([refused or code for refused in codes])
    return [Answer(event.ticket, OffsetsOutcome(code, codes))]


def _answer_deletion(event: DeleteOffsets, codes: tuple[ErrorCode, ...], code: ErrorCode, _: Now) -> list[Effect]:
    return [Answer(event.ticket, OffsetsOutcome(to_member(code), codes))]


def _answer_group(ticket: int, code: ErrorCode, _: Now) -> list[Effect]:
    return [Answer(ticket, to_member(code))]


def _settle_nothing(_: bool) -> None:
    """A group's own state is in its machine."""
