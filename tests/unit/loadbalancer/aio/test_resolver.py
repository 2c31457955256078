import asyncio
import threading
import time
import unittest
from collections.abc import Sequence
from typing import Any
from unittest import mock

from support.door_case import DoorCase
from support.fake_replicas import OK, Visit, ok

from loadbalancer.aio.probes import heartbeat
from loadbalancer.aio.resolver import Resolver, directly, is_literal, look_up
from loadbalancer.health import ProbeTarget

PATIENCE_S = 10.0


class Literals(unittest.TestCase):
    def test_addresses_are_and_names_are_not(self) -> None:
        for host in ("127.0.0.1", "::1", "2001:db8::7"):
            self.assertTrue(is_literal(host), host)
        for host in ("localhost", "a.b", "127.0.0", "", "a..b"):
            self.assertFalse(is_literal(host), host)


class Names(unittest.IsolatedAsyncioTestCase):
    """A resolver with an injected `resolve`, whose answers are `zone`; the test's own clock."""

    def setUp(self) -> None:
        self.zone: dict[str, Sequence[str] | Exception] = {}
        self.asked: list[str] = []
        self.changes: list[tuple[str, Sequence[str]]] = []
        self.failures = 0
        self.log = mock.Mock()
        self.resolver = Resolver(10, self.log, lambda *change: self.changes.append(change), self.fail_once)
        self.resolver.resolve = self.resolve
        self.gate = asyncio.Event()
        self.gate.set()

    def fail_once(self) -> None:
        self.failures += 1

    async def resolve(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        await self.gate.wait()
        answer = self.zone[host]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def turns(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def reached(self, host: str, *refusing: str) -> str:
        """The address that `reach` ends at if these refuse."""

        async def attempt(address: str) -> str:
            if address in refusing:
                raise ConnectionRefusedError(address)
            return address

        return await self.resolver.reach(host, attempt, PATIENCE_S)

    async def test_literals_are_never_resolved(self) -> None:
        self.resolver.watch(["127.0.0.1", "::1"], 0)
        self.resolver.tick(100)
        await self.turns()
        self.assertEqual((self.asked, await self.reached("127.0.0.1")), ([], "127.0.0.1"))

    async def test_once_a_refresh_and_never_for_a_request(self) -> None:
        self.zone["db"] = ["1.1.1.1", "2.2.2.2"]
        self.resolver.watch(["db"], 0)
        seen = [await self.reached("db") for _ in range(10)]
        self.assertEqual((seen.count("1.1.1.1"), seen.count("2.2.2.2")), (5, 5))
        for now in (1, 5, 9.9):
            self.resolver.tick(now)
            self.resolver.watch(["db"], now)
        self.assertEqual(self.asked, ["db"])
        self.resolver.tick(10)
        await self.turns()
        self.assertEqual(self.asked, ["db", "db"])

    async def test_the_first_resolution_is_waited_for(self) -> None:
        self.zone["db"] = ["1.1.1.1"]
        self.gate.clear()
        self.resolver.watch(["db"], 0)
        waiting = asyncio.ensure_future(self.reached("db"))
        await self.turns()
        self.assertFalse(waiting.done())
        self.gate.set()
        self.assertEqual(await waiting, "1.1.1.1")

    async def test_who_stops_waiting_for_it_does_not_stop_it(self) -> None:
        self.zone["db"] = ["1.1.1.1"]
        self.gate.clear()
        self.resolver.watch(["db"], 0)
        waiting = asyncio.ensure_future(self.reached("db"))
        await self.turns()
        waiting.cancel()
        self.gate.set()
        self.assertEqual(await self.reached("db"), "1.1.1.1")
        self.assertEqual(self.asked, ["db"])

    async def test_a_name_that_was_never_resolved_fails_at_once(self) -> None:
        for error in (OSError("dead"), UnicodeError("label empty")):
            self.zone["db"] = error
            self.resolver.watch([], 0)
            self.resolver.watch(["db"], 0)
            with self.assertRaisesRegex(OSError, "db can't be resolved"):
                await self.reached("db")

    async def test_the_last_addresses_serve_while_resolving_fails(self) -> None:
        self.zone["db"] = ["1.1.1.1"]
        self.resolver.watch(["db"], 0)
        await self.turns()
        self.zone["db"] = OSError("dead")
        for now in (10, 11, 12):
            self.resolver.tick(now)
            await self.turns()
            self.assertEqual(await self.reached("db"), "1.1.1.1")
        self.assertEqual((self.failures, self.log.warning.call_count, self.changes), (3, 1, []))
        self.zone["db"] = ["1.1.1.1"]
        self.resolver.tick(13)
        await self.turns()
        self.assertEqual(self.log.info.call_count, 1)

    async def test_addresses_that_went_are_told(self) -> None:
        self.zone["db"] = ["1.1.1.1", "2.2.2.2"]
        self.resolver.watch(["db"], 0)
        await self.turns()
        for now, found in ((10, ["2.2.2.2", "1.1.1.1", "3.3.3.3"]), (20, ["3.3.3.3"])):
            self.zone["db"] = found
            self.resolver.tick(now)
            await self.turns()
        self.assertEqual(self.changes, [("db", ("3.3.3.3",))])
        self.assertEqual({await self.reached("db") for _ in range(3)}, {"3.3.3.3"})

    async def test_the_next_address_when_one_refuses(self) -> None:
        self.zone["db"] = ["1.1.1.1", "2.2.2.2"]
        self.resolver.watch(["db"], 0)
        self.assertEqual({await self.reached("db", "1.1.1.1") for _ in range(4)}, {"2.2.2.2"})
        with self.assertRaises(ConnectionRefusedError):
            await self.reached("db", "1.1.1.1", "2.2.2.2")

    async def test_a_silent_address_leaves_time_for_the_others(self) -> None:
        self.zone["db"] = ["1.1.1.1", "2.2.2.2", "3.3.3.3"]
        self.resolver.watch(["db"], 0)
        tried: list[str] = []

        async def attempt(address: str) -> str:
            tried.append(address)
            if len(tried) < 3:
                await asyncio.Event().wait()
            return address

        self.assertEqual(await self.resolver.reach("db", attempt, 0.03), tried[2])
        self.assertEqual(len(set(tried)), 3)

    async def test_names_that_nobody_needs_are_forgotten(self) -> None:
        self.zone |= {"db": ["1.1.1.1"], "other": ["2.2.2.2"]}
        self.resolver.watch(["db", "other"], 0)
        await self.turns()
        self.resolver.watch(["db"], 1)
        self.resolver.tick(100)
        await self.turns()
        self.assertEqual(sorted(self.asked), ["db", "db", "other"])

    async def test_one_resolution_at_a_time_for_each_and_none_holds_another_up(self) -> None:
        self.zone |= {"dead": ["1.1.1.1"], "db": ["2.2.2.2"]}
        hanging = asyncio.Event()

        async def resolve(host: str) -> Sequence[str]:
            self.asked.append(host)
            if host == "dead":
                await hanging.wait()
            return self.zone[host]  # type: ignore[return-value]

        self.resolver.resolve = resolve
        self.resolver.watch(["dead", "db"], 0)
        for now in range(0, 100, 10):
            self.resolver.tick(now)
            await self.turns()
        self.assertEqual((self.asked.count("dead"), self.asked.count("db")), (1, 10))
        self.assertEqual(await self.reached("db"), "2.2.2.2")
        await self.resolver.close()

    async def test_heartbeats_wait_for_their_name_no_longer_than_they_may(self) -> None:
        self.zone["db"] = ["1.1.1.1"]
        self.gate.clear()
        self.resolver.watch(["db"], 0)
        target = ProbeTarget("db:1", "db:1", "db", 1, False)
        begun = time.monotonic()
        self.assertIn("within 20 ms", await heartbeat(target, "/", 0.02, self.resolver.reach))
        self.assertLess(time.monotonic() - begun, PATIENCE_S)
        await self.resolver.close()


class Real(unittest.IsolatedAsyncioTestCase):
    async def test_localhost(self) -> None:
        found = await look_up("localhost")
        self.assertTrue({"127.0.0.1", "::1"} & set(found), found)

    async def test_no_name_at_all(self) -> None:
        with self.assertRaises((OSError, UnicodeError)):
            await look_up("a..b")

    async def test_nobody_waits_for_a_thread_that_hangs(self) -> None:
        answered = threading.Event()
        with mock.patch("socket.getaddrinfo", side_effect=lambda *_, **__: [] if answered.wait(PATIENCE_S) else None):
            waiting = asyncio.ensure_future(look_up("db"))
            await asyncio.sleep(0)
            waiting.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await waiting
            answered.set()
            for thread in threading.enumerate():
                if thread.name == "resolve db":
                    thread.join(PATIENCE_S)

    async def test_directly(self) -> None:
        async def attempt(address: str) -> str:
            return address

        self.assertEqual(await directly("db", attempt, 1), "db")


class InTheDataPath(DoorCase):
    """Real connections to `localhost`, which is resolved for real, or to names that the test resolves."""

    async def test_a_backend_called_localhost(self) -> None:
        rig = await self.rig(ok)
        rig.publish(S1={"host": "localhost"})  # ::1 may come first, and nobody listens there
        client = await rig.connect()
        for _ in range(3):
            self.assertEqual((await client.get())[0], 200)
        self.assertEqual(rig.said, [])

    async def named(self, *addresses: str) -> Any:
        rig = await self.rig(ok)
        self.addresses: Sequence[str] | Exception = addresses

        async def resolve(host: str) -> Sequence[str]:
            if isinstance(self.addresses, Exception):
                raise self.addresses
            return self.addresses

        rig.door.replicas.resolver.resolve = resolve
        rig.publish(S1={"host": "backend"})
        return rig

    async def test_connections_to_an_address_that_went_are_closed(self) -> None:
        rig = await self.named("127.0.0.1")
        client = await rig.connect()
        await client.get()
        await client.get()
        self.assertEqual(rig.replicas[0].connections, 1)
        self.addresses = ("127.0.0.2",)
        rig.later(11)
        await rig.until(lambda: rig.door.counters.upstream_connections == 0)

    async def test_one_that_is_busy_is_closed_after_its_answer(self) -> None:
        async def wait(visit: Visit) -> None:
            await gate.wait()
            visit.say(OK)

        gate = asyncio.Event()
        rig = await self.named("127.0.0.1", "127.0.0.2")
        rig.replicas[0].answer = wait
        client = await rig.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
        await rig.replicas[0].visited()
        self.addresses = ("127.0.0.3",)
        rig.later(11)
        await rig.turns()
        self.assertEqual(rig.door.counters.upstream_connections, 1)
        gate.set()
        self.assertEqual((await client.message())[0], 200)
        await rig.until(lambda: rig.door.counters.upstream_connections == 0)
        self.assertEqual(rig.door.counters.in_flight[1], 0)

    async def test_a_dead_server_of_names_is_counted_and_costs_nothing_else(self) -> None:
        rig = await self.named("127.0.0.1")
        client = await rig.connect()
        await client.get()
        self.addresses = OSError("dead")
        for _ in range(3):
            rig.later(60)
            await rig.turns()
            self.assertEqual((await client.get())[0], 200)
        self.assertGreaterEqual(rig.door.counters.dns_failures, 1)

    async def test_a_trial_goes_by_the_name_too(self) -> None:
        rig = await self.named("127.0.0.1")
        rig.replicas.append(rig.replicas[0])
        rig.publish(S1={"host": "backend"})
        rig.door.replicas.told(1, "S1", "refused")
        self.assertNotIn(1, rig.door.replicas._view.eligible)
        rig.later(1.1, ticks=1)
        await rig.until(lambda: 1 in rig.door.replicas._view.eligible)
        rig.replicas.pop()
