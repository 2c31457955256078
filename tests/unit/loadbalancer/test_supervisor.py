"""The supervisor's decisions: who is started again and when, how a reload goes, and in which order all ends."""

import signal
import unittest
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from loadbalancer import supervisor as rules
from loadbalancer.orders import SignalReplica, SpawnReplica
from loadbalancer.supervisor import Announce, Effects, Haste, Note, Send, Settle, Start, Supervisor, backoff_s

TERM, KILL = signal.SIGTERM, signal.SIGKILL


def spawn(name: str = "server1", generation: int = 1) -> SpawnReplica:
    return SpawnReplica(generation, name, ("x",), {}, None, None, {"node_id": 7, "index": 1}, True)


class World:
    """A shell without processes: starts are granted, signals are kept."""

    def __init__(self, workers: int = 2, drain_timeout_s: float = 30.0) -> None:
        self.core = Supervisor(workers, drain_timeout_s)
        self.now = 1000.0
        self.last_pid = 0
        self.sent: list[tuple[str, signal.Signals, bool]] = []
        self.announced: list[tuple[str, str]] = []
        self.settled: list[bool] = []
        self.notes: list[str] = []
        self.broken: set[str] = set()
        self.killed: set[int] = set()
        self.starts: Counter[str] = Counter()
        self.do(self.core.begin())

    def do(self, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case Start():
                    self.start(effect)
                case Send(pid, number, group):
                    self.sent.append((self.name(pid), number, group))
                    self.killed |= {pid} if number == KILL else set()
                case Announce(child, reason):
                    self.announced.append((child.name, reason))
                case Settle(accepted):
                    self.settled.append(accepted)
                case Note(_, event, _):
                    self.notes.append(event)

    def start(self, effect: Start) -> None:
        if not self.core.wanted(effect):
            return
        if effect.post in self.broken:
            self.do(self.core.start_failed(effect, "no such file", self.now))
            return
        self.last_pid += 1
        self.starts[effect.post] += 1
        self.do(self.core.started(effect, self.last_pid, 5000 + self.last_pid, self.now))

    def replica(self, name: str) -> int:
        self.last_pid += 1
        self.core.spawned(spawn(name), self.last_pid, 5000 + self.last_pid, {"host": "h", "port": 1})
        return self.last_pid

    def name(self, pid: int) -> str:
        return self.core.children[pid].name

    def pid(self, name: str) -> int | None:
        post = self.core.posts.get(name)
        if post is not None:
            return post.pid
        return next((child.pid for child in self.core.children.values() if child.name == name), None)

    def die(self, name: str, reason: str = "exit 1") -> None:
        pid = self.pid(name)
        assert pid is not None
        self.exit(pid, reason)

    def exit(self, pid: int, reason: str = "exit 0") -> None:
        self.do(self.core.exited(pid, reason, self.now))

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.do(self.core.tick(self.now))

    def take_sent(self) -> list[tuple[str, signal.Signals, bool]]:
        sent, self.sent = self.sent, []
        return sent


class TestRestarts(unittest.TestCase):
    def setUp(self) -> None:
        self.world = World()

    def test_begins_with_control_and_the_workers(self) -> None:
        self.assertEqual(["control", "door-0", "door-1"], list(self.world.core.posts))
        self.assertTrue(all(self.world.pid(name) for name in self.world.core.posts))
        self.assertEqual(1, self.world.starts["control"])

    def test_who_lived_is_followed_at_once(self) -> None:
        self.world.pass_time(60)
        old = self.world.pid("door-0")
        self.world.die("door-0")
        self.assertNotIn(self.world.pid("door-0"), (None, old))
        self.assertIsNone(self.world.core.deadline())

    def test_backoff(self) -> None:
        self.assertEqual([0, 0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5], [backoff_s(n) for n in range(10)])
        self.assertEqual(5, backoff_s(10**6))

    def test_who_dies_young_again_and_again_waits(self) -> None:
        waits: list[float] = []
        for _ in range(9):
            self.world.die("control")
            due = self.world.core.deadline()
            waits.append(round((due or self.world.now) - self.world.now, 6))
            self.world.pass_time(waits[-1])
        self.assertEqual([0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5], waits)
        self.assertEqual(10, self.world.starts["control"])

    def test_a_long_life_clears_the_record(self) -> None:
        for _ in range(5):
            self.world.die("control")
            self.world.pass_time(5)
        self.world.pass_time(1)
        self.world.die("control")
        self.assertIsNotNone(self.world.pid("control"))

    def test_what_can_not_be_started_waits_as_well(self) -> None:
        self.world.broken = {"door-1"}
        self.world.pass_time(60)
        self.world.die("door-1")
        self.assertIsNone(self.world.pid("door-1"))
        self.assertAlmostEqual(0.1, self.world.core.deadline() - self.world.now)
        self.world.broken = set()
        self.world.pass_time(0.1)
        self.assertIsNotNone(self.world.pid("door-1"))

    def test_one_post_does_not_hold_up_another(self) -> None:
        for _ in range(3):
            self.world.die("door-0")
            self.world.pass_time(0.2)
        self.world.die("door-1")
        self.assertIsNotNone(self.world.pid("door-1"))


class TestReplicas(unittest.TestCase):
    def setUp(self) -> None:
        self.world = World()

    def test_an_exit_is_announced_and_nothing_follows(self) -> None:
        self.world.replica("server1")
        self.world.die("server1", "SIGKILL")
        self.assertEqual([("server1", "SIGKILL")], self.world.announced)
        self.assertEqual(3, len(self.world.core.children))

    def test_what_control_gave_is_kept_for_its_successor(self) -> None:
        pid = self.world.replica("server1")
        self.world.die("control")
        self.assertEqual(
            {
                "name": "server1",
                "role": "replica",
                "pid": pid,
                "start_time": 5000 + pid,
                "node_id": 7,
                "index": 1,
                "host": "h",
                "port": 1,
            },
            self.world.core.children[pid].to_json(),
        )

    def test_an_older_generation_is_refused(self) -> None:
        self.assertIsNone(self.world.core.refusal(3))
        self.assertIsNone(self.world.core.refusal(3))
        self.assertIn("over", self.world.core.refusal(2) or "")
        self.assertIsNone(self.world.core.refusal(4))

    def test_each_generation_is_one_control(self) -> None:
        counts: list[int] = []
        for generation in (4, 4, 5, 5, 9):
            self.world.core.greet(generation)
            counts.append(self.world.core.controls)
        self.assertEqual([1, 1, 2, 2, 3], counts)

    def test_spawns_that_are_refused(self) -> None:
        self.assertIsNone(self.world.core.refuse_spawn(spawn()))
        self.world.replica("server1")
        self.assertIn("already running", self.world.core.refuse_spawn(spawn()) or "")
        self.assertIn("already running", self.world.core.refuse_spawn(spawn("door-0")) or "")
        for number in range(2, rules.REPLICAS_LIMIT + 1):
            self.world.replica(f"server{number}")
        self.assertIn("256", self.world.core.refuse_spawn(spawn("another")) or "")
        self.world.do(self.world.core.stop(Haste.DRAIN, self.world.now))
        self.assertIn("ending", self.world.core.refuse_spawn(spawn("another")) or "")

    def test_signals_reach_this_incarnation_only(self) -> None:
        pid = self.world.replica("server1")
        order = SignalReplica(1, "server1", pid, 5000 + pid, KILL, True)
        self.assertEqual(Send(pid, KILL, True), self.world.core.signal(order))
        for wrong in (
            SignalReplica(1, "server2", pid, 5000 + pid, KILL, True),
            SignalReplica(1, "server1", pid, 1, KILL, True),
            SignalReplica(1, "server1", pid + 1, 5000 + pid, KILL, True),
            SignalReplica(1, "control", 1, 5001, KILL, True),
        ):
            self.assertIsInstance(self.world.core.signal(wrong), str)

    def test_an_orphan_that_came_to_us_is_nobody(self) -> None:
        self.assertEqual([], self.world.core.exited(4711, "exit 0", self.world.now))


class TestReload(unittest.TestCase):
    def setUp(self) -> None:
        self.world = World()
        self.world.pass_time(60)
        self.old = {name: self.world.pid(name) for name in self.world.core.posts}
        self.world.do(self.world.core.reload(self.world.now))
        self.new = {name: self.world.core.posts[name].successor for name in ("door-0", "door-1")}

    def ready(self, name: str) -> None:
        self.world.do(self.world.core.ready(self.new[name], self.world.now))

    def test_the_old_ones_drain_when_all_newcomers_are_ready(self) -> None:
        self.ready("door-1")
        self.assertEqual([], self.world.take_sent())
        self.ready("door-0")
        self.assertEqual([True], self.world.settled)
        self.assertEqual(
            [("door-0", TERM, False), ("door-1", TERM, False), ("control", TERM, False)],
            self.world.take_sent(),
        )
        self.assertEqual(self.new["door-0"], self.world.pid("door-0"))

    def test_the_old_ones_are_cut_after_the_drain_timeout(self) -> None:
        self.ready("door-0")
        self.ready("door-1")
        self.world.exit(self.old["control"])
        self.world.take_sent()
        self.world.pass_time(29.9)
        self.assertEqual([], self.world.take_sent())
        self.world.pass_time(0.1)
        self.assertEqual([("door-0", KILL, True), ("door-1", KILL, True)], self.world.take_sent())
        self.assertIsNone(self.world.core.deadline())
        self.world.exit(self.old["door-0"])
        self.world.exit(self.old["door-1"])
        self.assertEqual(self.new, {name: self.world.pid(name) for name in self.new})

    def test_control_follows_when_its_old_process_has_ended(self) -> None:
        self.ready("door-0")
        self.ready("door-1")
        self.assertEqual(1, self.world.starts["control"])
        self.world.pass_time(5)
        self.assertIn(("control", KILL, True), self.world.take_sent())
        self.world.exit(self.old["control"])
        self.assertEqual(2, self.world.starts["control"])

    def test_one_that_never_gets_ready_leaves_all_as_it_was(self) -> None:
        self.ready("door-0")
        self.world.pass_time(10)
        self.assertEqual([False], self.world.settled)
        self.assertEqual([("door-0", KILL, True), ("door-1", KILL, True)], self.world.take_sent())
        for pid in self.new.values():
            self.world.exit(pid)
        self.assertEqual(self.old, {name: self.world.pid(name) for name in self.old})
        self.assertFalse(self.world.core.reloading)

    def test_one_that_dies_leaves_all_as_it_was(self) -> None:
        self.world.exit(self.new["door-1"], "exit 1")
        self.assertEqual([False], self.world.settled)
        self.assertEqual([("door-0", KILL, True)], self.world.take_sent())
        self.assertEqual(self.old, {name: self.world.pid(name) for name in self.old})

    def test_one_that_can_not_be_started_stops_the_rest(self) -> None:
        world = World()
        world.broken = {"door-0"}
        world.do(world.core.reload(world.now))
        self.assertEqual([False], world.settled)
        self.assertEqual(3, len(world.core.children))

    def test_an_old_worker_that_dies_meanwhile_is_followed(self) -> None:
        self.world.exit(self.old["door-0"], "SIGKILL")
        self.assertNotIn(self.world.pid("door-0"), (None, self.new["door-0"]))
        self.ready("door-0")
        self.ready("door-1")
        self.assertEqual(self.new["door-0"], self.world.pid("door-0"))

    def test_ready_from_others_means_nothing(self) -> None:
        self.assertEqual([], self.world.core.ready(self.old["door-0"], self.world.now))
        self.assertEqual([], self.world.core.ready(4711, self.world.now))


class TestEnd(unittest.TestCase):
    def setUp(self) -> None:
        self.world = World(workers=1)
        self.world.replica("server1")

    def stop(self, haste: Haste) -> None:
        self.world.do(self.world.core.stop(haste, self.world.now))

    def test_workers_then_control_then_replicas(self) -> None:
        self.stop(Haste.DRAIN)
        self.assertEqual([("door-0", TERM, False)], self.world.take_sent())
        self.world.die("door-0")
        self.assertEqual([("control", TERM, False)], self.world.take_sent())
        self.world.die("control")
        self.assertEqual([("server1", TERM, True)], self.world.take_sent())
        self.assertFalse(self.world.core.finished)
        self.world.die("server1")
        self.assertTrue(self.world.core.finished)
        self.assertIsNone(self.world.core.deadline())

    def test_each_stage_has_its_limit(self) -> None:
        for haste, drain_s in ((Haste.DRAIN, 30.0), (Haste.SHORT, 5.0)):
            with self.subTest(haste):
                self.setUp()
                self.stop(haste)
                for name, limit_s in (("door-0", drain_s), ("control", 5.0), ("server1", 10.0)):
                    self.world.take_sent()
                    self.assertAlmostEqual(limit_s, self.world.core.deadline() - self.world.now)
                    self.world.pass_time(limit_s)
                    self.assertEqual([(name, KILL, True)], self.world.take_sent())
                    self.world.die(name)
                self.assertTrue(self.world.core.finished)

    def test_ctrl_c_once_more_is_quick(self) -> None:
        self.stop(Haste.SHORT)
        self.world.take_sent()
        self.stop(Haste.SHORT)
        self.assertEqual([("door-0", KILL, True)], self.world.take_sent())
        self.world.die("door-0")
        self.assertAlmostEqual(0.5, self.world.core.deadline() - self.world.now)
        self.world.die("control")
        self.assertAlmostEqual(1.0, self.world.core.deadline() - self.world.now)

    def test_sigterm_once_more_changes_nothing(self) -> None:
        self.stop(Haste.SHORT)
        self.world.take_sent()
        self.stop(Haste.DRAIN)
        self.assertEqual([], self.world.take_sent())

    def test_what_waits_for_a_restart_is_not_started(self) -> None:
        for _ in range(3):
            self.world.die("control")
            self.world.pass_time(0.1)
        self.assertIsNone(self.world.pid("control"))
        self.stop(Haste.DRAIN)
        self.world.pass_time(20)
        self.assertIsNone(self.world.pid("control"))
        self.world.die("door-0")
        self.assertIn(("server1", TERM, True), self.world.take_sent())

    def test_a_replica_that_ends_early_is_still_announced(self) -> None:
        self.stop(Haste.DRAIN)
        self.world.die("server1")
        self.assertEqual(1, len(self.world.announced))

    def test_during_a_reload_the_newcomers_end_too(self) -> None:
        self.world.do(self.world.core.reload(self.world.now))
        self.stop(Haste.DRAIN)
        self.assertEqual(2, len(self.world.take_sent()))
        for pid in [child.pid for child in self.world.core.children.values() if child.role == "worker"]:
            self.world.exit(pid)
        self.assertEqual([("control", TERM, False)], self.world.take_sent())
        self.assertEqual([], self.world.settled)

    def test_nothing_left_means_finished_at_once(self) -> None:
        world = World(workers=1)
        world.broken = {"door-0", "control"}
        world.die("door-0")
        world.die("control")
        world.do(world.core.stop(Haste.DRAIN, world.now))
        self.assertTrue(world.core.finished)


class AnyHistory(RuleBasedStateMachine):
    """Whatever happens in whatever order: no post is lost, and an end that was asked for comes."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.names = 0

    def pick(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.world.core.children)))

    @rule(data=st.data(), seconds=st.sampled_from([0.0, 0.05, 1.5]))
    @precondition(lambda self: self.world.core.children)
    def someone_dies(self, data: st.DataObject, seconds: float) -> None:
        self.world.pass_time(seconds)
        self.world.exit(self.pick(data))

    @rule(data=st.data())
    @precondition(lambda self: self.world.core.children)
    def someone_says_ready(self, data: st.DataObject) -> None:
        self.world.do(self.world.core.ready(self.pick(data), self.world.now))

    @rule(seconds=st.floats(0, 40))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule(broken=st.sets(st.sampled_from(["control", "door-0", "door-1"])))
    def programs_vanish(self, broken: set[str]) -> None:
        self.world.broken = broken

    @rule()
    @precondition(lambda self: not self.world.core.stopping)
    def a_replica_comes(self) -> None:
        self.names += 1
        self.world.replica(f"server{self.names}")

    @rule()
    @precondition(lambda self: not self.world.core.stopping and not self.world.core.reloading)
    def a_reload(self) -> None:
        self.world.do(self.world.core.reload(self.world.now))

    @rule(haste=st.sampled_from([Haste.DRAIN, Haste.SHORT]))
    def an_end_is_asked_for(self, haste: Haste) -> None:
        self.world.do(self.world.core.stop(haste, self.world.now))

    @invariant()
    def each_post_is_filled_or_has_a_date(self) -> None:
        for post in self.world.core.posts.values():
            if not self.world.core.stopping:
                assert (post.pid is None) == (post.restart_at is not None), post

    @invariant()
    def every_worker_is_somebodys(self) -> None:
        """In a post, a newcomer of a reload, or on its way out."""
        core = self.world.core
        held = {pid for post in core.posts.values() for pid in (post.pid, post.successor) if pid is not None}
        own = {child.pid for child in core.children.values() if child.role != "replica"}
        assert held <= own and own - held <= set(core._kill_at)

    def teardown(self) -> None:
        core = self.world.core
        self.world.do(core.stop(Haste.DRAIN, self.world.now))
        while not core.finished:
            dead = self.world.killed & set(core.children)
            for pid in dead:
                self.world.exit(pid, "SIGKILL")
            if not dead:
                assert core.deadline() is not None
                self.world.pass_time(max(0.0, core.deadline() - self.world.now))


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)

if __name__ == "__main__":
    unittest.main()
