"""The docker runtime, held to the contract over a real engine, and what only it has to answer for."""

import asyncio
import contextlib
import unittest
from typing import Any

from support.docker_ground import IMAGE, DockerGround
from support.runtime_contract import RuntimeContract

from loadbalancer.containers import DockerOptions, volume_name
from loadbalancer.instances import Instance, ReplicaSpec
from loadbalancer.spawn.base import Runtime, RuntimeLost, SpawnError

EATER = "import time; kept = [bytearray(b'x' * 1_000_000) for _ in range(200)]; time.sleep(1000)"


class TestDockerRuntime(RuntimeContract, unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.ground = DockerGround()
        self.addCleanup(self.ground.clear)
        await super().asyncSetUp()

    async def make(self) -> Runtime:
        from loadbalancer.spawn.docker import DockerRuntime

        return DockerRuntime(self.options())

    def options(self, **changes: Any) -> DockerOptions:
        fields = {"cluster_id": self.ground.cluster_id, "network": self.ground.network, "image": IMAGE, "memory_mb": 64}
        return DockerOptions(**{**fields, **changes})

    def spec(self, number: int) -> ReplicaSpec:
        return ReplicaSpec(self.ground.name(number), 100 + number, number)

    async def crash(self, instance: Instance) -> None:
        await asyncio.to_thread(self.container(instance).kill)

    async def freeze(self, instance: Instance) -> None:
        await asyncio.to_thread(self.container(instance).pause)

    def container(self, instance: Instance) -> Any:
        return self.ground.client.containers.get(instance.handle)

    # What a replica is given

    async def test_it_runs_without_rights_and_within_limits(self) -> None:
        instance = await self.runtime.spawn(self.spec(1))
        config = self.container(instance).attrs
        host = config["HostConfig"]
        self.assertTrue(host["ReadonlyRootfs"])
        self.assertEqual((["ALL"], ["no-new-privileges"]), (host["CapDrop"], host["SecurityOpt"]))
        self.assertEqual((64 << 20, 64 << 20, 10**9), (host["Memory"], host["MemorySwap"], host["NanoCpus"]))
        self.assertEqual("no", host["RestartPolicy"]["Name"])
        self.assertEqual("10001:10001", config["Config"]["User"])
        self.assertEqual(instance.name, config["Config"]["Hostname"])
        self.assertIn(instance.name, config["NetworkSettings"]["Networks"][self.ground.network]["Aliases"])

    async def test_it_is_told_who_it_is(self) -> None:
        self.runtime.options = self.options(home_format="I am [{id}]", id_kind="index")
        instance = await self.runtime.spawn(ReplicaSpec(self.ground.name(9), 77, 4))
        self.assertIn(b"I am [4]", await self.until_it_answers(instance))

    async def test_the_data_outlives_the_container(self) -> None:
        old = await self.runtime.spawn(self.spec(1))
        await self.until_it_answers(old)
        ask = ["sh", "-c", "grep directory.id /data/meta.properties"]
        before = self.container(old).exec_run(ask).output
        await self.runtime.kill(old.name)
        new = await self.runtime.spawn(ReplicaSpec(self.ground.name(2), old.node_id, old.index))
        await self.until_it_answers(new)
        self.assertIn(b"directory.id=", before)
        self.assertEqual(before, self.container(new).exec_run(ask).output)

    async def test_a_command_of_the_users_own(self) -> None:
        serve = ("python3", "-m", "http.server", "5000")
        self.runtime.options = self.options(server_command=serve)
        self.assertIn(b"SimpleHTTP", await self.until_it_answers(await self.runtime.spawn(self.spec(1))))

    async def test_the_data_of_a_node_that_left(self) -> None:
        instance = await self.runtime.spawn(self.spec(1))
        with self.assertRaisesRegex(RuntimeLost, "in use"):
            await self.runtime.discard(instance.node_id)
        await self.runtime.kill(instance.name)
        await self.runtime.discard(instance.node_id)
        await self.runtime.discard(instance.node_id)
        self.assertEqual([], self.ground.volumes())

    # Ends

    async def test_a_killed_one_is_heard_of_at_once_and_removed(self) -> None:
        instance = await self.runtime.spawn(self.spec(1))
        await self.crash(instance)
        await self.until_exits(1)
        self.assertEqual("SIGKILL", self.exits[0][2])
        await self.until(lambda: not self.ground.containers())

    async def test_out_of_memory(self) -> None:
        self.runtime.options = self.options(server_command=("python3", "-c", EATER), memory_mb=32)
        with contextlib.suppress(SpawnError):  # it may be too quick
            await self.runtime.spawn(self.spec(1))
            await self.until_exits(1)
            self.assertEqual("out of memory", self.exits[0][2])

    async def test_one_that_was_removed_by_somebody(self) -> None:
        instance = await self.runtime.spawn(self.spec(1))
        await asyncio.to_thread(self.container(instance).remove, force=True)
        await self.until_exits(1)
        self.assertEqual([], await self.runtime.list())

    async def test_what_ended_while_the_events_were_away(self) -> None:
        instance = await self.runtime.spawn(self.spec(1))
        events = self.runtime._events
        events._closed.set()
        events._stream.close()
        await asyncio.to_thread(events._thread.join)
        await self.crash(instance)
        self.assertEqual([], await self.runtime.list())
        self.assertEqual([(instance.name, instance.handle, "ended unseen")], self.exits)

    async def test_the_events_come_back(self) -> None:
        instance = await self.runtime.spawn(self.spec(1))
        stream = self.runtime._events._stream
        stream.close()
        await self.until(lambda: self.runtime._events._stream is not stream)
        await self.crash(instance)
        await self.until_exits(1)

    # Refusals

    async def test_a_command_that_is_not_there(self) -> None:
        self.runtime.options = self.options(server_command=("/no/such/server",))
        with self.assertRaisesRegex(SpawnError, "/no/such/server"):
            await self.runtime.spawn(self.spec(1))
        self.assertEqual([], self.ground.containers())

    async def test_one_that_ends_at_once_says_its_last_words(self) -> None:
        self.runtime.options = self.options(server_command=("sh", "-c", "echo no good; exit 3"))
        reason = ""
        try:
            await self.runtime.spawn(self.spec(1))
            await self.until_exits(1)
            reason = self.exits[0][2]
        except SpawnError as error:
            self.assertIn("no good", str(error))
            reason = str(error)
        self.assertIn("exit 3", reason.replace("Exited (3)", "exit 3"))
        await self.until(lambda: not self.ground.containers())

    async def test_no_such_image(self) -> None:
        self.runtime.options = self.options(image="carousel-none/such:1")
        with self.assertRaises(SpawnError):
            await self.runtime.spawn(self.spec(1))

    # Whose is what

    async def test_a_strangers_name_is_refused_and_it_lives(self) -> None:
        with self.ground.stranger(name=self.ground.name(1)) as stranger:
            with self.assertRaisesRegex(SpawnError, "isn't ours"):
                await self.runtime.spawn(self.spec(1))
            self.assertEqual([], await self.runtime.list())
            stranger.reload()
            self.assertEqual("running", stranger.status)

    async def test_strangers_on_our_network_are_left_alone(self) -> None:
        with self.ground.stranger(network=self.ground.network) as stranger:
            await self.runtime.kill((await self.runtime.spawn(self.spec(1))).name)
            stranger.reload()
            self.assertEqual("running", stranger.status)
            self.assertEqual([], await self.runtime.list())

    async def test_a_strangers_volume_is_refused(self) -> None:
        volume = self.ground.client.volumes.create(volume_name(self.ground.cluster_id, 101))
        self.addCleanup(volume.remove)
        with self.assertRaisesRegex(SpawnError, "isn't ours"):
            await self.runtime.spawn(self.spec(1))

    async def test_the_old_one_is_gone_before_its_volume_is_given_on(self) -> None:
        """Also if it is paused, and even if nobody asked for its end."""
        old = await self.runtime.spawn(self.spec(1))
        await self.freeze(old)
        new = await self.runtime.spawn(ReplicaSpec(self.ground.name(2), old.node_id, old.index))
        self.assertEqual([(old.name, old.handle)], [exit[:2] for exit in self.exits])
        self.assertEqual([new], await self.runtime.list())
        self.assertEqual([new.handle], [container.id for container in self.ground.containers()])

    async def test_what_an_earlier_control_left_half_done_is_removed(self) -> None:
        living = await self.runtime.spawn(self.spec(1))
        labels = self.container(living).labels
        self.ground.client.containers.create(IMAGE, name=self.ground.name(2), labels={**labels, "carousel.node": "7"})
        await self.runtime.close()
        self.runtime = await self.make()
        await self.runtime.open(self.on_exit)
        self.assertEqual([living], await self.runtime.list())
        self.assertEqual([living.handle], [container.id for container in self.ground.containers()])

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(20):
            while not await asyncio.to_thread(condition):
                await asyncio.sleep(0.02)


if __name__ == "__main__":
    unittest.main()
