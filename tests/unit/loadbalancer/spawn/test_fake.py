"""The fake runtime: the contract of all runtimes, and its faults."""

import asyncio
import unittest

from support.runtime_contract import RuntimeContract
from support.supervising import fetch

from loadbalancer.instances import Instance, ReplicaSpec
from loadbalancer.spawn.base import Runtime, SpawnError
from loadbalancer.spawn.fake import FakeRuntime


class TestContract(RuntimeContract, unittest.IsolatedAsyncioTestCase):
    keeps = False

    async def make(self) -> Runtime:
        return FakeRuntime()

    async def crash(self, instance: Instance) -> None:
        self.runtime.crash(instance.name)

    async def freeze(self, instance: Instance) -> None:
        self.runtime.hang(instance.name)


class TestFaults(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.exits: list[tuple[str, str, str]] = []
        self.runtime = FakeRuntime("[{id}]", id_kind="index")
        await self.runtime.open(lambda *exit: self.exits.append(exit))

    async def asyncTearDown(self) -> None:
        await self.runtime.close()

    async def test_answers_as_the_bundled_server(self) -> None:
        instance = await self.runtime.spawn(ReplicaSpec("server4", 104, 4))
        answer = await fetch(instance.host, instance.port)
        self.assertTrue(answer.endswith(b'{"message": "[4]", "status": "successful"}'), answer)

    async def test_crash(self) -> None:
        instance = await self.runtime.spawn(ReplicaSpec("server1", 101, 1))
        self.runtime.crash("server1", "exit 3")
        self.assertEqual([("server1", instance.handle, "exit 3")], self.exits)
        with self.assertRaises(OSError):
            await fetch(instance.host, instance.port)

    async def test_hang_and_wake(self) -> None:
        instance = await self.runtime.spawn(ReplicaSpec("server1", 101, 1))
        self.runtime.hang("server1")
        asking = asyncio.create_task(fetch(instance.host, instance.port))
        while not self.runtime.replicas["server1"].service.in_flight:
            await asyncio.sleep(0)
        self.assertFalse(asking.done())
        self.runtime.wake("server1")
        self.assertIn(b"200 OK", await asking)

    async def test_refuse(self) -> None:
        instance = await self.runtime.spawn(ReplicaSpec("server1", 101, 1))
        self.runtime.refuse("server1")
        with self.assertRaises(OSError):
            await fetch(instance.host, instance.port)
        self.assertEqual([instance], await self.runtime.list())

    async def test_deaf_to_sigterm(self) -> None:
        await self.runtime.spawn(ReplicaSpec("server1", 101, 1))
        self.runtime.deafen("server1")
        await self.runtime.stop("server1", 0.01)
        self.assertEqual("SIGKILL", self.exits[0][2])

    async def test_stop_finishes_what_is_under_way(self) -> None:
        instance = await self.runtime.spawn(ReplicaSpec("server1", 101, 1))
        self.runtime.hang("server1")
        asking = asyncio.create_task(fetch(instance.host, instance.port))
        while not self.runtime.replicas["server1"].service.in_flight:
            await asyncio.sleep(0)
        self.runtime.wake("server1")
        await self.runtime.stop("server1", 5)
        self.assertIn(b"200 OK", await asking)
        self.assertEqual("exit 0", self.exits[0][2])

    async def test_failing_spawns(self) -> None:
        self.runtime.fail_next_spawns(1, "disk full")
        with self.assertRaisesRegex(SpawnError, "disk full"):
            await self.runtime.spawn(ReplicaSpec("server1", 101, 1))
        await self.runtime.spawn(ReplicaSpec("server1", 101, 1))


if __name__ == "__main__":
    unittest.main()
