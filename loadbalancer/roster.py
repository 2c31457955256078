"""Who is in the fleet, and the few moves that change it.

The roster owns all places and all doomed incarnations; the machine (fleet.py) and the queue of changes
(changes.py) decide and call its moves, so that the rules that must never break are kept in one place:

- names (whatever the case), node ids and indexes are unique, names also against what is doomed but not yet
  gone;
- a node id is spawned only when nothing else of that node id can be alive (fenced);
- a state follows another only as TRANSITIONS allows.

N is not stored: it *is* the number of wanted places. A counter beside them could disagree with them.
"""

from collections.abc import Iterable
from typing import Any

from loadbalancer import names
from loadbalancer.backoff import deaths_in_a_row, delay_s
from loadbalancer.fleet_state import (
    KILL_AGAIN_S,
    STOP_SLACK_S,
    TRANSITIONS,
    Doomed,
    FleetSettings,
    Place,
    State,
)
from loadbalancer.fleet_words import ORDER, Discard, Effect, Ended, Kill, Muted, Note, Publish, Spawn, Stop
from loadbalancer.instances import Instance, ReplicaSpec
from loadbalancer.records import Counters, dump_place, to_json
from loadbalancer.snapshot import Member


class Roster:
    """Places by node id, doomed incarnations by folded name, the counters, and the effects gathered in this
    step."""

    def __init__(self, settings: FleetSettings) -> None:
        self.settings = settings
        self.places: dict[int, Place] = {}
        self.doomed: dict[str, Doomed] = {}
        self.reserved: frozenset[str] = frozenset(names.fold(name) for name in settings.reserved_names)
        self.claimed: frozenset[str] = frozenset()  # folded names that waiting /adds ask for
        self.next_node_id = 1
        self.next_index = 1
        self.next_number = 1
        self.holders: frozenset[int] | None = None  # node ids with data of the queue; None: not known yet
        self.parting: frozenset[int] = frozenset()  # those that the queue knows to be leaving
        self.abandoned: set[int] = set()  # node ids that left for good; discarded when nothing of them lives
        self._effects: list[Effect] = []
        self._touched = False
        self._record: dict[str, Any] | None = None
        self._published: tuple[Member, ...] | None = None

    # --- questions

    def target(self) -> int:
        """N: how many there shall be."""
        return sum(place.wanted for place in self.places.values())

    def by_index(self) -> list[Place]:
        return sorted(self.places.values(), key=lambda place: place.index)

    def named(self, name: str) -> Place | None:
        folded = names.fold(name)
        return next((place for place in self.places.values() if names.fold(place.name) == folded), None)

    def taken(self) -> set[str]:
        """Folded names that nothing new may have."""
        return {names.fold(place.name) for place in self.places.values()} | self.doomed.keys() | self.reserved

    def fenced(self, node_id: int) -> bool:
        """An incarnation of this node id may still be alive beside its place's own."""
        return any(doomed.node_id == node_id for doomed in self.doomed.values())

    def members(self) -> tuple[Member, ...]:
        """The layout for a snapshot, by node id; who is on trial in an /add is not in it yet."""
        chosen = (place for place in self.places.values() if not place.joining)
        return tuple(_member(place) for place in sorted(chosen, key=lambda place: place.node_id))

    def dump(self) -> dict[str, Any]:
        """What must survive control (records.py); not to be changed by the caller, the same object until it
        changes.

        Places on trial in an /add are left out: to the next control they are leftovers.
        """
        if self._record is None:
            kept = [dump_place(place) for place in self.by_index() if not place.joining]
            self._record = to_json(Counters(self.next_node_id, self.next_index, self.next_number), kept)
        return self._record

    # --- effects

    def emit(self, effect: Effect) -> None:
        self._effects.append(effect)

    def note(self, kind: str, replica: str, reason: str) -> None:
        self.emit(Note(kind, replica, reason))

    def tell_end(self, place: Place) -> None:
        """To the queue: whatever sat there serves no more."""
        if self.settings.queue:
            self.emit(Ended(place.node_id))

    def touch(self) -> None:
        """Something that the record or the members show may have changed in this step."""
        self._touched = True
        self._record = None

    def take_effects(self) -> list[Effect]:
        """The step's effects in ORDER, with a Publish if the members differ from those last published."""
        if self._touched:
            self._touched = False
            members = self.members()
            if members != self._published:
                self._published = members
                self.emit(Publish())
        effects, self._effects = self._effects, []
        return sorted(effects, key=lambda effect: ORDER[type(effect)])

    # --- moves

    def shift(self, place: Place, state: State, reason: str, now: float) -> None:
        """Into another state, noted. The deadline is the caller's to set: it means something else in each
        state."""
        assert state in TRANSITIONS[place.state], (place.state, state)
        self._unmute(place)
        place.state, place.reason, place.since, place.deadline = state, reason, now, None
        self.note(state, place.name, reason)
        if state is State.DEAD:
            self.tell_end(place)
        self.touch()

    def mute(self, place: Place, reason: str, now: float) -> None:
        """Out of routing, and of what others can lead, but not given up yet."""
        if place.state is State.HEALTHY:
            self.shift(place, State.SUSPECT, reason, now)
        place.mute, place.reason = True, reason
        self.note("mute", place.name, f"out of routing: {reason}")
        if self.settings.queue:
            self.emit(Muted(place.node_id, True))
        self.touch()

    def _unmute(self, place: Place) -> None:
        if place.mute:
            place.mute = False
            if self.settings.queue:
                self.emit(Muted(place.node_id, False))

    def open_place(self, name: str | None, now: float, *, joining: bool = False) -> Place:
        """A new seat with fresh ids and, if none is given, a generated name; nothing sits there yet."""
        place = Place(self.next_node_id, self.next_index, name or self._generate(), now, joining=joining)
        place.weight = dict(self.settings.weights).get(place.name, 1)
        self.next_node_id += 1
        self.next_index += 1
        self.places[place.node_id] = place
        self.touch()
        return place

    def seat(self, instance: Instance, now: float) -> Place | None:
        """A seat for a living instance that no record knows, under its own ids; None if these are not
        free."""
        taken = instance.node_id in self.places or names.fold(instance.name) in self.taken()
        if taken or any(place.index == instance.index for place in self.places.values()):
            return None
        place = Place(instance.node_id, instance.index, instance.name, now)
        if not any(other.slot == instance.slot for other in self.places.values()):
            place.slot = instance.slot
        self.places[place.node_id] = place
        self.next_node_id = max(self.next_node_id, place.node_id + 1)
        self.next_index = max(self.next_index, place.index + 1)
        return place

    def launch(self, place: Place, reason: str, now: float, name: str | None = None) -> None:
        """The next incarnation of an empty, unfenced place, under `name` or a generated one."""
        assert place.instance is None and not self.fenced(place.node_id), place
        place.name = name or self._generate()
        place.streak, place.healthy_since = 0, None
        self.shift(place, State.STARTING, reason, now)
        if not 0 <= place.slot < self.settings.queue_slots:
            place.slot = self._free_slot()
        if self.settings.respawns:
            spec = ReplicaSpec(place.name, place.node_id, place.index, place.slot)
            self.emit(Spawn(spec, replaces=place.deaths > 0))
        else:
            self.occupy(place, static_instance(place), now)

    def occupy(self, place: Place, instance: Instance, now: float) -> None:
        """The spawn has come true; from now on it has start_timeout_s to get healthy."""
        place.instance = instance
        place.deadline = now + self.settings.start_timeout_s
        self.touch()

    def bury(self, place: Place, reason: str, now: float) -> None:
        """The incarnation is proven gone: dead, to be replaced at once or after the crash loop's delay."""
        if place.state is not State.DEAD:
            self.shift(place, State.DEAD, reason, now)
        place.deaths = deaths_in_a_row(place.deaths, place.healthy_since, now)
        place.failed_starts = place.failed_starts + 1 if place.healthy_since is None else 0
        place.instance, place.healthy_since, place.streak = None, None, 0
        wait_s = delay_s(place.deaths, place.failed_starts)
        place.deadline = now + wait_s
        if wait_s > 0:
            told = f"{place.deaths} deaths in a row, next try in {wait_s:g} s: {reason}"
            place.reason = f"crash loop: {told}"
            self.note("crash-loop", place.name, told)
        self.touch()

    def condemn(self, place: Place, reason: str, now: float) -> None:
        """Ejected; what runs there is killed, and the place waits for its proven end. A static one just
        waits."""
        self.shift(place, State.DEAD, reason, now)
        if self.settings.respawns:
            self.kill(place, now)

    def kill(self, place: Place, now: float) -> None:
        """End what runs at a dead place; asked for again if its end isn't told."""
        assert place.state is State.DEAD and place.instance is not None, place
        self.emit(Kill(place.name, place.instance.handle))
        place.deadline = now + KILL_AGAIN_S

    def part(self, place: Place, now: float) -> None:
        """Out of the fleet for good, once the queue's data is elsewhere."""
        if not self.settings.queue:
            self.drain(place, now)
            return
        place.leaving, place.reason = True, "leaves when its partitions are elsewhere"
        self.note("leaving", place.name, "its partitions are moved away first")
        self.touch()

    def is_empty(self, place: Place) -> bool:
        """Whether a leaving place has given everything away."""
        if not self.settings.queue:
            return True
        known = self.holders is not None and place.node_id in self.parting
        return known and place.node_id not in (self.holders or ())

    def drain(self, place: Place, now: float) -> None:
        """Out of the fleet for good: at once if nothing serves there, else when its requests are finished."""
        if place.state is State.DEAD or place.spawning:
            self.vacate(place, "removed", now)
            return
        self.shift(place, State.DRAINING, "removed by /rm", now)
        place.deadline = now + self.settings.drain_timeout_s

    def cut(self, place: Place, reason: str, now: float) -> None:
        """A draining place is stopped now; its place goes when it is gone."""
        if not self.settings.respawns:
            self.vacate(place, reason, now)
            return
        assert place.instance is not None, place
        place.stopping = True
        place.deadline = now + self.settings.stop_grace_s + STOP_SLACK_S
        self.emit(Stop(place.name, place.instance.handle, self.settings.stop_grace_s))

    def vacate(self, place: Place, reason: str, now: float) -> None:
        """Give up the seat; an incarnation that may still live there is doomed."""
        del self.places[place.node_id]
        self.note("removed", place.name, reason)
        self.tell_end(place)
        self.touch()
        if self.settings.respawns:
            self.abandoned.add(place.node_id)
        if not self.settings.respawns or (place.instance is None and not place.spawning):
            return
        if place.spawning:
            self.doom(place.name, place.node_id, None, None)
        else:
            assert place.instance is not None
            self._end(place, place.instance, now)

    def discard_abandoned(self) -> None:
        """What is still alive somewhere keeps its data until it is gone."""
        for node_id in sorted(self.abandoned):
            if node_id in self.places:
                self.abandoned.discard(node_id)
            elif not self.fenced(node_id):
                self.abandoned.discard(node_id)
                self.emit(Discard(node_id))

    def doom(self, name: str, node_id: int, handle: str | None, again_at: float | None) -> None:
        self.doomed[names.fold(name)] = Doomed(name, node_id, handle, again_at)

    def _end(self, place: Place, instance: Instance, now: float) -> None:
        """A newcomer taken back is stopped, what did not stop is killed, and a dead one has been killed
        already."""
        grace_s = self.settings.stop_grace_s
        polite = place.state is not State.DEAD and not place.stopping
        if polite:
            self.emit(Stop(place.name, instance.handle, grace_s))
        elif place.stopping:
            self.emit(Kill(place.name, instance.handle))
        again_at = now + (grace_s + STOP_SLACK_S if polite else KILL_AGAIN_S)
        self.doom(place.name, place.node_id, instance.handle, again_at)

    def _generate(self) -> str:
        name, self.next_number = names.generate(
            self.next_number, self.taken() | self.claimed, self.settings.name_prefix
        )
        return name

    def _free_slot(self) -> int:
        """The lowest that no place has; -1: all are taken, or there are none."""
        taken = {place.slot for place in self.places.values()}
        return next((slot for slot in range(self.settings.queue_slots) if slot not in taken), -1)

    def check(self, *, loading: bool = False) -> None:
        """AssertionError if an invariant is broken; for tests, after each step.

        `loading`: a record; its places may have been between two incarnations, which is no contradiction.
        """
        places = list(self.places.values())
        _check_unique([names.fold(place.name) for place in places], "name")
        _check_unique([place.index for place in places], "index")
        _check_unique([place.slot for place in places if place.slot >= 0], "slot")
        for node_id, place in self.places.items():
            assert place.node_id == node_id < self.next_node_id and place.index < self.next_index, place
            assert not (place.spawning and self.fenced(node_id)), f"spawned beside a living one: {place}"
            assert loading or place.state is State.DEAD or place.instance is not None or place.spawning, place
            assert place.state is State.DRAINING or not place.stopping, place
        shared = {names.fold(place.name) for place in places if place.state is not State.DEAD} & self.doomed.keys()
        assert not shared, f"a doomed incarnation's name is in use: {shared}"


def static_instance(place: Place) -> Instance:
    """A static backend is its name: HOST:PORT, which is also its handle."""
    host, port = names.parse_backend(place.name)
    return Instance(place.name, place.node_id, place.index, host, port, place.name)


def _member(place: Place) -> Member:
    instance = place.instance
    return Member(
        place.node_id,
        place.index,
        place.name,
        instance.host if instance else "",
        instance.port if instance else 0,
        place.weight,
        routable=place.routable,
        draining=place.shown is State.DRAINING,
        queue_slot=place.slot,
    )


def _check_unique(values: Iterable[str | int], what: str) -> None:
    listed = list(values)
    assert len(set(listed)) == len(listed), f"{what} used twice: {listed}"
