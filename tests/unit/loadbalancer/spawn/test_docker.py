"""The docker runtime over an engine in memory: the contract, and the ways in which an engine can be contrary."""

import asyncio
import unittest

from support.fake_engine import FakeEngine
from support.runtime_contract import RuntimeContract

from loadbalancer.containers import DockerOptions
from loadbalancer.instances import Instance, ReplicaSpec
from loadbalancer.spawn.base import Runtime, RuntimeLost, SpawnError
from loadbalancer.spawn.docker import DockerRuntime
from loadbalancer.spawn.docker_sweep import end_fleet


class TestDockerRuntime(RuntimeContract, unittest.IsolatedAsyncioTestCase):
    serves = False

    async def asyncSetUp(self) -> None:
        self.engine = FakeEngine()
        await super().asyncSetUp()

    async def asyncTearDown(self) -> None:
        self.engine.away = False
        self.engine.stubborn.clear()
        await super().asyncTearDown()

    async def make(self) -> Runtime:
        return DockerRuntime(DockerOptions("test"), lambda _cluster, _threads: self.engine)

    async def crash(self, instance: Instance) -> None:
        self.engine.exit(instance.handle, "139")

    async def freeze(self, instance: Instance) -> None:
        self.engine.pause(instance.handle)

    async def turn(self) -> None:
        """Until the event thread and the loop have taken in what happened."""
        for _ in range(20):
            await asyncio.sleep(0.001)

    # Events

    async def test_a_crash_is_told_with_its_signal_and_tidied_up(self) -> None:
        instance = await self.runtime.spawn(self.spec(1))
        await self.crash(instance)
        await self.until_exits(1)
        await self.turn()
        self.assertEqual([(instance.name, instance.handle, "SIGSEGV")], self.exits)
        self.assertEqual({}, self.engine.rows)

    async def test_out_of_memory(self) -> None:
        instance = await self.runtime.spawn(self.spec(1))
        self.engine.exit(instance.handle, "137", out_of_memory=True)
        await self.until_exits(1)
        self.assertEqual("out of memory", self.exits[0][2])

    async def test_one_that_survives_out_of_memory_is_ended(self) -> None:
        """The kernel took a child of its, say: what is left can't be trusted."""
        instance = await self.runtime.spawn(self.spec(1))
        self.engine.tell("oom", instance.handle)
        await self.until_exits(1)
        self.assertEqual([(instance.name, instance.handle, "out of memory")], self.exits)

    async def test_events_of_others_mean_nothing(self) -> None:
        instance = await self.runtime.spawn(self.spec(1))
        self.engine.tell("die", "f" * 64, exitCode="1")
        self.engine.tell("oom", "f" * 64)
        self.engine.tell("exec_die", instance.handle, exitCode="1")
        await self.turn()
        self.assertEqual(([], [instance]), (self.exits, await self.runtime.list()))
        self.assertEqual(set(), self.runtime._out_of_memory)

    async def test_what_ended_while_no_events_came_is_seen_with_the_next_stream(self) -> None:
        instance = await self.runtime.spawn(self.spec(1))
        self.engine.cut()
        await self.crash(instance)
        await self.until_exits(1)
        self.assertEqual("ended unseen", self.exits[0][2])

    async def test_an_old_list_does_not_bring_back_the_dead(self) -> None:
        instance = await self.runtime.spawn(self.spec(1))
        stale = self.engine.list()
        await self.runtime.kill(instance.name)
        self.runtime._take(stale, (), ())
        self.assertEqual([], await self.runtime.list())
        self.assertEqual(set(), self.runtime._ended)

    async def test_an_old_list_does_not_end_the_newborn(self) -> None:
        stale = self.engine.list()
        instance = await self.runtime.spawn(self.spec(1))
        self.runtime._take(stale, (), ())
        self.assertEqual([], self.exits)
        self.assertEqual([instance], await self.runtime.list())

    # Starts

    async def test_one_that_ends_at_once(self) -> None:
        self.engine.dies_at_start = "3"
        with self.assertRaisesRegex(SpawnError, "it ended at once: .*: last words"):
            await self.runtime.spawn(self.spec(1))
        await self.turn()
        self.assertEqual(({}, []), (self.engine.rows, self.exits))

    async def test_the_secret_is_there_before_it_starts(self) -> None:
        self.runtime.options = DockerOptions("test", secret="s3cret")
        instance = await self.runtime.spawn(self.spec(1))
        path, archive = self.engine.unpacked[instance.handle]
        self.assertEqual("/data", path)
        self.assertIn(b"s3cret", archive)

    async def test_an_image_is_pulled_when_it_is_not_here(self) -> None:
        self.runtime.options = DockerOptions("test", image="example/app:1")
        await self.runtime.spawn(self.spec(1))
        self.assertEqual(["example/app:1"], self.engine.pulled)

    async def test_an_image_that_can_not_be_pulled(self) -> None:
        self.runtime.options = DockerOptions("test", image="no/such")
        with self.assertRaisesRegex(SpawnError, "pull access denied"):
            await self.runtime.spawn(self.spec(1))

    async def test_a_cancelled_start_runs_all_the_same(self) -> None:
        spawning = asyncio.create_task(self.runtime.spawn(self.spec(1)))
        await asyncio.sleep(0)
        spawning.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await spawning
        await self.runtime.kill(self.spec(1).name)
        self.assertEqual(({}, 1), (self.engine.rows, len(self.exits)))

    async def test_the_node_of_a_paused_one_is_given_on_when_it_is_gone(self) -> None:
        old = await self.runtime.spawn(self.spec(1))
        await self.freeze(old)
        new = await self.runtime.spawn(ReplicaSpec("server2", old.node_id, old.index))
        self.assertEqual([old.handle], [exit[1] for exit in self.exits])
        self.assertEqual([new], await self.runtime.list())

    async def test_the_node_of_one_that_can_not_be_removed_is_not_given_on(self) -> None:
        old = await self.runtime.spawn(self.spec(1))
        self.engine.stubborn.add(old.name)
        with self.assertRaisesRegex(RuntimeLost, "busy"):
            await self.runtime.spawn(ReplicaSpec("server2", old.node_id, old.index))
        self.assertEqual([old], await self.runtime.list())

    async def test_the_data_of_a_node_that_left(self) -> None:
        self.engine.volumes["carousel-test-node-9"] = {}  # a stranger's
        for number in (1, 2):
            await self.runtime.kill((await self.runtime.spawn(self.spec(number))).name)
        for node_id in (101, 9, 77):
            await self.runtime.discard(node_id)
        self.assertEqual(["carousel-test-node-102", "carousel-test-node-9"], sorted(self.engine.volumes))

    async def test_its_data_goes_when_its_last_container_is_dead_and_not_yet_removed(self) -> None:
        """As the controller asks for it: at the exit that it heard of, while the removal is under way."""
        instance = await self.runtime.spawn(self.spec(1))
        with self.assertRaisesRegex(RuntimeLost, "in use"):
            await self.runtime.discard(instance.node_id)
        self.assertEqual([instance], await self.runtime.list())
        await self.crash(instance)
        while not self.exits:  # tested at each turn of the loop, before the removal can have ended
            await asyncio.sleep(0)
        await self.runtime.discard(instance.node_id)
        self.assertEqual({}, self.engine.volumes)

    # Strangers and leftovers

    async def test_a_strangers_name(self) -> None:
        stranger = self.engine.add_stranger("server1")
        with self.assertRaisesRegex(SpawnError, "isn't ours"):
            await self.runtime.spawn(self.spec(1))
        await self.runtime.kill("server1")
        self.assertEqual([stranger], list(self.engine.rows))

    async def test_leftovers_go_when_a_control_begins(self) -> None:
        await self.runtime.close()
        for number, state in enumerate(("created", "exited", "dead"), start=1):
            self.engine.add_leftover(f"old{number}", number, state)
        paused = self.engine.add_leftover("paused", 9, "paused")
        self.runtime = await self.make()
        await self.runtime.open(self.on_exit)
        self.assertEqual([paused], [instance.handle for instance in await self.runtime.list()])
        self.assertEqual([paused], list(self.engine.rows))

    async def test_the_end_of_the_system(self) -> None:
        for number in (1, 2, 3):
            await self.runtime.spawn(self.spec(number))
        self.engine.pause(self.engine.list()[0]["Id"])
        stranger = self.engine.add_stranger("somebody")
        self.assertEqual(3, await asyncio.to_thread(end_fleet, self.engine, 0.0))
        self.assertEqual([stranger], list(self.engine.rows))

    # The engine itself

    async def test_an_engine_that_is_away(self) -> None:
        instance = await self.runtime.spawn(self.spec(1))
        self.engine.away = True
        for call in (self.runtime.list(), self.runtime.kill(instance.name), self.runtime.spawn(self.spec(2))):
            with self.assertRaises(RuntimeLost):
                await call
        self.engine.away = False
        self.assertEqual([instance], await self.runtime.list())
        self.assertEqual([], self.exits)

    async def test_no_engine_at_the_start(self) -> None:
        self.engine.away = True
        runtime = await self.make()
        with self.assertRaises(RuntimeLost):
            await runtime.open(lambda *_: None)
        await runtime.close()


if __name__ == "__main__":
    unittest.main()
