"""What is said to groups and by them: events, outcomes, effects and settings, as values.

An event that is a request carries a ticket, a number that the caller chose. Each ticket is answered by one `Answer`,
at once or later; the ticket of one that waits says nothing about connections, so one that is gone is simply answered
into the void, as in Kafka.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from server.offset_records import GroupValue, OffsetKey, OffsetValue
from wire.errors import ErrorCode

Ticket = int
Protocols = tuple[tuple[str, bytes], ...]

MAX_INT32: Final = 2**31 - 1

NEW_MEMBER_JOIN_TIMEOUT_MS: Final = 5 * 60 * 1000
"""How long a member that was never heard of waits in its first JoinGroup; it retries when it still lives (Kafka's
`classicGroupNewMemberJoinTimeoutMs`)."""


class GroupState(Enum):
    """A classic group's state, by the name that ListGroups and DescribeGroups give it."""

    EMPTY = "Empty"
    PREPARING = "PreparingRebalance"
    COMPLETING = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


class GroupType(Enum):
    """Which protocol a group speaks. All types share one namespace."""

    CLASSIC = "classic"


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """Kafka's settings, with its defaults; behind each its name there."""

    min_session_timeout_ms: int = 6_000  # group.min.session.timeout.ms
    max_session_timeout_ms: int = 1_800_000  # group.max.session.timeout.ms
    initial_rebalance_delay_ms: int = 3_000  # group.initial.rebalance.delay.ms
    max_size: int = MAX_INT32  # group.max.size
    offset_metadata_max: int = 4_096  # offset.metadata.max.bytes, which counts UTF-16 units
    offsets_retention_ms: int = 7 * 24 * 3_600_000  # offsets.retention.minutes
    retention_check_ms: int = 600_000  # offsets.retention.check.interval.ms
    append_timeout_ms: int = 5_000  # offsets.commit.timeout.ms


# --- outcomes -------------------------------------------------------------------------------------------------


class JoinedMember(NamedTuple):
    member_id: str
    instance_id: str | None
    metadata: bytes


@dataclass(frozen=True, slots=True)
class JoinOutcome:
    """`members` is filled for the leader only. With an error only `member_id` counts."""

    code: ErrorCode
    member_id: str
    generation: int = -1
    protocol_type: str | None = None
    protocol: str | None = None
    leader: str = ""
    members: tuple[JoinedMember, ...] = ()
    skip_assignment: bool = False


@dataclass(frozen=True, slots=True)
class SyncOutcome:
    code: ErrorCode
    protocol_type: str | None = None
    protocol: str | None = None
    assignment: bytes = b""


class Left(NamedTuple):
    """What became of one member that was to leave; ids as they were asked."""

    member_id: str
    instance_id: str | None
    code: ErrorCode


@dataclass(frozen=True, slots=True)
class LeaveOutcome:
    code: ErrorCode
    members: tuple[Left, ...] = ()


@dataclass(frozen=True, slots=True)
class OffsetsOutcome:
    """Of OffsetCommit and OffsetDelete: a code for the whole request, and one for each partition, as asked."""

    code: ErrorCode
    codes: tuple[ErrorCode, ...] = ()


Outcome = JoinOutcome | SyncOutcome | LeaveOutcome | OffsetsOutcome | ErrorCode


# --- events ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Join:
    """`needs_member_id`: who has none is given one and must come again (KIP-394). `can_skip_assignment`: a static
    leader that comes back may be told that nothing is to be assigned (KIP-814)."""

    ticket: Ticket
    group_id: str
    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocol_type: str
    protocols: Protocols
    needs_member_id: bool
    can_skip_assignment: bool

    def refused(self, code: ErrorCode) -> JoinOutcome:
        return JoinOutcome(code, self.member_id)


@dataclass(frozen=True, slots=True)
class Sync:
    """`assignments` by member id, from the leader only. Protocol type and name None: not said."""

    ticket: Ticket
    group_id: str
    generation: int
    member_id: str
    instance_id: str | None = None
    protocol_type: str | None = None
    protocol: str | None = None
    assignments: dict[str, bytes] = field(default_factory=dict[str, bytes])

    def refused(self, code: ErrorCode) -> SyncOutcome:
        return SyncOutcome(code)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    ticket: Ticket
    group_id: str
    generation: int
    member_id: str
    instance_id: str | None = None

    def refused(self, code: ErrorCode) -> ErrorCode:
        return code


@dataclass(frozen=True, slots=True)
class Leave:
    """`members` as (member id, instance id); an empty member id with an instance id removes whoever holds that."""

    ticket: Ticket
    group_id: str
    members: tuple[tuple[str, str | None], ...]

    def refused(self, code: ErrorCode) -> LeaveOutcome:
        return LeaveOutcome(code)


class NewOffset(NamedTuple):
    topic: str
    partition: int
    offset: int
    leader_epoch: int
    metadata: str


@dataclass(frozen=True, slots=True)
class Commit:
    """A generation below 0 without a member id is a simple consumer's. `retention_ms` -1: as the setting says."""

    ticket: Ticket
    group_id: str
    generation: int
    member_id: str
    instance_id: str | None
    offsets: tuple[NewOffset, ...]
    retention_ms: int = -1

    def refused(self, code: ErrorCode) -> OffsetsOutcome:
        return OffsetsOutcome(code, (code,) * len(self.offsets))


@dataclass(frozen=True, slots=True)
class DeleteOffsets:
    ticket: Ticket
    group_id: str
    partitions: tuple[tuple[str, int], ...]

    def refused(self, code: ErrorCode) -> OffsetsOutcome:
        return OffsetsOutcome(code)


@dataclass(frozen=True, slots=True)
class DeleteGroup:
    ticket: Ticket
    group_id: str

    def refused(self, code: ErrorCode) -> ErrorCode:
        return code


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class Appended:
    """The records of an `Append` are durable, and all that were asked before it."""

    append_id: int


@dataclass(frozen=True, slots=True)
class AppendFailed:
    """They are not in the log and never will be; `code` is the log's."""

    append_id: int
    code: ErrorCode


Request = Join | Sync | Heartbeat | Leave | Commit | DeleteOffsets | DeleteGroup
GroupRequest = Join | Sync | Heartbeat | Leave
Event = Request | Tick | Appended | AppendFailed


# --- effects --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    ticket: Ticket
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Append:
    """Append `records` (key and value, None for a tombstone) with the time `timestamp_ms` to the coordinator's
    partition, in this order and behind all asked before, in one batch or several, and report with `append_id` when
    they are durable as acks=all means it (or can't be)."""

    append_id: int
    timestamp_ms: int
    records: tuple[tuple[bytes, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class SyncStored:
    """A leader's assignment, which holds once it is stored."""

    generation: int
    assignments: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class RejoinStored:
    """A static member has a new id, which holds once it is stored; else it's turned back."""

    generation: int
    instance_id: str
    old_id: str
    new_id: str
    ticket: Ticket
    old_leader: str
    can_skip_assignment: bool


@dataclass(frozen=True, slots=True)
class Store:
    """Of a group to its coordinator: append this value, then call `stored` with `then`."""

    value: GroupValue
    then: SyncStored | RejoinStored | None


Effect = Answer | Append
GroupEffect = Answer | Store
OffsetChange = tuple[OffsetKey, OffsetValue | None]
