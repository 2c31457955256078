"""A fleet in a small world: a fake clock, a simulated runtime and honest heartbeats, to tell stories with.

    story = Story().up()            three replicas, started and healthy
    story.kill("server2").run(1)    kill -9, and a second passes
    story.names()                   who serves now

Everything between two calls of `run` happens at one instant. The fleet's invariants are checked after each
step, and the world itself refuses what must never be asked of it: a second incarnation beside a living one.
"""

import heapq
import itertools
import json
from collections.abc import Callable
from typing import Any, Self

from loadbalancer.fleet import Fleet
from loadbalancer.fleet_state import FleetSettings
from loadbalancer.fleet_words import (
    AddRequested,
    Answer,
    Discard,
    Drained,
    DrainRequested,
    Effect,
    Ended,
    Event,
    Exited,
    Kill,
    Muted,
    Note,
    Probed,
    Publish,
    RemoveRequested,
    Spawn,
    Spawned,
    SpawnFailed,
    Started,
    Stop,
    Tick,
    UndrainRequested,
    WeightRequested,
)
from loadbalancer.health import BEAT_S, ProbeTarget, Schedule
from loadbalancer.instances import Instance, ReplicaSpec
from loadbalancer.snapshot import Member

SPAWN_S, BOOT_S, STOP_S, KILL_S, PROBE_S, DRAIN_S, TIMEOUT_S = 0.1, 0.2, 0.2, 0.01, 0.002, 0.05, 0.3


class Story:
    """See the module. Knobs: `crashing` (node ids that exit as soon as they run), `unwell` (those whose
    heartbeat fails from the start), `unspawnable` (those that the runtime can't start), `busy` (names that
    never finish draining), `alive` (names that are heard otherwise than by heartbeats)."""

    def __init__(self, **settings: Any) -> None:
        self.settings = FleetSettings(**settings)
        self.fleet = Fleet(self.settings)
        self.now = 1000.0
        self.living: dict[str, Instance] = {}
        self.frozen: set[str] = set()
        self.crashing: set[int] = set()
        self.unwell: set[int] = set()
        self.unspawnable: set[int] = set()
        self.busy: set[str] = set()
        self.away: set[str] = set()  # static backends that don't answer
        self.late = False
        self.alive: set[str] = set()
        self.notes: list[tuple[float, Note]] = []
        self.answers: dict[int, Answer] = {}
        self.published: list[tuple[Member, ...]] = []
        self.spawned: list[ReplicaSpec] = []
        self.killed: list[str] = []
        self.stopped: list[str] = []
        self.adopted: list[str] = []
        self.discarded: list[int] = []
        self.told_ends: list[int] = []
        self.told_mute: list[tuple[int, bool]] = []
        self.born: dict[str, float] = {}
        self._draining: set[str] = set()
        self._pending: dict[str, int] = {}  # name -> node id of spawns under way
        self._schedule = Schedule()
        self._beat_at = self.now  # as the real prober: it looks who is due at each beat
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count(1)

    # --- telling it

    def up(self) -> Self:
        """A first start, waited for."""
        return self.start(cold=True).run(2)

    def start(self, *, cold: bool) -> Self:
        return self.send(Started(tuple(self.living.values()), cold))

    def kill(self, name: str, reason: str = "killed by SIGKILL") -> Self:
        """The process ends and the runtime says so."""
        return self.send(self.end(name, reason))

    def freeze(self, name: str) -> Self:
        """SIGSTOP: it lives, and answers nothing."""
        self.frozen.add(name)
        return self

    def add(self, n: int, *hostnames: str) -> int:
        """Ask for it; returns the command, whose answer is in `answers` when it has come."""
        command = next(self._count)
        self.send(AddRequested(command, n, hostnames))
        return command

    def rm(self, n: int, *hostnames: str) -> int:
        command = next(self._count)
        self.send(RemoveRequested(command, n, hostnames))
        return command

    def drain(self, name: str) -> int:
        command = next(self._count)
        self.send(DrainRequested(command, name))
        return command

    def undrain(self, name: str) -> int:
        command = next(self._count)
        self.send(UndrainRequested(command, name))
        return command

    def weigh(self, name: str, weight: int) -> int:
        command = next(self._count)
        self.send(WeightRequested(command, name, weight))
        return command

    def kill_control(self) -> Self:
        """Control is gone with all that it had under way; what the runtime has goes on living."""
        record = json.loads(json.dumps(self.fleet.dump()))
        self._agenda.clear()
        self._pending.clear()
        self._schedule = Schedule()
        self.fleet = Fleet(self.settings)
        self.fleet.load(record)
        return self

    def send(self, event: Event) -> Self:
        for effect in self._step(event):
            self._carry_out(effect)
        return self

    def run(self, seconds: float) -> Self:
        """Let time pass, one thing after another."""
        end = self.now + seconds
        while (at := self._next_at()) <= end:
            self.now = max(self.now, at)
            self._turn()
        self.now = end
        return self

    # --- looking at it

    def names(self) -> list[str]:
        """As GET /rep shows them."""
        return self.fleet.replicas()["replicas"]

    def routable(self) -> list[str]:
        """Those that requests go to, by the snapshot published last, which must be the truth."""
        assert self.published[-1] == self.fleet.members(), "a snapshot was not published"
        return [member.name for member in self.published[-1] if member.routable]

    def seat(self, name: str) -> tuple[int, int]:
        """Its node id and index."""
        return next((row["node_id"], row["index"]) for row in self.rows() if row["name"] == name)

    def rows(self) -> list[dict[str, Any]]:
        return self.fleet.view()["replicas"]

    def state(self, name: str) -> str:
        return next(row["state"] for row in self.rows() if row["name"] == name)

    def story_of(self, name: str) -> list[str]:
        """The kinds of its events, in order."""
        return [note.kind for _, note in self.notes if note.replica == name]

    def when(self, kind: str, name: str) -> float:
        """When that was noted first."""
        return next(at for at, note in self.notes if (note.kind, note.replica) == (kind, name))

    # --- the world

    def end(self, name: str, reason: str) -> Exited:
        """It ends without a word; the Exited that would tell of it."""
        instance = self.living.pop(name)
        self.frozen.discard(name)
        return Exited(name, instance.handle, reason)

    def ended(self, name: str, reason: str) -> None:
        """It ends, if it lives, and the runtime says so."""
        if name in self.living:
            self.send(self.end(name, reason))

    def later(self, seconds: float, what: Callable[[], Any]) -> None:
        heapq.heappush(self._agenda, (self.now + seconds, next(self._count), what))

    def _step(self, event: Event) -> list[Effect]:
        effects = self.fleet.step(event, self.now)
        self.fleet.check()
        due = self.fleet.deadline()
        assert due is None or due > self.now, "a deadline that a step didn't serve: the shell would spin"
        return effects

    def _next_at(self) -> float:
        times = [self._agenda[0][0] if self._agenda else None, self.fleet.deadline(), self._beat_at]
        return min((at for at in times if at is not None), default=float("inf"))

    def _turn(self) -> None:
        if (due := self.fleet.deadline()) is not None and due <= self.now:
            self.send(Tick())
        if self._agenda and self._agenda[0][0] <= self.now:
            heapq.heappop(self._agenda)[2]()
        if self._beat_at <= self.now:
            self._beat_at += BEAT_S
            self._probe_due()

    def _probe_due(self) -> None:
        for target in self._schedule.due(self.fleet.probe_targets(), self.now):
            ok, reason, took_s = self._heartbeat(target)
            self.later(took_s, lambda target=target, ok=ok, reason=reason: self._heard(target, ok, reason))

    def _heartbeat(self, target: ProbeTarget) -> tuple[bool, str, float]:
        if not self.settings.respawns:
            ok = target.name not in self.away
            return ok, "" if ok else "connection refused", PROBE_S
        if target.name in self.frozen:
            return False, "no answer", TIMEOUT_S
        instance = self.living.get(target.name)
        ok = instance is not None and instance.node_id not in self.unwell
        ok = ok and self.now >= self.born[target.name] + BOOT_S
        return ok, "" if ok else "connection refused", PROBE_S

    def _heard(self, target: ProbeTarget, ok: bool, reason: str) -> None:
        self._schedule.finished(target, self.now)
        self.send(Probed(target.name, target.handle, ok, reason, self.late, target.name in self.alive))

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Spawn():
                self._spawn(effect.spec)
            case Stop():
                self.stopped.append(effect.name)
                wait_s = effect.grace_s if effect.name in self.frozen else STOP_S
                self.later(wait_s, lambda: self.ended(effect.name, "stopped"))
            case Kill():
                self.killed.append(effect.name)
                self.later(KILL_S, lambda: self.ended(effect.name, "killed by SIGKILL"))
            case Publish():
                self._publish()
            case Answer():
                assert effect.command not in self.answers, "answered twice"
                self.answers[effect.command] = effect
            case Note():
                self.notes.append((self.now, effect))
            case Discard():
                self._discard(effect.node_id)
            case Ended():
                self.told_ends.append(effect.node_id)
            case Muted():
                self.told_mute.append((effect.node_id, effect.mute))
            case _:
                self.adopted.append(effect.name)

    def _discard(self, node_id: int) -> None:
        alive = [name for name, instance in self.living.items() if instance.node_id == node_id]
        assert not alive and node_id not in self._pending.values(), f"data of {node_id} removed under {alive}"
        assert node_id not in [member.node_id for member in self.fleet.members()], f"data of {node_id} is wanted"
        self.discarded.append(node_id)

    def _spawn(self, spec: ReplicaSpec) -> None:
        rivals = [name for name, instance in self.living.items() if instance.node_id == spec.node_id]
        assert not rivals and spec.node_id not in self._pending.values(), f"{spec} beside {rivals}"
        assert spec.name not in self.living and spec.name not in self._pending, f"name in use: {spec}"
        assert self.settings.respawns, "a static backend was spawned"
        self.spawned.append(spec)
        self._pending[spec.name] = spec.node_id
        self.later(SPAWN_S, lambda: self._spawn_ended(spec))

    def _spawn_ended(self, spec: ReplicaSpec) -> None:
        del self._pending[spec.name]
        if spec.node_id in self.unspawnable:
            self.send(SpawnFailed(spec.name, "no such image"))
            return
        number = next(self._count)
        instance = Instance(spec.name, spec.node_id, spec.index, "127.0.0.1", 20000 + number, f"{number}:7", pid=number)
        self.living[spec.name] = instance
        self.born[spec.name] = self.now
        self.send(Spawned(spec.name, instance))
        if spec.node_id in self.crashing:
            self.later(0.05, lambda: self.ended(spec.name, "exit code 1"))

    def _publish(self) -> None:
        self.published.append(self.fleet.members())
        draining = {member.name for member in self.published[-1] if member.draining}
        for name in draining - self._draining - self.busy:
            self.later(DRAIN_S, lambda name=name: self.send(Drained(name)))
        self._draining = draining
