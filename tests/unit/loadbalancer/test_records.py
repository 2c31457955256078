import json
import unittest

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.fleet_state import Place, State
from loadbalancer.instances import Instance
from loadbalancer.records import Counters, dump_place, load, to_json

INSTANCES = st.builds(
    Instance, st.text(), st.integers(), st.integers(), st.text(), st.integers(), st.text(),
    st.none() | st.integers(), st.none() | st.text(),
)  # fmt: skip
PLACES = st.builds(
    Place, st.integers(), st.integers(), st.text(), st.just(0.0), st.sampled_from(State), st.integers(1, 100),
    st.booleans(), instance=st.none() | INSTANCES, slot=st.integers(-1, 63),
)  # fmt: skip


class TestRecords(unittest.TestCase):
    @given(st.builds(Counters, st.integers(), st.integers(), st.integers()), st.lists(PLACES, max_size=3))
    def test_comes_back_as_it_went_but_for_suspicion(self, counters: Counters, places: list[Place]) -> None:
        record = to_json(counters, [dump_place(place) for place in places])
        loaded_counters, loaded = load(json.loads(json.dumps(record)))
        for place in places:
            place.state = State.HEALTHY if place.state is State.SUSPECT else place.state
        self.assertEqual((loaded_counters, loaded), (counters, places))

    def test_what_it_could_not_have_made_is_a_value_error(self) -> None:
        good = to_json(Counters(), [dump_place(Place(1, 1, "a", 0.0))])
        place = good["places"][0]
        for damaged in (
            {},
            {**good, "format": 2},
            {**good, "places": None},
            {**good, "places": [{}]},
            {**good, "places": [{**place, "state": "merry"}]},
            {**good, "places": [{**place, "weight": 0}]},
            {**good, "places": [{**place, "instance": {"odd": 1}}]},
            {**good, "next_index": None},
        ):
            with self.assertRaises(ValueError):
                load(damaged)
