"""The fleet's record: what is kept on disk so that a new control finds its fleet again, as plain JSON.

Only what can't be seen by looking: who has which seat, which incarnation was last there, and the counters.
Whether it still lives, the runtime says. A suspect is recorded as healthy, so that a wavering replica
doesn't wear out the disk.
"""

from dataclasses import asdict, dataclass
from typing import Any

from loadbalancer.fleet_state import ROUTABLE, Place, State
from loadbalancer.instances import Instance
from loadbalancer.ring import MAX_WEIGHT

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Counters:
    """The next ones to be given out; they only grow, so that an id never comes to mean another place."""

    next_node_id: int = 1
    next_index: int = 1
    next_number: int = 1


def to_json(counters: Counters, places: list[dict[str, Any]]) -> dict[str, Any]:
    """{"format": 1, "next_node_id", "next_index", "next_number", "places": [as dump_place makes them]}."""
    return {"format": FORMAT, **asdict(counters), "places": places}


def dump_place(place: Place) -> dict[str, Any]:
    """{"name", "node_id", "index", "weight", "drained", "leaving", "slot", "state", "instance": {its fields} or
    None}."""
    return {
        "name": place.name,
        "node_id": place.node_id,
        "index": place.index,
        "weight": place.weight,
        "drained": place.drained,
        "leaving": place.leaving,
        "slot": place.slot,
        "state": str(State.HEALTHY if place.state in ROUTABLE else place.state),
        "instance": asdict(place.instance) if place.instance else None,
    }


def load(data: dict[str, Any]) -> tuple[Counters, list[Place]]:
    """The inverse of to_json. Raises ValueError, naming what is wrong, on anything that it could not have
    made."""
    try:
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']} is not {FORMAT}")
        places = [_load_place(raw) for raw in data["places"]]
        counters = Counters(int(data["next_node_id"]), int(data["next_index"]), int(data["next_number"]))
    except (KeyError, TypeError, AttributeError) as fault:
        raise ValueError(f"the fleet's record can't be read: {fault!r}") from fault
    return counters, places


def _load_place(raw: dict[str, Any]) -> Place:
    weight = int(raw["weight"])
    if not 1 <= weight <= MAX_WEIGHT:
        raise ValueError(f"weight {weight} is not from 1 to {MAX_WEIGHT}")
    instance = Instance(**raw["instance"]) if raw["instance"] else None
    place = Place(int(raw["node_id"]), int(raw["index"]), str(raw["name"]), since=0.0, weight=weight)
    place.drained, place.state, place.instance = bool(raw["drained"]), State(raw["state"]), instance
    place.leaving = bool(raw.get("leaving", False))  # records of 0.1.0 have neither
    place.slot = int(raw.get("slot", -1))
    return place
