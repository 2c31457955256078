import asyncio
from collections.abc import Callable
from typing import Any

from support.door_case import DoorCase
from support.fake_replicas import ok


class Waiting(DoorCase):
    async def test_who_leaves_while_connecting_makes_room_for_the_next(self) -> None:
        rig = await self.rig(ok, upstream_connections=1)
        pool = rig.door.replicas.pools[1]
        connect = pool._connect  # pyright: ignore[reportPrivateUsage]

        async def hang(factory: Callable[[], Any]) -> Any:
            await asyncio.Event().wait()

        pool._connect = hang  # pyright: ignore[reportPrivateUsage]
        first, second = await rig.connect(), await rig.connect()
        first.send(b"GET /a HTTP/1.1\r\nHost: d\r\n\r\n")
        await rig.until(lambda: bool(pool.connecting))
        second.send(b"GET /b HTTP/1.1\r\nHost: d\r\n\r\n")
        await rig.until(lambda: bool(pool.waiting))
        pool._connect = connect  # pyright: ignore[reportPrivateUsage]
        first.reset()
        async with asyncio.timeout(5):
            self.assertEqual((await second.message())[0], 200)
        self.assertEqual(rig.door.counters.in_flight[1], 0)

    async def test_a_host_that_is_no_name_is_refused_and_not_waited_for(self) -> None:
        rig = await self.rig(ok)
        rig.publish(S1={"host": "a..b"})
        client = await rig.connect()
        async with asyncio.timeout(5):
            self.assertEqual((await client.get())[0], 503)
        self.assertEqual(rig.door.counters.in_flight[1], 0)
        rig.later(2)
        await rig.turns(200)
        self.assertFalse(rig.door.replicas.pools[1].connecting)

    async def test_a_connection_that_comes_just_as_its_time_is_up_is_not_left_open(self) -> None:
        """uvloop's create_connection, cancelled in that turn, closes nothing."""
        rig = await self.rig(ok)
        pool = rig.door.replicas.pools[1]
        connect = pool._connect  # pyright: ignore[reportPrivateUsage]

        async def too_late(factory: Callable[[], Any]) -> Any:
            await connect(factory)
            raise TimeoutError

        pool._connect = too_late  # pyright: ignore[reportPrivateUsage]
        client = await rig.connect()
        self.assertEqual((await client.get())[0], 503)
        await rig.until(lambda: rig.door.counters.upstream_connections == 0)
        self.assertEqual(rig.door.counters.in_flight[1], 0)
