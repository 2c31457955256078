import asyncio

from support.door_case import DoorCase
from support.fake_replicas import OK, Visit, ok, reset, saying


class Framing(DoorCase):
    async def test_a_304_has_no_body_though_the_replica_sends_one(self) -> None:
        """Passed on, it would be the beginning of the next answer to that client."""
        rig = await self.rig(saying(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nhi"))
        client = await rig.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
        self.assertTrue((await client.head()).startswith(b"HTTP/1.1 304 "))
        rig.replicas[0].answer = ok
        self.assertEqual((await client.get())[0], 200)
        self.assertEqual(rig.replicas[0].connections, 2)


class Signs(DoorCase):
    async def test_connections_that_were_idle_for_long_may_end_as_the_next_requests_come(self) -> None:
        async def wait(visit: Visit) -> None:
            await gate.wait()
            visit.say(OK)

        gate = asyncio.Event()
        rig = await self.rig(wait, ok)
        target = rig.target_of(1)
        clients = [await rig.connect() for _ in range(4)]
        for client in clients:
            client.send(b"GET %b HTTP/1.1\r\nHost: d\r\n\r\n" % target)
        await rig.replicas[0].visited(4)
        gate.set()
        for client in clients:
            await client.message()
        for upstream in rig.door.replicas.pools[1].connections:
            upstream.idle_since -= 2
        rig.replicas[0].answer = reset
        for client in clients:
            self.assertEqual((await client.get(target))[0], 200)
        self.assertEqual(rig.said, [])

    async def test_an_answer_that_ends_with_its_connection_is_an_answer(self) -> None:
        """It ends a row of resets as any other does."""
        rig = await self.rig(reset, ok, ok)
        client, target = await rig.connect(), rig.target_of(1)
        for _ in range(3):
            for answer, count in ((reset, 2), (saying(b"HTTP/1.0 200 OK\r\n\r\nhi"), 1)):
                rig.replicas[0].answer = (lambda told: lambda visit: self.and_close(visit, told))(answer)
                for _ in range(count):
                    client = await rig.connect()
                    client.send(b"GET %b HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n" % target)
                    await client.rest()
        self.assertEqual(rig.said, [])

    async def and_close(self, visit: Visit, answer: object) -> None:
        await answer(visit)  # type: ignore[operator]
        visit.close()
