"""Small fleets to choose from, for the tests of policies."""

from hypothesis import strategies as st

from loadbalancer.policy_view import View
from loadbalancer.ring import Ring, RingMember, RingSpec, build_ring

NODES = (1, 2, 3, 4, 5)
MEMBERS = [RingMember(node_id, node_id) for node_id in NODES]
RINGS = (build_ring(RingSpec(), MEMBERS), build_ring(RingSpec("spec"), MEMBERS))
SUBSETS = st.frozensets(st.sampled_from(NODES))
LOADS = st.dictionaries(st.sampled_from(NODES), st.integers(0, 50))
WEIGHTS = st.dictionaries(st.sampled_from(NODES), st.integers(1, 9))
KEYS = st.integers(0, 999_999)


def view_of(
    *eligible: int,
    in_flight: dict[int, int] | None = None,
    weights: dict[int, int] | None = None,
    ring: Ring = RINGS[0],
) -> View:
    """Of the first ring, nothing in flight, all weights 1."""
    return View(ring, frozenset(eligible), in_flight if in_flight is not None else {}, weights or {})
