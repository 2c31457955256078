"""Slow start: a newcomer gets a tenth of its keys at first, and all of them after some seconds.

The problem: a replica that has just started has cold caches, no compiled code and no open connections. Given its whole
share at once it answers late, and those who wait for it blame the front door.

How: each key has a fixed place in [0, 1), `place_of`, by a hash that no policy uses. A newcomer takes those of its keys
whose place is below its share, which grows with time; the others stay with whoever had them: they are chosen for as if
it had not come yet, by the ring of that time. The place is the same for every newcomer and in every worker, so a key
moves once, to its new replica, and never back: affinity and order are kept. (Chosen at random for each request, as by a
growing weight, a key would go back and forth for ten seconds.) Envoy's slow start begins at a tenth too; HAProxy's
`slowstart` and nginx's `slow_start` grow from nothing.

What holds:
- nobody is left without a replica: where only newcomers are left to try, they are tried;
- a fleet of newcomers has nobody to spare them: they take all at once, and keep it (a cold start, as in the peers);
- a worker that has just started knows no newcomers: whom it finds, it takes as it finds;
- while nobody is new, the policy itself is asked, and this costs nothing.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from mmh3 import mmh3_32_uintdigest as murmur3

from loadbalancer.policy_view import NOBODY, Policy, View
from loadbalancer.ring_types import Ring
from loadbalancer.snapshot import Member

FIRST_SHARE = 0.1
"""Envoy's default (min_weight_percent): enough to warm up with, little enough to be slow with."""

_SEED = 0x510C_57A7
_SPAN = 1 << 32


class Newcomer(NamedTuple):
    """One that does not take all of its keys yet; they compare by share. `before` is the ring until it came."""

    share: float
    node_id: int
    before: Ring


def place_of(key: int) -> float:
    """Where in [0, 1) a key lies: a newcomer with a larger share takes it."""
    return murmur3(b"%d" % key, _SEED) / _SPAN


class Newcomers:
    """Who is new, as one worker sees it by control's snapshots; `now` is monotonic, in seconds.

    New is a replica that serves under another name than the one known at its node, or under the same after it was dead
    (a static backend). Whoever is in the first snapshot is known, serving or not; who was drained and comes back, too.
    """

    def __init__(self, duration_s: float) -> None:
        self._duration_s = duration_s
        self._now = float("-inf")
        self._known: dict[int, str] | None = None
        self._serving: frozenset[int] = frozenset()
        self._since: dict[int, tuple[float, Ring]] = {}
        self._spared: set[int] = set()  # newcomers that took all at once

    def apply(self, members: Iterable[Member], before: Ring, now: float) -> None:
        """Take a snapshot's members; `before` is the ring until now."""
        members = list(members)
        if self._known is None:
            self._known = {member.node_id: member.name for member in members}
        for member in members:
            if self._is_new(member, self._known):
                self._forget(member.node_id)
                self._since[member.node_id] = now, before
        self._serving = frozenset(member.node_id for member in members if member.routable)
        present = frozenset(member.node_id for member in members)
        for node in [*(self._known.keys() - present), *(self._since.keys() - present)]:
            self._known.pop(node, None)
            self._forget(node)

    def _is_new(self, member: Member, known: dict[int, str]) -> bool:
        node = member.node_id
        if member.routable:
            former, known[node] = known.get(node), member.name
            return former != member.name
        if node in self._serving and not member.draining:
            known.pop(node, None)  # it died, so whoever serves there next is new
            self._forget(node)
        return False

    def _forget(self, node: int) -> None:
        self._since.pop(node, None)
        self._spared.discard(node)

    def warming(self, eligible: Collection[int], now: float) -> list[Newcomer]:
        """Those among `eligible` that do not take all yet, smallest share first. A `now` that goes back counts as the
        last one: shares never shrink."""
        if not self._since:
            return []
        now = self._now = max(now, self._now)
        for node in [node for node, (since, _) in self._since.items() if now - since >= self._duration_s]:
            self._forget(node)
        if self._since.keys() >= set(eligible):
            self._spared.update(eligible)
        return sorted(self._newcomer(node) for node in eligible if node in self._since and node not in self._spared)

    def _newcomer(self, node: int) -> Newcomer:
        since, before = self._since[node]
        grown = max(0.0, self._now - since) / self._duration_s
        return Newcomer(FIRST_SHARE + (1 - FIRST_SHARE) * grown, node, before)


class SlowStartPolicy:
    """Another policy, whose choice of a newcomer is passed over unless that takes the key already.

    It holds for the view and the newcomers that it was made for: make a new one when either changes.
    """

    def __init__(self, policy: Policy, view: View, newcomers: Sequence[Newcomer]) -> None:
        self._policy = policy
        self._share_of = {newcomer.node_id: newcomer.share for newcomer in newcomers}
        self._shares = [newcomer.share for newcomer in newcomers]
        self._views = [_without(view, newcomers[:count]) for count in range(1, len(newcomers) + 1)]

    def choose(self, key: int, view: View, tried: Collection[int] = NOBODY) -> int | None:
        node = self._policy.choose(key, view, tried)
        if node not in self._share_of:
            return node
        place = place_of(key)
        if place < self._share_of[node]:
            return node
        refusing = bisect_right(self._shares, place)
        other = self._policy.choose(key, self._views[refusing - 1], tried)
        return node if other is None else other


def _without(view: View, newcomers: Sequence[Newcomer]) -> View:
    """The view before all of these had come: with the ring until the oldest did, who has the largest share."""
    left = view.eligible.difference(newcomer.node_id for newcomer in newcomers)
    return View(newcomers[-1].before, left, view.in_flight, view.weights)


def with_slow_start(policy: Policy, view: View, newcomers: Sequence[Newcomer]) -> Policy:
    """The policy to ask: the given one itself while nobody is new."""
    return SlowStartPolicy(policy, view, newcomers) if newcomers else policy
