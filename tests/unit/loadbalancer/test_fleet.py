import json
import unittest
from typing import Any

from loadbalancer.fleet import Fleet
from loadbalancer.fleet_state import FleetSettings
from loadbalancer.fleet_words import (
    AddRequested,
    Answer,
    Discard,
    Drained,
    DrainRequested,
    Effect,
    Event,
    Exited,
    Kill,
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
)
from loadbalancer.instances import Instance, ReplicaSpec


class Bench:
    """A fleet, fed by hand: `send` returns the effects but the notes."""

    def __init__(self, replicas: int = 2, **settings: Any) -> None:
        self.fleet = Fleet(FleetSettings(replicas=replicas, **settings))
        self.now = 0.0

    def send(self, event: Event) -> list[Effect]:
        effects = self.fleet.step(event, self.now)
        self.fleet.check()
        return [effect for effect in effects if not isinstance(effect, Note)]

    def after(self, seconds: float) -> list[Effect]:
        self.now += seconds
        return self.send(Tick())

    def spawned(self, name: str, number: int) -> list[Effect]:
        """The spawn came true; the handle is "<number>:1"."""
        row = self.row(name)
        return self.send(Spawned(name, instance(name, row["node_id"], row["index"], number)))

    def probed(self, name: str, number: int, ok: bool = True) -> list[Effect]:
        return self.send(Probed(name, f"{number}:1", ok))

    def row(self, name: str) -> dict[str, Any]:
        return next(row for row in self.fleet.view()["replicas"] if row["name"] == name)

    def up(self) -> "Bench":
        self.send(Started((), cold=True))
        for number, name in enumerate(self.fleet.replicas()["replicas"], 1):
            self.spawned(name, number)
            self.probed(name, number)
        return self


def instance(name: str, node_id: int, index: int, number: int) -> Instance:
    return Instance(name, node_id, index, "127.0.0.1", 20000 + number, f"{number}:1", pid=number)


def kinds(effects: list[Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


class TestStep(unittest.TestCase):
    def test_the_first_step_asks_for_all_of_them(self) -> None:
        effects = Bench().send(Started((), cold=True))
        specs = [ReplicaSpec("server1", 1, 1), ReplicaSpec("server2", 2, 2)]
        self.assertEqual(effects, [Publish(), Spawn(specs[0]), Spawn(specs[1])])

    def test_a_replacement_says_that_it_is_one(self) -> None:
        effects = Bench().up().send(Exited("server1", "1:1", "gone"))
        self.assertEqual(effects, [Publish(), Spawn(ReplicaSpec("server3", 1, 1), replaces=True)])

    def test_out_of_routing_first_then_killed(self) -> None:
        bench = Bench(fall=1).up()
        self.assertEqual(bench.probed("server1", 1, ok=False), [Publish(), Kill("server1", "1:1")])

    def test_nothing_new_has_no_effect(self) -> None:
        bench = Bench().up()
        self.assertEqual(bench.probed("server1", 1), [])
        self.assertEqual(bench.send(Tick()), [])
        self.assertIsNone(bench.fleet.deadline())

    def test_events_before_the_start_wait_or_are_nothing(self) -> None:
        bench = Bench()
        self.assertEqual(bench.send(AddRequested(1, 1)), [])
        self.assertEqual(bench.send(Probed("server1", "1:1", True)), [])
        effects = bench.send(Started((), cold=True))
        self.assertEqual(kinds(effects), ["Publish", "Spawn", "Spawn", "Spawn"])


class TestStaleNews(unittest.TestCase):
    def test_the_end_of_a_former_incarnation_of_the_same_name_is_passed_over(self) -> None:
        bench = Bench().up()
        self.assertEqual(bench.send(Exited("server1", "99:1", "gone")), [])

    def test_an_end_without_a_handle_is_the_present_one_s(self) -> None:
        bench = Bench().up()
        self.assertEqual(kinds(bench.send(Exited("server1", "", "gone"))), ["Publish", "Spawn"])

    def test_a_heartbeat_of_a_former_incarnation_is_passed_over(self) -> None:
        bench = Bench(fall=1).up()
        self.assertEqual(bench.probed("server1", 99, ok=False), [])

    def test_a_good_heartbeat_does_not_revive_what_is_being_killed(self) -> None:
        bench = Bench(fall=1).up()
        bench.probed("server1", 1, ok=False)
        self.assertEqual(bench.probed("server1", 1), [])
        self.assertEqual(bench.row("server1")["state"], "dead")

    def test_an_end_told_before_the_beginning_counts(self) -> None:
        bench = Bench().up()
        bench.send(Exited("server1", "1:1", "gone"))
        bench.send(Exited("server3", "7:1", "exit code 1"))
        bench.spawned("server3", 7)
        self.assertEqual(bench.row("server3")["state"], "dead")
        self.assertEqual(kinds(bench.after(0.5)), ["Publish", "Spawn"])

    def test_a_spawn_told_twice_is_one(self) -> None:
        bench = Bench().up()
        self.assertEqual(bench.spawned("server1", 1), [])

    def test_a_spawn_that_nobody_wants_is_killed(self) -> None:
        bench = Bench().up()
        self.assertEqual(bench.send(Spawned("odd", instance("odd", 9, 9, 9))), [Kill("odd", "9:1")])
        self.assertEqual(bench.after(5), [Kill("odd", "9:1")])
        self.assertEqual(bench.after(5), [Kill("odd", "9:1")])
        bench.send(Exited("odd", "9:1", "gone"))
        self.assertEqual(bench.after(5), [])


class TestTakingBack(unittest.TestCase):
    def setUp(self) -> None:
        self.bench = Bench().up()
        self.bench.send(AddRequested(1, 2, ("good", "bad")))
        self.bench.spawned("good", 3)
        self.bench.probed("good", 3)

    def test_the_answer_comes_when_they_are_gone(self) -> None:
        effects = self.bench.send(SpawnFailed("bad", "no"))
        self.assertEqual(effects, [Stop("good", "3:1", 10.0), Discard(4)])
        effects = self.bench.send(Exited("good", "3:1", "stopped"))
        self.assertEqual([effect.status for effect in effects if isinstance(effect, Answer)], [503])
        self.assertIn(Discard(3), effects)

    def test_or_after_a_bound(self) -> None:
        self.bench.send(SpawnFailed("bad", "no"))
        self.assertEqual(kinds(self.bench.after(15)), ["Kill", "Answer"])
        (answer,) = self.bench.send(AddRequested(2, 1, ("GOOD",)))
        self.assertIsInstance(answer, Answer)
        self.assertIn("in use", str(answer))

    def test_a_spawn_under_way_is_killed_when_it_lands(self) -> None:
        self.bench.after(30)
        self.assertEqual(self.bench.send(Spawned("bad", instance("bad", 4, 4, 4))), [Kill("bad", "4:1")])

    def test_a_spawn_under_way_that_fails_frees_its_name(self) -> None:
        self.bench.after(30)
        self.bench.send(Exited("good", "3:1", "stopped"))
        effects = self.bench.send(SpawnFailed("bad", "no"))
        self.assertEqual(kinds(effects), ["Discard", "Answer"])
        self.assertEqual(kinds(self.bench.send(AddRequested(2, 1, ("bad",)))), ["Spawn"])

    def test_a_name_that_can_not_be_had_is_the_callers_to_mend(self) -> None:
        self.bench.send(SpawnFailed("bad", "a stranger's", refused=True))
        effects = self.bench.send(Exited("good", "3:1", "stopped"))
        self.assertEqual([effect.status for effect in effects if isinstance(effect, Answer)], [400])

    def test_one_that_fails_after_it_was_healthy_fails_the_add_too(self) -> None:
        self.bench.probed("good", 3, ok=False)
        self.assertEqual(self.bench.probed("good", 3, ok=False), [Kill("good", "3:1")])


class TestLeaving(unittest.TestCase):
    def test_drained_told_twice_stops_once(self) -> None:
        bench = Bench().up()
        self.assertEqual(bench.send(RemoveRequested(1, 1)), [Publish()])
        self.assertEqual(bench.send(Drained("server2")), [Stop("server2", "2:1", 10.0)])
        self.assertEqual(bench.send(Drained("server2")), [])

    def test_one_that_does_not_stop_is_let_go_and_killed(self) -> None:
        bench = Bench().up()
        bench.send(RemoveRequested(1, 1))
        self.assertEqual(bench.after(30), [Stop("server2", "2:1", 10.0)])
        effects = bench.after(15)
        self.assertEqual(kinds(effects), ["Publish", "Kill", "Answer"])
        self.assertEqual(bench.after(5), [Kill("server2", "2:1")])

    def test_drained_is_nothing_to_one_that_an_operator_took_out(self) -> None:
        bench = Bench().up()
        bench.send(DrainRequested(1, "server1"))
        self.assertEqual(bench.send(Drained("server1")), [])


class TestNames(unittest.TestCase):
    def test_a_replacement_does_not_take_a_name_that_a_waiting_add_wants(self) -> None:
        bench = Bench().up()
        bench.send(AddRequested(1, 1, ("first",)))
        bench.send(AddRequested(2, 1, ("SERVER3",)))
        effects = bench.send(Exited("server1", "1:1", "gone"))
        self.assertIn(Spawn(ReplicaSpec("server4", 1, 1), replaces=True), effects)

    def test_reserved_names_are_nobody_s(self) -> None:
        bench = Bench(replicas=1, reserved_names=frozenset({"Server1", "lb"})).up()
        self.assertEqual(bench.fleet.replicas()["replicas"], ["server2"])
        (answer,) = bench.send(AddRequested(1, 1, ("LB",)))
        self.assertIn("not for a replica", str(answer))


class TestRecord(unittest.TestCase):
    def test_it_is_the_same_object_until_it_changes(self) -> None:
        bench = Bench().up()
        record = bench.fleet.dump()
        bench.probed("server1", 1, ok=False)
        self.assertEqual(bench.fleet.dump(), record, "a suspect is worth no write")
        bench.probed("server1", 1)
        self.assertIs(bench.fleet.dump(), bench.fleet.dump())
        bench.send(Exited("server1", "1:1", "gone"))
        self.assertNotEqual(bench.fleet.dump(), record)

    def test_it_is_plain_json_and_comes_back(self) -> None:
        bench = Bench().up()
        record = json.loads(json.dumps(bench.fleet.dump()))
        other = Fleet(FleetSettings())
        other.load(record)
        self.assertEqual(other.dump(), record)

    def test_one_that_contradicts_itself_is_refused_and_nothing_of_it_taken(self) -> None:
        record = Bench().up().fleet.dump()
        twice = {**record, "places": [record["places"][0], record["places"][0]]}
        fleet = Fleet(FleetSettings())
        for damaged in (twice, {}, {**record, "format": 99}, {**record, "next_node_id": 1}):
            with self.assertRaises(ValueError):
                fleet.load(damaged)
        self.assertEqual(fleet.members(), ())


class TestViews(unittest.TestCase):
    def test_a_row_as_operators_see_it(self) -> None:
        bench = Bench(replicas=1)
        bench.now = 5.0
        bench.up()
        row = {
            "name": "server1", "node_id": 1, "index": 1, "state": "healthy", "reason": "answers its heartbeat",
            "address": "127.0.0.1:20001", "pid": 1, "container": None, "since": 5.0, "weight": 1, "drained": False,
        }  # fmt: skip
        self.assertEqual(bench.fleet.view(), {"target": 1, "replicas": [row]})

    def test_whom_to_ask(self) -> None:
        bench = Bench().up()
        bench.send(Exited("server1", "1:1", "gone"))
        self.assertEqual([target.name for target in bench.fleet.probe_targets()], ["server2"])
        bench.spawned("server3", 3)
        targets = {target.name: target.eager for target in bench.fleet.probe_targets()}
        self.assertEqual(targets, {"server3": True, "server2": False})
