"""The members of one classic group, and what follows from who they are: the leader, the protocols that all share.

What holds: the leader is a member, or there are none; a static member's instance id belongs to exactly one member id;
every member supports at least one protocol that all others do, since who doesn't is not let in. Counts of who waits
and of who supports what are kept, not computed: a thousand members that join don't look at each other.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from server.group_words import Protocols, Ticket
from server.now import Now
from server.offset_records import StoredMember
from wire.errors import ErrorCode


@dataclass(slots=True)
class Member:
    """`expires_ms` is when its session ends (steady clock), unless it waits for an answer meanwhile. `is_new`: it has
    yet to hear its id, so that it can't send heartbeats, and its first join is what expires."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    session_timeout_ms: int
    rebalance_timeout_ms: int
    protocols: Protocols
    assignment: bytes = b""
    expires_ms: int = 0
    is_new: bool = False
    join_ticket: Ticket | None = None
    sync_ticket: Ticket | None = None

    @property
    def names(self) -> set[str]:
        return {name for name, _ in self.protocols}

    @property
    def can_expire(self) -> bool:
        """Whoever is parked is alive for all we know: its connection takes no heartbeat while it waits."""
        return self.is_new or (self.join_ticket is None and self.sync_ticket is None)

    def metadata(self, protocol: str | None) -> bytes:
        """What it said for `protocol`, to be handed on as it is."""
        return next((metadata for name, metadata in self.protocols if name == protocol), b"")


class Roster:
    """Members by id in the order of their arrival. `pending` are ids given away (KIP-394), and when they lapse."""

    __slots__ = ("_statics", "_support", "joining", "leader", "members", "pending")

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self.leader: str | None = None
        self.pending: dict[str, int] = {}
        self.joining: set[str] = set()
        self._statics: dict[str, str] = {}
        self._support: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self.members)

    def __contains__(self, member_id: str) -> bool:
        return member_id in self.members

    def static(self, instance_id: str) -> str | None:
        """The member id that holds an instance id."""
        return self._statics.get(instance_id)

    def check(self, member_id: str, instance_id: str | None) -> ErrorCode:
        """Whether this is a member, and as a static one the last that came under its instance id (KIP-345)."""
        if instance_id is not None:
            holder = self._statics.get(instance_id)
            if holder is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            if holder != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
        return ErrorCode.NONE if member_id in self.members else ErrorCode.UNKNOWN_MEMBER_ID

    # --- coming and going

    def add(self, member: Member) -> None:
        """A member that isn't one yet; the first leads."""
        assert member.member_id not in self.members
        self.pending.pop(member.member_id, None)
        self.members[member.member_id] = member
        if member.instance_id is not None:
            assert member.instance_id not in self._statics
            self._statics[member.instance_id] = member.member_id
        if self.leader is None:
            self.leader = member.member_id
        self._support.update(member.names)

    def remove(self, member: Member) -> None:
        del self.members[member.member_id]
        self.joining.discard(member.member_id)
        if member.instance_id is not None:
            del self._statics[member.instance_id]
        if self.leader == member.member_id:
            self.leader = next(iter(self.members), None)
        self._support.subtract(member.names)

    def rename(self, member: Member, new_id: str) -> None:
        """Give a static member that came back its new id; it keeps assignment, place and leadership."""
        assert member.instance_id is not None
        old_id = member.member_id
        self.members = {new_id if key == old_id else key: value for key, value in self.members.items()}
        member.member_id = new_id
        self._statics[member.instance_id] = new_id
        if old_id in self.joining:
            self.joining.remove(old_id)
            self.joining.add(new_id)
        if self.leader == old_id:
            self.leader = new_id

    def change(self, member: Member, protocols: Protocols, session_timeout_ms: int, rebalance_timeout_ms: int) -> None:
        """What a member says anew when it joins again."""
        self._support.subtract(member.names)
        member.protocols = protocols
        self._support.update(member.names)
        member.session_timeout_ms = session_timeout_ms
        member.rebalance_timeout_ms = rebalance_timeout_ms

    # --- waiting

    def park_join(self, member: Member, ticket: Ticket) -> Ticket | None:
        """Its earlier join that waits, if any: a retry on another connection takes its place."""
        earlier, member.join_ticket = member.join_ticket, ticket
        self.joining.add(member.member_id)
        return earlier

    def unpark_join(self, member: Member) -> Ticket | None:
        ticket, member.join_ticket = member.join_ticket, None
        self.joining.discard(member.member_id)
        return ticket

    @property
    def all_joined(self) -> bool:
        return len(self.joining) == len(self.members) and not self.pending

    def elect(self) -> bool:
        """Keep the leader if it has joined, else take the first that has. False when none has."""
        if self.leader not in self.joining:
            joined = next((member_id for member_id in self.members if member_id in self.joining), None)
            if joined is None:
                return False
            self.leader = joined
        return True

    # --- protocols

    def supports(self, names: Iterable[str]) -> bool:
        """Whether one of `names` is supported by all members."""
        return any(self._support[name] == len(self.members) for name in names)

    def choose(self) -> str:
        """The protocol for the next generation: of those that all share, the one most members prefer; of two, the
        one that the first of them prefers."""
        shared = {name for name, count in self._support.items() if count == len(self.members)}
        votes = Counter(
            next(name for name, _ in member.protocols if name in shared) for member in self.members.values()
        )
        return votes.most_common(1)[0][0]

    @property
    def rebalance_timeout_ms(self) -> int:
        """How long to wait for the slowest."""
        return max((member.rebalance_timeout_ms for member in self.members.values()), default=0)


# --- in the log ---------------------------------------------------------------------------------------------


def stored_member(member: Member, protocol: str | None, assignment: bytes | None) -> StoredMember:
    """What the log is to know of a member; its assignment that holds where there is no new one."""
    return StoredMember(
        member.member_id,
        member.instance_id,
        member.client_id,
        member.client_host,
        member.rebalance_timeout_ms,
        member.session_timeout_ms,
        member.metadata(protocol),
        member.assignment if assignment is None else assignment,
    )


def member_of(stored: StoredMember, protocol: str | None, now: Now) -> Member:
    """The member that the log knows, with a whole session time to be heard."""
    return Member(
        stored.member_id,
        stored.instance_id,
        stored.client_id,
        stored.client_host,
        stored.session_timeout_ms,
        stored.rebalance_timeout_ms,
        ((protocol or "", stored.subscription),),
        stored.assignment,
        now.steady_ms + stored.session_timeout_ms,
    )
