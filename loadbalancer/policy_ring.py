"""The policies that go by the ring: the key's owner and, where that may not be, whoever follows clockwise."""

from collections.abc import Callable, Collection, Iterator

from loadbalancer.policy_view import NOBODY, View


class RingPolicy:
    """The key's owner, and clockwise from it whoever may: equal keys meet on equal replicas."""

    def choose(self, key: int, view: View, tried: Collection[int] = NOBODY) -> int | None:
        eligible = view.eligible
        if not eligible:
            return None
        owner = view.ring.owner(key)
        if owner in eligible and owner not in tried:
            return owner
        return next(_candidates(key, view, tried), None)


class BoundedPolicy:
    """Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam 2018), factor 1.25.

    No replica gets beyond 1.25 times its part, by weight, of all requests under way; what would overflow
    goes on clockwise. So a hot key spreads just as far as it must. A retry takes whoever is left, full or
    not, as it would otherwise fail for want of room that the untried can't give.
    """

    def choose(self, key: int, view: View, tried: Collection[int] = NOBODY) -> int | None:
        if not view.eligible:
            return None
        owner = view.ring.owner(key)
        may = owner in view.eligible and owner not in tried
        if may and not view.in_flight.get(owner, 0):
            return owner  # the bound is never below 1, so there is no need to add up
        room = _room(view)
        return owner if may and room(owner) else _first_with_room(_candidates(key, view, tried), room)


def _candidates(key: int, view: View, tried: Collection[int]) -> Iterator[int]:
    eligible = view.eligible
    for node_id in view.ring.successors(key):
        if node_id in eligible and node_id not in tried:
            yield node_id


def _first_with_room(candidates: Iterator[int], room: Callable[[int], bool]) -> int | None:
    """The first candidate if none has room, None if there is no candidate."""
    first = None
    for node_id in candidates:
        if room(node_id):
            return node_id
        first = node_id if first is None else first
    return first


def _room(view: View) -> Callable[[int], bool]:
    """Whether a replica's load is below ceil(5/4 · (all under way + this one) · weight / all weight).

    Cross-multiplied, in integers: an integer is below ceil(x) just when it is below x.
    """
    flying, weights = view.in_flight.get, view.weights.get
    budget = 5 * (sum([flying(node_id, 0) for node_id in view.eligible]) + 1)
    divisor = 4 * view.total_weight
    return lambda node_id: divisor * flying(node_id, 0) < budget * weights(node_id, 1)
