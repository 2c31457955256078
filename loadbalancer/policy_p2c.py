"""The power of two choices (Mitzenmacher 2001): even load for who wants no affinity."""

from collections.abc import Callable, Collection
from random import random

from loadbalancer.policy_view import NOBODY, View


class LeastOfTwoPolicy:
    """The less loaded, by requests in flight for each unit of weight, of two drawn at random by weight.

    The draws don't depend on the key: a client behind one address or a hot key would otherwise know but two
    replicas, and who chooses this policy wants even load, not affinity. As nginx and Envoy do. `draw` gives
    0 ≤ x < 1.
    """

    def __init__(self, draw: Callable[[], float] = random) -> None:
        self._draw = draw

    def choose(self, key: int, view: View, tried: Collection[int] = NOBODY) -> int | None:
        if tried:
            left = view.eligible.difference(tried)
            view = View(view.ring, left, view.in_flight, view.weights)
        tickets, total = view.tickets, view.total_weight
        if len(view.eligible) < 2:
            return tickets[0] if tickets else None
        one = tickets[int(self._draw() * total)]
        other = self._other(one, view)
        flying, weights = view.in_flight.get, view.weights.get
        heavier = flying(one, 0) * weights(other, 1) > flying(other, 0) * weights(one, 1)
        return other if heavier else one

    def _other(self, one: int, view: View) -> int:
        """A second draw, from the tickets that aren't the first one's."""
        own, begin = view.weights.get(one, 1), view.first_ticket[one]
        place = int(self._draw() * (view.total_weight - own))
        return view.tickets[place if place < begin else place + own]
