"""What a new control makes of what it finds: the record says who should be there, the runtime who is.

Warm (control alone was away): who lives and is in the record stays as it was, so that a restart of control
restarts nobody; who is missing died meanwhile, and is replaced like anybody who dies. Cold (everything was
stopped): who is missing is started again under its old name. Either way a living one that nobody wants is a
leftover, and is killed; until it is gone, nothing is started on its node id. Without a record (first start,
or one that was lost) the living ones *are* the fleet: killing what serves, because a file is gone, would
turn a small loss into a large one.
"""

from loadbalancer import names
from loadbalancer.fleet_state import KILL_AGAIN_S, ROUTABLE, Place, State
from loadbalancer.fleet_words import Adopt, Kill, Started
from loadbalancer.instances import Instance
from loadbalancer.roster import Roster, static_instance

ALWAYS = float("-inf")
"""Since when an adopted healthy replica has been so: long enough for its death to be no crash loop."""


def take_over(roster: Roster, event: Started, recorded: bool, now: float) -> None:
    """The fleet as it goes on; every place that can be filled is filled or being filled afterwards."""
    if not roster.settings.respawns:
        _take_over_static(roster, event, recorded, now)
        return
    if not recorded:
        _seat_all(roster, event.instances, now)
    pairs, leftovers = _match(roster, event.instances)
    for leftover in leftovers:
        _end_leftover(roster, leftover, now)
    for place, instance in pairs:
        if instance is not None:
            _adopt(roster, place, instance, now)
        elif place.state is State.DRAINING:
            place.instance = None
            roster.vacate(place, "gone while control was away", now)
        else:
            _refill(roster, place, event.cold, now)
    while not recorded and roster.target() < roster.settings.replicas:
        place = roster.open_place(None, now)
        roster.launch(place, "first start", now, place.name)


def _seat_all(roster: Roster, instances: tuple[Instance, ...], now: float) -> None:
    for instance in sorted(instances, key=lambda instance: instance.node_id):
        place = roster.seat(instance, now)
        if place is not None:
            place.state = State.STARTING


def _match(
    roster: Roster, instances: tuple[Instance, ...]
) -> tuple[list[tuple[Place, Instance | None]], list[Instance]]:
    """Each place, by index, with its living incarnation if there is one; and the instances that have no
    place."""
    living = {names.fold(instance.name): instance for instance in instances}
    pairs: list[tuple[Place, Instance | None]] = []
    for place in roster.by_index():
        instance = living.get(names.fold(place.name))
        if instance is not None and _same(place, instance):
            del living[names.fold(place.name)]
            pairs.append((place, instance))
        else:
            pairs.append((place, None))
    return pairs, list(living.values())


def _same(place: Place, found: Instance) -> bool:
    """By handle; by node id where control went before it knew the handle."""
    return found.node_id == place.node_id and (place.instance is None or place.instance.handle == found.handle)


def _end_leftover(roster: Roster, leftover: Instance, now: float) -> None:
    roster.doom(leftover.name, leftover.node_id, leftover.handle, now + KILL_AGAIN_S)
    roster.abandoned.add(leftover.node_id)
    roster.emit(Kill(leftover.name, leftover.handle))
    roster.note("leftover", leftover.name, "not wanted: removed")


def _adopt(roster: Roster, place: Place, instance: Instance, now: float) -> None:
    settings = roster.settings
    place.instance, place.since = instance, now
    roster.touch()
    match place.state:
        case State.DEAD:  # ejected before, its end was not seen
            roster.tell_end(place)
            roster.kill(place, now)
            return
        case State.DRAINING:
            place.deadline = now + settings.drain_timeout_s
        case State.STARTING:
            place.deadline = now + settings.start_timeout_s
        case _:
            place.healthy_since = ALWAYS
    roster.emit(Adopt(place.name))
    roster.note("adopted", place.name, f"found alive, {place.state}")


def _refill(roster: Roster, place: Place, cold: bool, now: float) -> None:
    """Its incarnation is gone. A fenced place waits; the fleet launches it when the fence falls."""
    was_dead = place.state is State.DEAD
    place.state, place.since, place.instance, place.deadline = State.DEAD, now, None, now
    roster.tell_end(place)
    roster.touch()
    free = not roster.fenced(place.node_id) and names.fold(place.name) not in roster.doomed
    if cold and free:
        roster.launch(place, "started again", now, place.name)
    elif not cold and not was_dead:
        place.deaths = 1
        roster.note(State.DEAD, place.name, "gone while control was away")


def _take_over_static(roster: Roster, event: Started, recorded: bool, now: float) -> None:
    """On a new `up` the setting --backends rules over what /add and /rm made of it; known ones keep their
    ids."""
    if event.cold or not recorded:
        listed = {names.fold(instance.name) for instance in event.instances}
        known = {names.fold(place.name) for place in roster.by_index()}
        for place in roster.by_index():
            if names.fold(place.name) not in listed:
                roster.vacate(place, "not among the backends any more", now)
        for instance in event.instances:
            if names.fold(instance.name) not in known:
                roster.open_place(instance.name, now)
        for place in roster.by_index():
            place.weight = dict(roster.settings.weights).get(place.name, 1)
    for place in roster.by_index():
        _take_over_backend(roster, place, event.cold, now)


def _take_over_backend(roster: Roster, place: Place, cold: bool, now: float) -> None:
    roster.touch()
    if place.state is State.DRAINING:
        place.instance = None
        roster.vacate(place, "removed by /rm before control was away", now)
    elif place.state in ROUTABLE and not cold:
        place.instance, place.healthy_since, place.since = static_instance(place), ALWAYS, now
        roster.emit(Adopt(place.name))
    else:
        place.state, place.instance = State.DEAD, None
        roster.launch(place, "taken in", now, place.name)
