"""The fleet under everything at once: Hypothesis plays runtime, network, operator and clock, in any order.

After each step the invariants hold; the world below refuses a spawn beside a living incarnation; and
whatever was done to it, once the world behaves again the fleet is back at N within minutes, with every
command answered.
"""

import json
import unittest
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from loadbalancer.fleet import Fleet
from loadbalancer.fleet_state import FleetSettings
from loadbalancer.fleet_words import (
    AddRequested,
    Answer,
    Drained,
    DrainRequested,
    Effect,
    Event,
    Exited,
    Kill,
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
)
from loadbalancer.instances import Instance, ReplicaSpec
from loadbalancer.snapshot import Member

SETTINGS = FleetSettings(replicas=2, max_replicas=5, start_timeout_s=5.0, drain_timeout_s=5.0, stop_grace_s=2.0)
PICK = st.integers(0, 10)
NAMES = st.lists(st.sampled_from(["a", "A", "b", "server1", "server9"]), max_size=2)


class FleetUnderFire(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.fleet = Fleet(SETTINGS)
        self.spawning: list[ReplicaSpec] = []
        self.living: dict[str, Instance] = {}
        self.condemned: set[str] = set()  # asked to end, and not gone yet
        self.ends: list[Exited] = []  # ended, and not told yet
        self.told: list[Event] = []  # may be told again
        self.asked: set[int] = set()
        self.answered: set[int] = set()
        self.target = 2
        self.commands: dict[int, tuple[str, int]] = {}
        self.published: tuple[Member, ...] = ()
        self.handles = 0
        self.send(Started((), cold=True))

    # --- the world

    def send(self, event: Event) -> None:
        for effect in self.fleet.step(event, self.now):
            self.carry_out(effect)
        due = self.fleet.deadline()
        assert due is None or due > self.now, "the shell would spin"

    def carry_out(self, effect: Effect) -> None:
        match effect:
            case Spawn(spec=spec):
                rivals = [it.node_id for it in (*self.living.values(), *self.spawning)]
                assert spec.node_id not in rivals, f"{spec} beside its former incarnation"
                names = {name.casefold() for name in self.living} | {it.name.casefold() for it in self.spawning}
                assert spec.name.casefold() not in names, f"the name of {spec} is in use"
                self.spawning.append(spec)
            case Stop(name=name, handle=handle) | Kill(name=name, handle=handle):
                assert name not in self.living or self.living[name].handle == handle
                assert not any(member.name == name and member.routable for member in self.published), (
                    f"{name} is ended while requests go to it"
                )
                self.condemned.add(name)
            case Publish():
                self.published = self.fleet.members()
            case Answer():
                self.hear_answer(effect)
            case _:
                pass

    def hear_answer(self, answer: Answer) -> None:
        assert answer.command in self.asked and answer.command not in self.answered
        self.answered.add(answer.command)
        kind, n = self.commands[answer.command]
        if answer.status == 200:
            self.target += n if kind == "add" else -n
            if kind in ("add", "rm"):
                assert isinstance(answer.message, dict) and answer.message["N"] == self.target

    def end(self, name: str) -> None:
        instance = self.living.pop(name)
        self.condemned.discard(name)
        self.ends.append(Exited(name, instance.handle, "it ended"))

    def ask(self, kind: str, n: int) -> int:
        command = len(self.asked) + 1
        self.asked.add(command)
        self.commands[command] = (kind, n)
        return command

    # --- what may happen

    @rule(seconds=st.sampled_from([0.01, 0.3, 1.0, 4.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.send(Tick())

    @precondition(lambda self: self.spawning)
    @rule(pick=PICK, dies=st.booleans())
    def spawn_succeeds(self, pick: int, dies: bool) -> None:
        spec = self.spawning.pop(pick % len(self.spawning))
        self.handles += 1
        instance = Instance(spec.name, spec.node_id, spec.index, "h", self.handles, f"{self.handles}:1")
        self.living[spec.name] = instance
        if dies:  # its end is told before its beginning
            self.end(spec.name)
            self.send(self.ends.pop())
        self.send(Spawned(spec.name, instance))

    @precondition(lambda self: self.spawning)
    @rule(pick=PICK)
    def spawn_fails(self, pick: int) -> None:
        spec = self.spawning.pop(pick % len(self.spawning))
        self.send(SpawnFailed(spec.name, "no luck"))

    @precondition(lambda self: self.living)
    @rule(pick=PICK, ok=st.booleans(), late=st.booleans(), times=st.integers(1, 3))
    def is_probed(self, pick: int, ok: bool, late: bool, times: int) -> None:
        instance = sorted(self.living.values(), key=lambda it: it.port)[pick % len(self.living)]
        event = Probed(instance.name, instance.handle, ok, "", late)
        self.told.append(event)
        for _ in range(times):
            self.send(event)

    @rule()
    def all_are_well(self) -> None:
        for target in self.fleet.probe_targets():
            self.send(Probed(target.name, target.handle, True))

    @precondition(lambda self: self.living)
    @rule(pick=PICK)
    def crashes(self, pick: int) -> None:
        self.end(sorted(self.living)[pick % len(self.living)])

    @precondition(lambda self: self.condemned)
    @rule(pick=PICK)
    def condemned_ends(self, pick: int) -> None:
        name = sorted(self.condemned)[pick % len(self.condemned)]
        self.condemned.discard(name)
        if name in self.living:
            self.end(name)

    @precondition(lambda self: self.ends)
    @rule(pick=PICK)
    def end_is_told(self, pick: int) -> None:
        event = self.ends.pop(pick % len(self.ends))
        self.told.append(event)
        self.send(event)

    @precondition(lambda self: self.told)
    @rule(pick=PICK)
    def an_old_story_is_told_again(self, pick: int) -> None:
        self.send(self.told[-1 - pick % len(self.told)])

    @rule()
    def all_have_drained(self) -> None:
        for member in self.published:
            if member.draining:
                self.send(Drained(member.name))

    @rule(n=st.integers(0, 3), hostnames=NAMES)
    def add(self, n: int, hostnames: list[str]) -> None:
        self.send(AddRequested(self.ask("add", n), n, tuple(hostnames)))

    @rule(n=st.integers(0, 3), hostnames=NAMES)
    def rm(self, n: int, hostnames: list[str]) -> None:
        self.send(RemoveRequested(self.ask("rm", n), n, tuple(hostnames)))

    @precondition(lambda self: self.published)
    @rule(pick=PICK, out=st.booleans())
    def operator_drains(self, pick: int, out: bool) -> None:
        name = self.published[pick % len(self.published)].name
        command = self.ask("drain", 0)
        self.send(DrainRequested(command, name) if out else UndrainRequested(command, name))

    @rule(landed=st.booleans())
    def control_restarts(self, landed: bool) -> None:
        """Commands under way are lost, and spawns under way have happened or never will."""
        for spec in self.spawning if landed else []:
            self.handles += 1
            self.living[spec.name] = Instance(
                spec.name, spec.node_id, spec.index, "h", self.handles, f"{self.handles}:1"
            )
        self.spawning.clear()
        self.ends.clear()
        self.condemned.clear()
        record: dict[str, Any] = json.loads(json.dumps(self.fleet.dump()))
        self.fleet = Fleet(SETTINGS)
        self.fleet.load(record)
        self.asked, self.answered, self.commands = set(), set(), {}
        self.send(Started(tuple(self.living.values()), cold=False))
        self.target = self.fleet.target()

    # --- what always holds

    @invariant()
    def the_fleet_agrees_with_itself(self) -> None:
        self.fleet.check()
        assert self.published == self.fleet.members()

    @invariant()
    def n_is_as_asked_for(self) -> None:
        if not self.fleet.busy:
            assert self.fleet.target() == self.target
            assert self.asked == self.answered

    def teardown(self) -> None:
        """The world behaves from now on: the fleet must find back to N, and every command to its answer."""
        for _ in range(400):
            if self.is_whole():
                return
            while self.spawning:
                self.spawn_succeeds(0, dies=False)
            while self.ends:
                self.end_is_told(0)
            self.all_have_drained()
            while self.condemned:
                self.condemned_ends(0)
            self.all_are_well()
            self.now += 0.5
            self.send(Tick())
        raise AssertionError(f"not whole after 200 s: {self.fleet.view()}")

    def is_whole(self) -> bool:
        members = self.fleet.members()
        healthy = all(row["state"] in ("healthy", "draining") for row in self.fleet.view()["replicas"])
        return (
            not self.fleet.busy
            and healthy
            and len(members) == self.fleet.target() == len(self.living)
            and not self.spawning
            and not self.ends
            and self.asked == self.answered
        )


class TestFleetUnderFire(FleetUnderFire.TestCase):
    settings = settings(
        max_examples=150, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
    )


if __name__ == "__main__":
    unittest.main()
