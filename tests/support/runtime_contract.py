"""What every runtime owes, whatever it runs replicas on: one suite, mixed into a test case for each of them."""

import asyncio
import contextlib
from abc import abstractmethod
from typing import TYPE_CHECKING
from unittest import IsolatedAsyncioTestCase

from loadbalancer.instances import Instance, ReplicaSpec
from loadbalancer.spawn.base import Runtime, SpawnError
from support.supervising import DEADLINE_S, fetch

# No test case by itself: unittest would run it, with no runtime to test.
Base = IsolatedAsyncioTestCase if TYPE_CHECKING else object


class RuntimeContract(Base):
    """Mixed in before IsolatedAsyncioTestCase; what a subclass starts besides, it ends by addCleanup."""

    serves = True  # a spawned replica answers /home
    keeps = True  # replicas outlive the runtime object

    @abstractmethod
    async def make(self) -> Runtime:
        """A new runtime over the same ground: what outlives control is found by the next one made."""

    @abstractmethod
    async def crash(self, instance: Instance) -> None:
        """End it from outside, not by the runtime."""

    @abstractmethod
    async def freeze(self, instance: Instance) -> None:
        """It lives and hears no signal but SIGKILL."""

    def spec(self, number: int) -> ReplicaSpec:
        return ReplicaSpec(f"server{number}", 100 + number, number)

    async def asyncSetUp(self) -> None:
        self.exits: list[tuple[str, str, str]] = []
        self.heard = asyncio.Event()
        self.runtime = await self.make()
        await self.runtime.open(self.on_exit)

    async def asyncTearDown(self) -> None:
        with contextlib.suppress(OSError):
            for instance in await self.runtime.list():
                await self.runtime.kill(instance.name)
        await self.runtime.close()

    def on_exit(self, name: str, handle: str, reason: str) -> None:
        self.exits.append((name, handle, reason))
        self.heard.set()

    async def until_exits(self, count: int) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while len(self.exits) < count:
                self.heard.clear()
                await self.heard.wait()

    async def until_it_answers(self, instance: Instance) -> bytes:
        """A started replica may still refuse connections."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                with contextlib.suppress(OSError):
                    if answer := await fetch(instance.host, instance.port):
                        return answer
                await asyncio.sleep(0.005)

    # Starting

    async def test_starts_what_it_is_told(self) -> None:
        spec = self.spec(1)
        instance = await self.runtime.spawn(spec)
        self.assertEqual((spec.name, spec.node_id, spec.index), (instance.name, instance.node_id, instance.index))
        self.assertGreater(instance.port, 0)
        self.assertTrue(instance.handle)
        self.assertEqual([instance], await self.runtime.list())
        if self.serves:
            self.assertIn(b"200", await self.until_it_answers(instance))

    async def test_a_name_in_use_is_refused(self) -> None:
        instance = await self.runtime.spawn(self.spec(1))
        with self.assertRaises(SpawnError):
            await self.runtime.spawn(self.spec(1))
        self.assertEqual([instance], await self.runtime.list())

    async def test_many_at_once(self) -> None:
        started = await asyncio.gather(*(self.runtime.spawn(self.spec(number)) for number in range(1, 9)))
        listed = await self.runtime.list()
        self.assertCountEqual(started, listed)
        self.assertEqual(8, len({instance.handle for instance in listed}))
        self.assertEqual(8, len({(instance.host, instance.port) for instance in listed}))

    # Ending

    async def test_stop_returns_when_it_is_gone_and_was_heard(self) -> None:
        instance = await self.runtime.spawn(self.spec(1))
        await self.runtime.stop(instance.name, DEADLINE_S)
        self.assertEqual([(instance.name, instance.handle)], [exit[:2] for exit in self.exits])
        self.assertEqual([], await self.runtime.list())

    async def test_kill_returns_when_it_is_gone_and_was_heard(self) -> None:
        first, second = [await self.runtime.spawn(self.spec(number)) for number in (1, 2)]
        await self.runtime.kill(first.name)
        self.assertEqual([(first.name, first.handle)], [exit[:2] for exit in self.exits])
        self.assertEqual([second], await self.runtime.list())

    async def test_ending_the_unknown_does_nothing(self) -> None:
        await self.runtime.stop("nobody", 1)
        await self.runtime.kill("nobody")
        instance = await self.runtime.spawn(self.spec(1))
        await self.runtime.kill(instance.name)
        await self.runtime.kill(instance.name)
        await self.runtime.stop(instance.name, 1)
        self.assertEqual(1, len(self.exits))

    async def test_whoever_asks_at_once_hears_one_end(self) -> None:
        name = (await self.runtime.spawn(self.spec(1))).name
        await asyncio.gather(self.runtime.stop(name, DEADLINE_S), self.runtime.kill(name), self.runtime.kill(name))
        self.assertEqual(1, len(self.exits))

    async def test_a_stop_during_the_start_leaves_nothing(self) -> None:
        spawning = asyncio.create_task(self.runtime.spawn(self.spec(1)))
        await asyncio.sleep(0)
        await self.runtime.kill(self.spec(1).name)
        await spawning
        self.assertEqual([], await self.runtime.list())
        self.assertEqual(1, len(self.exits))

    async def test_a_freed_name_is_another_incarnation(self) -> None:
        old = await self.runtime.spawn(self.spec(1))
        await self.runtime.kill(old.name)
        new = await self.runtime.spawn(self.spec(1))
        self.assertEqual([new], await self.runtime.list())
        if self.serves:
            self.assertNotEqual(old.handle, new.handle)

    async def test_a_crash_is_heard_once(self) -> None:
        instance, other = [await self.runtime.spawn(self.spec(number)) for number in (1, 2)]
        await self.crash(instance)
        await self.until_exits(1)
        await self.runtime.kill(instance.name)
        self.assertEqual([(instance.name, instance.handle)], [exit[:2] for exit in self.exits])
        self.assertTrue(self.exits[0][2])
        self.assertEqual([other], await self.runtime.list())

    async def test_a_frozen_one_is_killed(self) -> None:
        instance = await self.runtime.spawn(self.spec(1))
        await self.freeze(instance)
        await self.runtime.kill(instance.name)
        self.assertEqual([instance.name], [exit[0] for exit in self.exits])

    async def test_a_frozen_one_is_stopped_after_its_grace(self) -> None:
        instance = await self.runtime.spawn(self.spec(1))
        await self.freeze(instance)
        await self.runtime.stop(instance.name, 0.05)
        self.assertEqual([instance.name], [exit[0] for exit in self.exits])
        self.assertEqual([], await self.runtime.list())

    # Outliving

    async def test_the_next_control_finds_them(self) -> None:
        if not self.keeps:
            self.skipTest("its replicas end with it")
        kept, lost = [await self.runtime.spawn(self.spec(number)) for number in (1, 2)]
        await self.runtime.close()
        await self.crash(lost)
        self.runtime = await self.make()
        await self.runtime.open(self.on_exit)
        async with asyncio.timeout(DEADLINE_S):
            while await self.runtime.list() != [kept]:
                await asyncio.sleep(0.005)
        await self.runtime.kill(kept.name)
        self.assertIn((kept.name, kept.handle), [exit[:2] for exit in self.exits])
