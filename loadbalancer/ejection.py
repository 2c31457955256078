"""Which replicas a worker lets requests go to: control's word, what the worker itself sees, and the panic
threshold.

The problem: control learns of a death by missed heartbeats, up to a second late; a refused connection is
known at once. So the worker vetoes by itself (passive ejection), but such signs may lie: one request that
kills whoever serves it looks like a fleet that is dying. Hence the bounds.

Invariants:
- at most half of the fleet is ejected by passive signs;
- an ejection lasts 1 s, then 2, 4 … 30 s, and ends by one successful trial, or because another instance fills
  the place;
- with less than the panic threshold healthy, requests go to everyone who has an address, but not to one that
  refused the last connection and has not answered since: nobody listens there, and trying would only use up
  tries. If all have refused, they go to all.

A core without clocks: `now` is monotonic, in seconds. What it decides is `eligible`; whoever calls carries it
out.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from loadbalancer.snapshot import Member

STRIKES = 3
"""Resets and time-outs in a row until an ejection; one alone may be a pooled connection's natural end."""
FIRST_EJECTION_S = 1.0
LONGEST_EJECTION_S = 30.0
TRIAL_PATIENCE_S = 1.0
"""A trial without an answer has failed after this time."""


@dataclass(slots=True)
class Sight:
    """What a worker has seen of one replica. `until` is when the next trial is due, if `ejected` or
    `refusing`."""

    member: Member
    strikes: int = 0
    ejected: bool = False
    refusing: bool = False
    duration_s: float = 0.0
    until: float = 0.0
    trial: bool = False

    @property
    def down(self) -> bool:
        return self.ejected or self.refusing


class Ejections:
    """The worker's view of the fleet. `eligible` is replaced, never changed; it is empty only if no place has
    an address."""

    def __init__(self, panic_threshold: float) -> None:
        self.eligible: frozenset[int] = frozenset()
        self.panicking = False
        self._panic_threshold = panic_threshold
        self._sights: dict[int, Sight] = {}

    def apply(self, members: Iterable[Member]) -> None:
        """Take a new layout. What was seen of an instance is kept while name, host and port stay the same."""
        self._sights = {member.node_id: self._carry_over(member) for member in members}
        self._judge()

    def _carry_over(self, member: Member) -> Sight:
        sight = self._sights.get(member.node_id)
        if sight is None or _identity(sight.member) != _identity(member):
            return Sight(member)
        sight.member = member
        return sight

    def refused(self, node_id: int, now: float) -> bool:
        """A connection was refused. True if this ejects the replica."""
        sight = self._sights.get(node_id)
        if sight is None or sight.ejected:
            return False
        if not sight.refusing:
            sight.refusing = True
            self._postpone(sight, now)
            self._judge()
        return self._eject(sight, now)

    def failed(self, node_id: int, now: float) -> bool:
        """A request under way was reset or timed out. True if this ejects the replica."""
        sight = self._sights.get(node_id)
        if sight is None or sight.ejected:
            return False
        sight.strikes += 1
        return sight.strikes >= STRIKES and self._eject(sight, now)

    def told(self, node_id: int, name: str, now: float) -> bool:
        """Another worker has ejected that instance. True if it is ejected here now by this word."""
        sight = self._sights.get(node_id)
        if sight is None or sight.ejected or sight.member.name != name:
            return False
        return self._eject(sight, now)

    def answered(self, node_id: int, trial: bool = False) -> bool:
        """It gave an answer: its strikes are forgotten. True if that ends an ejection, which only a trial does:
        a replica that has closed its listener may still be answering what it had."""
        sight = self._sights.get(node_id)
        if sight is None or (sight.ejected and not trial):
            return False
        was_ejected = sight.ejected
        self._sights[node_id] = Sight(sight.member)
        if sight.down:
            self._judge()
        return was_ejected

    def unsettled(self, node_id: int) -> bool:
        """Whether an answer of this replica would change anything."""
        sight = self._sights.get(node_id)
        return sight is not None and (sight.strikes > 0 or sight.down)

    def due(self, now: float) -> list[int]:
        """Replicas whose trial is due; each is given out once until `answered` or `trial_failed`."""
        ready = [node for node, sight in self._sights.items() if self._is_due(sight, now)]
        for node in ready:
            self._sights[node].trial = True
        return ready

    def _is_due(self, sight: Sight, now: float) -> bool:
        return sight.down and not sight.trial and now >= sight.until and sight.member.port != 0

    def trial_failed(self, node_id: int, now: float) -> None:
        """The trial brought no answer: the ejection goes on, twice as long."""
        sight = self._sights.get(node_id)
        if sight is not None and sight.down:
            sight.trial = False
            self._postpone(sight, now)

    def ejected(self) -> frozenset[int]:
        return frozenset(node for node, sight in self._sights.items() if sight.ejected)

    def _eject(self, sight: Sight, now: float) -> bool:
        if 2 * (len(self.ejected()) + 1) > len(self._sights):
            return False
        sight.ejected = True
        sight.strikes = 0
        if not sight.refusing:
            self._postpone(sight, now)
        self._judge()
        return True

    def _postpone(self, sight: Sight, now: float) -> None:
        sight.duration_s = min(max(2 * sight.duration_s, FIRST_EJECTION_S), LONGEST_EJECTION_S)
        sight.until = now + sight.duration_s

    def _judge(self) -> None:
        staying = [sight for sight in self._sights.values() if not sight.member.draining]
        healthy = [sight for sight in staying if sight.member.routable and sight.member.port and not sight.ejected]
        self.panicking = len(healthy) < self._panic_threshold * len(staying)
        self.eligible = _nodes(_in_panic(staying) if self.panicking else healthy)


def _in_panic(staying: list[Sight]) -> list[Sight]:
    addressed = [sight for sight in staying if sight.member.port]
    return [sight for sight in addressed if not sight.refusing] or addressed


def _nodes(sights: Iterable[Sight]) -> frozenset[int]:
    return frozenset(sight.member.node_id for sight in sights)


def _identity(member: Member) -> tuple[str, str, int]:
    return member.name, member.host, member.port
