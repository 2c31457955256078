"""The fleet: what is wanted against what is seen, as a machine without sockets, clocks or tasks.

`step(event, now)` takes one event and returns the effects to be carried out, in order. Each step first
hears the event, then settles: whatever is due by now is done, whoever's event it was that made it due. So
the machine is level-triggered, like a Kubernetes controller: a lost timer or an event told twice can't
leave a place empty; the next step repairs it.

What holds after each step (roster.py's `check`):
- N is kept: every wanted place is filled, being filled, or waiting for a reason that it tells (a fence, a
  backoff);
- fenced: a place is spawned only after its former incarnation, or any other of its node id, is proven gone;
- ejected before replaced: a dead replica is published as not routable in the step that kills it, or earlier;
- a replacement has a new name and the old node id and index, so no key moves but the dead one's own, and
  back.

Not taken: one timer or task for each replica (their orders can't be tested, and cancellation would need a
fence of its own), and replacing on suspicion alone, which two live owners of one data directory would pay
for.
"""

from typing import Any

from loadbalancer import names, records
from loadbalancer.adoption import take_over
from loadbalancer.changes import Changes, replicas
from loadbalancer.commands import BadCommand, check_weight
from loadbalancer.fleet_state import KILL_AGAIN_S, FleetSettings, Place, State
from loadbalancer.fleet_words import (
    AddRequested,
    Answer,
    Drained,
    DrainRequested,
    Effect,
    Event,
    Exited,
    Holdings,
    Kill,
    Probed,
    RemoveRequested,
    Setting,
    Spawned,
    SpawnFailed,
    Started,
    Tick,
    UndrainRequested,
    WeightRequested,
)
from loadbalancer.health import ProbeTarget, longer, verdict
from loadbalancer.instances import Instance
from loadbalancer.roster import Roster
from loadbalancer.snapshot import Member


class Fleet:
    """The machine. Make it, `load` the record if there is one, then `step` with Started first of all.

    Times are seconds of any clock that doesn't go back; all calls must use the same one.
    """

    def __init__(self, settings: FleetSettings) -> None:
        self._settings = settings
        self._roster = Roster(settings)
        self._changes = Changes(self._roster)
        self._recorded = False
        self._started = False
        # Ends told too early: before Started (handles), before Spawned (by folded name: handle, reason).
        self._gone_early: set[str] = set()
        self._exited_early: dict[str, tuple[str, str]] = {}

    # --- what the shell keeps and shows

    def load(self, record: dict[str, Any]) -> None:
        """Take up a record of `dump`'s, before Started. Raises ValueError, and takes nothing, if it is
        damaged."""
        assert not self._started, "load comes before Started"
        counters, places = records.load(record)
        roster = Roster(self._settings)
        roster.next_node_id, roster.next_index = counters.next_node_id, counters.next_index
        roster.next_number = counters.next_number
        roster.places = {place.node_id: place for place in places}
        try:
            assert len(places) == len(roster.places), "a node id is used twice"
            roster.check(loading=True)
        except AssertionError as fault:
            raise ValueError(f"the fleet's record contradicts itself: {fault}") from fault
        self._roster, self._changes, self._recorded = roster, Changes(roster), True

    def dump(self) -> dict[str, Any]:
        """The record to be kept, plain JSON (records.py); the identical object as long as nothing in it
        changed."""
        return self._roster.dump()

    def members(self) -> tuple[Member, ...]:
        """The layout for a snapshot, by node id."""
        return self._roster.members()

    def target(self) -> int:
        """N."""
        return self._roster.target()

    def replicas(self) -> dict[str, Any]:
        """The message of GET /rep: {"N": 3, "replicas": [names by index, without the dead and the
        leaving]}."""
        return replicas(self._roster)

    def view(self) -> dict[str, Any]:
        """{"target": 3, "replicas": [{"name", "node_id", "index", "state", "reason", "address", "pid", "container",
        "since", "weight", "drained"}]} by index, those on trial and on their way out too; `since` is a time
        of step's clock."""
        return {"target": self.target(), "replicas": [_row(place) for place in self._roster.by_index()]}

    def nodes(self) -> tuple[frozenset[int], frozenset[int], frozenset[int]]:
        """The node ids that are (wanted, on their way out, on trial in an /add)."""
        places = self._roster.places.values()
        wanted = frozenset(place.node_id for place in places if place.wanted)
        joining = frozenset(place.node_id for place in places if place.joining)
        return wanted, frozenset(place.node_id for place in places) - wanted - joining, joining

    def probe_targets(self) -> list[ProbeTarget]:
        """Whom to ask for a heartbeat now."""
        return [
            ProbeTarget(
                place.name, instance.handle, instance.host, instance.port, place.state is State.STARTING, place.node_id
            )
            for place in self._roster.places.values()
            if (instance := place.instance) is not None and self._is_probed(place)
        ]

    def deadline(self) -> float | None:
        """When the next Tick is due, if nothing else happens; None: never."""
        places = (place.deadline for place in self._roster.places.values() if not self._is_held(place))
        doomed = (doomed.again_at for doomed in self._roster.doomed.values())
        times = [at for at in (*places, *doomed) if at is not None]
        return min((*times, *self._changes.deadlines()), default=None)

    @property
    def busy(self) -> bool:
        """Whether an /add or /rm is under way or waits (for tests: then N may be between two values)."""
        return self._changes.busy

    def check(self) -> None:
        """AssertionError if an invariant is broken (for tests, after each step)."""
        self._roster.check()

    # --- the machine

    def step(self, event: Event, now: float) -> list[Effect]:
        """Hear `event`, do what is due at `now`, and say what is to be done. Never raises over what an
        event says."""
        self._hear(event, now)
        if self._started:
            self._settle(now)
            self._changes.advance(now)
            self._roster.discard_abandoned()
        return self._roster.take_effects()

    def _hear(self, event: Event, now: float) -> None:
        match event:
            case Started():
                self._start(event, now)
            case AddRequested() | RemoveRequested():
                self._changes.submit(event, now)
            case DrainRequested() | UndrainRequested() | WeightRequested():
                self._set(event)
            case Exited() if not self._started:
                self._gone_early.add(event.handle)
            case Spawned():
                self._spawned(event, now)
            case SpawnFailed():
                self._spawn_failed(event, now)
            case Exited():
                self._exited(event, now)
            case Probed():
                self._probed(event, now)
            case Drained():
                self._drained(event, now)
            case Holdings():
                self._roster.holders, self._roster.parting = event.holders, event.leaving
            case Tick():
                pass

    def _start(self, event: Started, now: float) -> None:
        assert not self._started, "Started comes once"
        self._started = True
        living = tuple(instance for instance in event.instances if instance.handle not in self._gone_early)
        take_over(self._roster, Started(living, event.cold), self._recorded, now)
        self._roster.touch()

    # --- the runtime's word

    def _spawned(self, event: Spawned, now: float) -> None:
        instance = event.instance
        place = self._roster.named(event.name)
        if place is not None and place.instance is not None and place.instance.handle == instance.handle:
            return
        if place is not None and place.spawning:
            self._roster.occupy(place, instance, now)
        else:
            self._spawned_unwanted(instance, now)
        early = self._exited_early.pop(names.fold(event.name), None)
        if early is not None and early[0] == instance.handle:
            self._exited(Exited(event.name, *early), now)

    def _spawned_unwanted(self, instance: Instance, now: float) -> None:
        """Taken back while it was being started, or asked for by an earlier control."""
        known = self._roster.doomed.get(names.fold(instance.name))
        if known is None:
            self._roster.note("leftover", instance.name, "not wanted: removed")
        self._roster.doom(instance.name, instance.node_id, instance.handle, now + KILL_AGAIN_S)
        self._roster.abandoned.add(instance.node_id)
        self._roster.emit(Kill(instance.name, instance.handle))

    def _spawn_failed(self, event: SpawnFailed, now: float) -> None:
        self._exited_early.pop(names.fold(event.name), None)
        place = self._roster.named(event.name)
        if place is not None and place.spawning:
            self._lost(place, f"could not be started: {event.reason}", now, refused=event.refused)
            return
        doomed = self._roster.doomed.get(names.fold(event.name))
        if doomed is not None and doomed.handle is None:
            del self._roster.doomed[names.fold(event.name)]

    def _exited(self, event: Exited, now: float) -> None:
        folded = names.fold(event.name)
        place, doomed = self._roster.named(event.name), self._roster.doomed.get(folded)
        if doomed is not None and doomed.handle is not None and event.handle in ("", doomed.handle):
            del self._roster.doomed[folded]
        elif place is not None and place.instance is not None:
            if event.handle in ("", place.instance.handle):
                self._lost(place, event.reason, now)
        elif event.handle and ((place is not None and place.spawning) or doomed is not None):
            self._exited_early[folded] = (event.handle, event.reason)

    def _lost(self, place: Place, reason: str, now: float, *, refused: bool = False) -> None:
        """The place's incarnation is proven gone."""
        if place.state is State.DRAINING:
            place.instance = None
            self._roster.vacate(place, reason, now)
        elif place.joining:
            self._roster.shift(place, State.DEAD, reason, now)
            place.instance = None
            self._changes.fail_add(f"{place.name} exited before it was healthy: {reason}", now, refused=refused)
        elif self._settings.respawns:
            self._roster.bury(place, reason, now)
        elif place.state is not State.DEAD:
            self._roster.condemn(place, reason, now)

    def _drained(self, event: Drained, now: float) -> None:
        place = self._roster.named(event.name)
        if place is not None and place.state is State.DRAINING and not place.stopping:
            self._roster.cut(place, "drained", now)

    # --- health

    def _is_probed(self, place: Place) -> bool:
        """Where nothing is respawned a dead one is asked too: only its own answer brings it back."""
        return place.state is not State.DRAINING and (place.state is not State.DEAD or not self._settings.respawns)

    def _probed(self, event: Probed, now: float) -> None:
        place = self._roster.named(event.name)
        if place is None or place.instance is None or place.instance.handle != event.handle:
            return
        if not self._is_probed(place) or (event.late and not event.ok):
            return
        place.streak = longer(place.streak, event.ok)
        state = verdict(place.state, place.streak, self._settings.fall, self._settings.rise)
        if state is State.DEAD and place.state is not State.DEAD:
            self._fell(place, event, now)
        elif state is not place.state:
            self._roster.shift(place, state, event.reason or "answers its heartbeat", now)
            if state is State.HEALTHY and place.healthy_since is None:
                place.healthy_since = now

    def _fell(self, place: Place, event: Probed, now: float) -> None:
        """R7: out of routing at once, and ended when its silence has lasted; one such end at a time."""
        reason = f"{-place.streak} heartbeats failed: {event.reason}"
        patience = self._settings.alive_fall if event.alive else self._settings.kill_fall
        if -place.streak >= patience and not (patience and self._is_ending_one()):
            self._give_up(place, reason, now)
        elif not place.mute:
            self._roster.mute(place, reason, now)

    def _is_ending_one(self) -> bool:
        """Whether one that was given up still lives."""
        return any(place.state is State.DEAD and place.instance is not None for place in self._roster.places.values())

    def _give_up(self, place: Place, reason: str, now: float) -> None:
        """It lives, but is of no use."""
        self._roster.condemn(place, reason, now)
        if place.joining:
            self._changes.fail_add(f"{place.name} failed before the change was complete: {reason}", now)

    # --- what is due

    def _is_held(self, place: Place) -> bool:
        """An empty place that waits for an event, whatever its deadline says."""
        return place.state is State.DEAD and place.instance is None and self._roster.fenced(place.node_id)

    def _settle(self, now: float) -> None:
        for place in list(self._roster.places.values()):
            if place.deadline is not None and place.deadline <= now and not self._is_held(place):
                self._expire(place, now)
        for place in list(self._roster.places.values()):
            if place.leaving and place.state is not State.DRAINING and self._roster.is_empty(place):
                self._roster.drain(place, now)
        for doomed in self._roster.doomed.values():
            if doomed.handle is not None and doomed.again_at is not None and doomed.again_at <= now:
                self._roster.emit(Kill(doomed.name, doomed.handle))
                doomed.again_at = now + KILL_AGAIN_S

    def _expire(self, place: Place, now: float) -> None:
        match place.state:
            case State.STARTING if place.joining:
                place.deadline = None  # the /add has a deadline of its own, and it is not later
            case State.STARTING:
                self._give_up(place, f"not healthy within {self._settings.start_timeout_s:g} s", now)
            case State.DEAD if place.instance is not None:
                self._roster.kill(place, now)
            case State.DEAD:
                self._roster.launch(place, f"replaces {place.name}", now)
            case State.DRAINING if place.stopping:
                self._roster.vacate(place, "did not stop in time", now)
            case State.DRAINING:
                self._roster.cut(place, f"still busy after {self._settings.drain_timeout_s:g} s", now)
            case State.HEALTHY | State.SUSPECT:
                raise AssertionError(f"a deadline in a state that has none: {place}")

    # --- an operator's settings: at once, since they need nobody's time

    def _set(self, event: Setting) -> None:
        place = self._roster.named(event.name)
        if place is None or not place.wanted:
            self._reply(event, 404, f"<Error> there is no replica {names.shown(event.name)}")
            return
        try:
            self._apply(place, event)
        except BadCommand as fault:
            self._reply(event, 400, fault.message)
            return
        self._roster.touch()
        self._reply(event, 200, {name: value for name, value in _row(place).items() if name != "since"})

    def _apply(self, place: Place, event: Setting) -> None:
        match event:
            case WeightRequested():
                check_weight(event.weight)
                place.weight = event.weight
                self._roster.note("weight", place.name, f"is {event.weight} now")
            case DrainRequested():
                place.drained = True
                self._roster.note("drained", place.name, "taken out of routing by an operator")
            case UndrainRequested():
                place.drained = False
                self._roster.note("undrained", place.name, "put back into routing by an operator")

    def _reply(self, event: Setting, status: int, message: dict[str, Any] | str) -> None:
        self._roster.emit(Answer(event.command, status, message, ok=status == 200))


def _row(place: Place) -> dict[str, Any]:
    """A replica as GET /admin/cluster shows it."""
    instance = place.instance
    return {
        "name": place.name,
        "node_id": place.node_id,
        "index": place.index,
        "state": str(place.shown),
        "reason": place.reason,
        "address": _address(instance) if instance else None,
        "pid": instance.pid if instance else None,
        "container": instance.container if instance else None,
        "since": place.since,
        "weight": place.weight,
        "drained": place.drained,
    }


def _address(instance: Instance) -> str:
    host = f"[{instance.host}]" if ":" in instance.host else instance.host
    return f"{host}:{instance.port}"
