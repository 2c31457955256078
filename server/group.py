"""One consumer group of the classic protocol: who is in it, who leads, which generation, who waits for what.

The members assign partitions among themselves; the coordinator only brings them to agree on who they are. A rebalance
has two halves. PREPARING: whoever wants to be in joins, and each join waits until all known members have joined or
time is up. COMPLETING: all have heard the new generation, the leader computes the assignment, and each sync waits
until it has come and is stored. Then the group is STABLE. (Kafka's ClassicGroup and GroupMetadataManager, KIP-62, 345,
394, 814; the metadata and assignments are opaque here, which is what cooperative rebalancing, KIP-429, needs.)

What holds: the generation only grows, by one for each rebalance that ends. Each ticket is answered exactly once: a
join or sync that waits is answered when it's over, when its member is removed, fenced or comes again, or by `close`.
An assignment is handed out only once it is stored, so that another coordinator knows it. Members that wait for an
answer don't expire. Sessions end at a `Tick` only, never while another member's request is handled: whoever is late
may be next in the socket.

    EMPTY -join-> PREPARING -all joined | time up-> COMPLETING -leader's assignment stored-> STABLE
      ^               |  ^--- join, leave, expiry, no sync in time ---------'------------------'
      '-- all gone ---'                                             EMPTY -tombstone under way-> DEAD
"""

from collections.abc import Callable
from typing import Any, Final

from server.group_words import (
    NEW_MEMBER_JOIN_TIMEOUT_MS,
    Answer,
    GroupEffect,
    GroupRequest,
    GroupSettings,
    GroupState,
    GroupType,
    Heartbeat,
    Join,
    JoinedMember,
    JoinOutcome,
    Leave,
    LeaveOutcome,
    Left,
    RejoinStored,
    Store,
    Sync,
    SyncOutcome,
    SyncStored,
    Tick,
)
from server.members import Member, Roster, member_of, stored_member
from server.now import Now
from server.offset_records import GroupValue
from server.subscriptions import CONSUMER, subscribed_topics
from wire.errors import ErrorCode

MAX_NAME: Final = 8_000
"""Characters of a client's or instance's id that a member's id begins with: with four bytes each and what is appended
it fits into the 32 767 bytes of a string on the wire and in the log."""

_EMPTY, _PREPARING, _COMPLETING = GroupState.EMPTY, GroupState.PREPARING, GroupState.COMPLETING
_STABLE, _DEAD = GroupState.STABLE, GroupState.DEAD


class ClassicGroup:
    """See the module. `new_id` yields the random part of member ids."""

    type: Final = GroupType.CLASSIC

    def __init__(self, group_id: str, settings: GroupSettings, new_id: Callable[[], str], now: Now) -> None:
        self.group_id = group_id
        self.state = _EMPTY
        self.since_ms = now.wall_ms
        self.generation = 0
        self.protocol_type: str | None = None
        self.protocol: str | None = None
        self.topics: frozenset[str] | None = None
        self.roster = Roster()
        self._settings = settings
        self._new_id = new_id
        self._now = now  # the time of the step under way
        self._effects: list[GroupEffect] = []
        self._join_deadline_ms: int | None = None
        self._initial_left_ms: int | None = None  # of the first rebalance's time, beyond the delay that runs
        self._more_came = False  # since that delay began
        self._unsynced: set[str] = set()
        self._sync_deadline_ms: int | None = None
        self._is_storing = False  # this generation's assignment

    # --- what is asked of it -----------------------------------------------------------------------------------

    def step(self, event: GroupRequest | Tick, now: Now) -> list[GroupEffect]:
        """Handle one event; the effects are to be carried out in order."""
        self._now, self._effects = now, []
        _HANDLERS[type(event)](self, event)
        return self._effects

    def stored(self, then: SyncStored | RejoinStored, code: ErrorCode, now: Now) -> list[GroupEffect]:
        """A `Store` has become durable, or failed with a code that clients understand."""
        self._now, self._effects = now, []
        if isinstance(then, SyncStored):
            self._sync_stored(then, code)
        else:
            self._rejoin_stored(then, code)
        return self._effects

    def close(self, code: ErrorCode) -> list[GroupEffect]:
        """Answer all that wait, and be no more: another coordinator has taken over, or the group is deleted."""
        self._effects = []
        for member in self.roster.members.values():
            self._answer_join(member, JoinOutcome(code, member.member_id))
            self._answer_sync(member, SyncOutcome(code))
        self.state = _DEAD
        return self._effects

    def mark_deleting(self) -> None:
        """Its tombstone is on its way: members are to look for it again."""
        assert self.state is _EMPTY
        self.state = _DEAD

    def unmark_deleting(self) -> None:
        assert self.state is _DEAD
        self.state = _EMPTY

    def restore(self, value: GroupValue, now: Now) -> list[GroupEffect]:
        """Become what a record says, at the end of loading: each member has a whole session time to be heard."""
        self._now, self._effects = now, []
        self.generation, self.protocol, self.since_ms = value.generation, value.protocol, value.since_ms
        self.protocol_type = value.protocol_type or None
        for stored in value.members:
            self.roster.add(member_of(stored, value.protocol, now))
        if value.leader is not None and value.leader in self.roster:
            self.roster.leader = value.leader
        self.state = _STABLE if value.members else _EMPTY
        self._learn_topics()
        if len(self.roster) > self._settings.max_size:
            self._prepare()
        return self._effects

    @property
    def deadline_ms(self) -> int | None:
        """When the next `Tick` is due, on the steady clock. A heartbeat only ever moves it on."""
        times = [member.expires_ms for member in self.roster.members.values() if member.can_expire]
        times += self.roster.pending.values()
        times += [at for at in (self._join_deadline_ms, self._sync_deadline_ms) if at is not None]
        return min(times, default=None)

    @property
    def is_vacant(self) -> bool:
        """Nobody is or ever was in it."""
        return self.state is _EMPTY and self.generation == 0 and not self.roster.pending

    def subscribes_to(self, topic: str) -> bool:
        """Whether members read `topic`: always, as far as it isn't known of a group of consumers."""
        return topic in self.topics if self.topics is not None else self.protocol_type == CONSUMER

    def check_commit(self, member_id: str, instance_id: str | None, generation: int, now: Now) -> ErrorCode:
        """Whether it may commit offsets now. A member's commit is also a sign of life."""
        if self.state is _DEAD:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        if generation < 0 and self.state is _EMPTY:
            return ErrorCode.NONE
        if generation < 0 and not member_id and instance_id is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        code = self.roster.check(member_id, instance_id) or self._check_generation(generation)
        if not code:
            self._now = now
            self._touch(self.roster.members[member_id])
            if self.state is _COMPLETING:
                return ErrorCode.REBALANCE_IN_PROGRESS
        return code

    # --- joining -----------------------------------------------------------------------------------------------

    def _join(self, event: Join) -> None:
        member_id = event.member_id
        if self.state is _DEAD:
            self._refuse_join(event, ErrorCode.COORDINATOR_NOT_AVAILABLE)
        elif not self._has_room(member_id):
            self._refuse_join(event, ErrorCode.GROUP_MAX_SIZE_REACHED, "")
            if member_id in self.roster:
                self._remove(self.roster.members[member_id])
        elif not self._speaks(event):
            self._refuse_join(event, ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        elif not member_id:
            self._join_unknown(event)
        elif member_id in self.roster.pending and event.instance_id is None:
            self._add(event, member_id)
        else:
            self._join_again(event)

    def _has_room(self, member_id: str) -> bool:
        """While preparing those who have joined count, so that the last to join again are the ones left out when the
        limit was lowered."""
        if self.state is _PREPARING:
            return member_id in self.roster.joining or len(self.roster.joining) < self._settings.max_size
        return self.state is _EMPTY or member_id in self.roster or len(self.roster) < self._settings.max_size

    def _speaks(self, event: Join) -> bool:
        names = {name for name, _ in event.protocols}
        if not len(self.roster):
            return bool(event.protocol_type and names)
        return event.protocol_type == self.protocol_type and self.roster.supports(names)

    def _join_unknown(self, event: Join) -> None:
        new_id = f"{(event.instance_id or event.client_id)[:MAX_NAME]}-{self._new_id()}"
        holder = self.roster.static(event.instance_id) if event.instance_id is not None else None
        if holder is not None:
            self._replace(event, self.roster.members[holder], new_id)
        elif event.needs_member_id and event.instance_id is None:
            self.roster.pending[new_id] = self._now.steady_ms + event.session_timeout_ms
            self._refuse_join(event, ErrorCode.MEMBER_ID_REQUIRED, new_id)
        else:
            self._add(event, new_id)

    def _add(self, event: Join, member_id: str) -> None:
        if not len(self.roster):
            self.protocol_type = event.protocol_type
        member = Member(
            member_id,
            event.instance_id,
            event.client_id[:MAX_NAME],
            event.client_host,
            event.session_timeout_ms,
            event.rebalance_timeout_ms,
            event.protocols,
            expires_ms=self._now.steady_ms + NEW_MEMBER_JOIN_TIMEOUT_MS,
            is_new=True,
        )
        self.roster.add(member)
        self._more_came = True
        self.roster.park_join(member, event.ticket)
        self._rebalance()

    def _join_again(self, event: Join) -> None:
        """A member that says something new, or a leader, which may know of new partitions, brings a rebalance; others
        just missed an answer."""
        code = self.roster.check(event.member_id, event.instance_id)
        if code:
            self._refuse_join(event, code)
            return
        member = self.roster.members[event.member_id]
        leads = self.roster.leader == member.member_id
        if self.state is _PREPARING or member.protocols != event.protocols or (self.state is _STABLE and leads):
            self._update(member, event)
            self._rebalance()
        else:
            self._touch(member)
            self._say(event.ticket, self._joined(member))

    def _replace(self, event: Join, member: Member, new_id: str) -> None:
        """A static member comes back without its id: it takes its predecessor's place, and while that changes nothing
        for the others, no rebalance is needed (KIP-345)."""
        old_id, old_leader = member.member_id, self.roster.leader or ""
        self._answer_join(member, JoinOutcome(ErrorCode.FENCED_INSTANCE_ID, old_id))
        self._answer_sync(member, SyncOutcome(ErrorCode.FENCED_INSTANCE_ID))
        self.roster.rename(member, new_id)
        if old_id in self._unsynced:
            self._unsynced.remove(old_id)
            self._unsynced.add(new_id)
        self._update(member, event)
        self._touch(member)
        if self.state is _STABLE and self.roster.choose() == self.protocol:
            then = RejoinStored(
                self.generation,
                member.instance_id or "",
                old_id,
                new_id,
                event.ticket,
                old_leader,
                event.can_skip_assignment,
            )
            self._effects.append(Store(self._value(), then))
        else:
            self._rebalance()

    def _update(self, member: Member, event: Join) -> None:
        self.roster.change(member, event.protocols, event.session_timeout_ms, event.rebalance_timeout_ms)
        earlier = self.roster.park_join(member, event.ticket)
        if earlier is not None:
            self._say(earlier, JoinOutcome(ErrorCode.REBALANCE_IN_PROGRESS, member.member_id))

    def _rejoin_stored(self, then: RejoinStored, code: ErrorCode) -> None:
        """Unless a rebalance has begun meanwhile, which will answer."""
        member = self.roster.members.get(then.new_id)
        is_waiting = member is not None and member.join_ticket == then.ticket
        if member is None or not is_waiting or self.state is not _STABLE or self.generation != then.generation:
            return
        if code:
            self._answer_join(member, JoinOutcome(code, ""))
            self.roster.rename(member, then.old_id)
        elif then.can_skip_assignment:
            self._answer_join(member, self._joined(member, skip_assignment=self.roster.leader == member.member_id))
        else:
            self._answer_join(member, self._joined(member, told_leader=then.old_leader))

    # --- rebalancing -------------------------------------------------------------------------------------------

    def _rebalance(self) -> None:
        if self.state is _PREPARING:
            self._maybe_complete()
        else:
            self._prepare()

    def _prepare(self) -> None:
        if self.state is _COMPLETING:
            self._fail_syncs(ErrorCode.REBALANCE_IN_PROGRESS)
        is_first = self.state is _EMPTY
        self._unsynced.clear()
        self._sync_deadline_ms = None
        self._enter(_PREPARING)
        timeout_ms = self.roster.rebalance_timeout_ms
        if is_first:
            self._wait_for_more(self._settings.initial_rebalance_delay_ms, timeout_ms)
        else:
            self._join_deadline_ms = self._now.steady_ms + timeout_ms
            self._maybe_complete()

    def _wait_for_more(self, delay_ms: int, left_ms: int) -> None:
        """Of members that start together each would cause a rebalance: the first waits a little for the others."""
        self._more_came = False
        self._initial_left_ms = max(left_ms - delay_ms, 0)
        self._join_deadline_ms = self._now.steady_ms + delay_ms
        if not delay_ms:
            self._complete()

    def _maybe_complete(self) -> None:
        if self.state is _PREPARING and self._initial_left_ms is None and self.roster.all_joined:
            self._complete()

    def _joining_is_over(self) -> None:
        left_ms = self._initial_left_ms
        if left_ms and self._more_came:
            self._wait_for_more(min(self._settings.initial_rebalance_delay_ms, left_ms), left_ms)
        else:
            self._complete()

    def _complete(self) -> None:
        """Begin the next generation with those who have joined, and static members, who may be restarting."""
        for member in list(self.roster.members.values()):
            if member.instance_id is None and member.member_id not in self.roster.joining:
                self.roster.remove(member)
        self._initial_left_ms = None
        if len(self.roster) and not self.roster.elect():
            self._join_deadline_ms = self._now.steady_ms + self.roster.rebalance_timeout_ms
            return
        self._join_deadline_ms = None
        self.generation += 1
        self._is_storing = False
        if len(self.roster):
            self._announce()
        else:
            self.protocol = None
            self._enter(_EMPTY)
            self._learn_topics()
            self._effects.append(Store(self._value(), None))

    def _announce(self) -> None:
        self.protocol = self.roster.choose()
        self._enter(_COMPLETING)
        self._learn_topics()
        self._unsynced = set(self.roster.members)
        self._sync_deadline_ms = self._now.steady_ms + self.roster.rebalance_timeout_ms
        for member in self.roster.members.values():
            member.is_new = False
            self._touch(member)
            self._answer_join(member, self._joined(member))

    # --- syncing -----------------------------------------------------------------------------------------------

    def _sync(self, event: Sync) -> None:
        code = self._check_sync(event)
        if code:
            self._say(event.ticket, SyncOutcome(code))
            return
        member = self.roster.members[event.member_id]
        self._has_synced(member.member_id)
        if self.state is _STABLE:
            self._touch(member)
            self._say(event.ticket, self._assigned(member))
            return
        earlier, member.sync_ticket = member.sync_ticket, event.ticket
        if earlier is not None:
            self._say(earlier, SyncOutcome(ErrorCode.REBALANCE_IN_PROGRESS))
        if self.roster.leader == member.member_id and not self._is_storing:
            self._is_storing = True
            self._effects.append(Store(self._value(event.assignments), SyncStored(self.generation, event.assignments)))

    def _check_sync(self, event: Sync) -> ErrorCode:
        if self.state is _DEAD:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        code = self.roster.check(event.member_id, event.instance_id) or self._check_generation(event.generation)
        if code:
            return code
        if event.protocol_type not in (None, self.protocol_type) or event.protocol not in (None, self.protocol):
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        return ErrorCode.REBALANCE_IN_PROGRESS if self.state is _PREPARING else ErrorCode.NONE

    def _sync_stored(self, then: SyncStored, code: ErrorCode) -> None:
        if self.state is not _COMPLETING or self.generation != then.generation:
            return
        if code:
            self._fail_syncs(code)
            self._prepare()
            return
        for member in self.roster.members.values():
            member.assignment = then.assignments.get(member.member_id, b"")
            self._answer_sync(member, self._assigned(member))
        self._enter(_STABLE)

    def _fail_syncs(self, code: ErrorCode) -> None:
        for member in self.roster.members.values():
            member.assignment = b""
            self._answer_sync(member, SyncOutcome(code))

    def _has_synced(self, member_id: str) -> None:
        self._unsynced.discard(member_id)
        if not self._unsynced:
            self._sync_deadline_ms = None

    def _syncing_is_over(self) -> None:
        """Whoever has joined and not synced since is gone."""
        for member in [member for member in self.roster.members.values() if member.member_id in self._unsynced]:
            self._drop(member)
        self._prepare()

    # --- staying and leaving -----------------------------------------------------------------------------------

    def _heartbeat(self, event: Heartbeat) -> None:
        self._say(event.ticket, self._heard(event))

    def _heard(self, event: Heartbeat) -> ErrorCode:
        if self.state is _DEAD:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        code = self.roster.check(event.member_id, event.instance_id) or self._check_generation(event.generation)
        if code:
            return code
        self._touch(self.roster.members[event.member_id])
        return ErrorCode.REBALANCE_IN_PROGRESS if self.state is _PREPARING else ErrorCode.NONE

    def _leave(self, event: Leave) -> None:
        if self.state is _DEAD:
            self._say(event.ticket, LeaveOutcome(ErrorCode.COORDINATOR_NOT_AVAILABLE))
            return
        left = [
            Left(member_id, instance_id, self._leave_one(member_id, instance_id))
            for member_id, instance_id in event.members
        ]
        self._say(event.ticket, LeaveOutcome(ErrorCode.NONE, tuple(left)))

    def _leave_one(self, member_id: str, instance_id: str | None) -> ErrorCode:
        if not member_id and instance_id is not None:
            member_id = self.roster.static(instance_id) or ""
        if member_id in self.roster.pending and instance_id is None:
            del self.roster.pending[member_id]
            self._maybe_complete()
            return ErrorCode.NONE
        code = self.roster.check(member_id, instance_id)
        if not code:
            self._remove(self.roster.members[member_id])
        return code

    def _remove(self, member: Member) -> None:
        self._drop(member)
        if self.state in (_STABLE, _COMPLETING):
            self._prepare()
        else:
            self._maybe_complete()

    def _drop(self, member: Member) -> None:
        self._answer_join(member, JoinOutcome(ErrorCode.UNKNOWN_MEMBER_ID, ""))
        self._answer_sync(member, SyncOutcome(ErrorCode.UNKNOWN_MEMBER_ID))
        self.roster.remove(member)
        self._has_synced(member.member_id)

    def _tick(self, _: Tick) -> None:
        now_ms = self._now.steady_ms
        for member_id in [member_id for member_id, at in self.roster.pending.items() if at <= now_ms]:
            del self.roster.pending[member_id]
            self._maybe_complete()
        for member in list(self.roster.members.values()):
            if member.can_expire and member.expires_ms <= now_ms and member.member_id in self.roster:
                self._remove(member)
        if self._join_deadline_ms is not None and self._join_deadline_ms <= now_ms:
            self._joining_is_over()
        if self._sync_deadline_ms is not None and self._sync_deadline_ms <= now_ms:
            self._syncing_is_over()

    # --- leaves ------------------------------------------------------------------------------------------------

    def _check_generation(self, generation: int) -> ErrorCode:
        return ErrorCode.NONE if generation == self.generation else ErrorCode.ILLEGAL_GENERATION

    def _touch(self, member: Member) -> None:
        if not member.is_new:
            member.expires_ms = self._now.steady_ms + member.session_timeout_ms

    def _enter(self, state: GroupState) -> None:
        self.state = state
        self.since_ms = self._now.wall_ms

    def _learn_topics(self) -> None:
        self.topics = None
        if self.protocol_type == CONSUMER:
            self.topics = subscribed_topics(member.metadata(self.protocol) for member in self.roster.members.values())

    def _say(self, ticket: int, outcome: JoinOutcome | SyncOutcome | LeaveOutcome | ErrorCode) -> None:
        self._effects.append(Answer(ticket, outcome))

    def _refuse_join(self, event: Join, code: ErrorCode, member_id: str | None = None) -> None:
        self._say(event.ticket, JoinOutcome(code, event.member_id if member_id is None else member_id))

    def _answer_join(self, member: Member, outcome: JoinOutcome) -> None:
        ticket = self.roster.unpark_join(member)
        if ticket is not None:
            self._touch(member)
            self._say(ticket, outcome)

    def _answer_sync(self, member: Member, outcome: SyncOutcome) -> None:
        ticket, member.sync_ticket = member.sync_ticket, None
        if ticket is not None:
            self._touch(member)
            self._say(ticket, outcome)

    def _joined(self, member: Member, *, skip_assignment: bool = False, told_leader: str | None = None) -> JoinOutcome:
        """`told_leader`: a static leader that can't skip the assignment is told its old id, so as not to assign."""
        leader = self.roster.leader or "" if told_leader is None else told_leader
        members = self._all_joined() if leader == member.member_id else ()
        return JoinOutcome(
            ErrorCode.NONE,
            member.member_id,
            self.generation,
            self.protocol_type,
            self.protocol,
            leader,
            members,
            skip_assignment,
        )

    def _all_joined(self) -> tuple[JoinedMember, ...]:
        return tuple(
            [
                JoinedMember(member.member_id, member.instance_id, member.metadata(self.protocol))
                for member in self.roster.members.values()
            ]
        )

    def _assigned(self, member: Member) -> SyncOutcome:
        return SyncOutcome(ErrorCode.NONE, self.protocol_type, self.protocol, member.assignment)

    def _value(self, assignments: dict[str, bytes] | None = None) -> GroupValue:
        """What is stored; without `assignments` the ones that hold."""
        members = [
            stored_member(
                member, self.protocol, None if assignments is None else assignments.get(member.member_id, b"")
            )
            for member in self.roster.members.values()
        ]
        leader = self.roster.leader
        return GroupValue(
            self.protocol_type or "", self.generation, self.protocol, leader, self.since_ms, tuple(members)
        )


_HANDLERS: Final[dict[type, Callable[[ClassicGroup, Any], None]]] = {
    Join: ClassicGroup._join,  # pyright: ignore[reportPrivateUsage]
    Sync: ClassicGroup._sync,  # pyright: ignore[reportPrivateUsage]
    Heartbeat: ClassicGroup._heartbeat,  # pyright: ignore[reportPrivateUsage]
    Leave: ClassicGroup._leave,  # pyright: ignore[reportPrivateUsage]
    Tick: ClassicGroup._tick,  # pyright: ignore[reportPrivateUsage]
}
