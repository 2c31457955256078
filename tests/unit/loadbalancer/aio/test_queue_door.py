"""The queue's ports over real loopback sockets. Time is given to `tick`."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

from support.door_case import DoorCase
from support.fake_replicas import Connection, ok

from loadbalancer.aio.pipe import HALF_CLOSED_S, IDLE_S
from loadbalancer.aio.queue_door import DRAIN_S, SWEEP_TICKS, Arrival, QueueDoor
from loadbalancer.queue_ports import ANY_SERVER

Answer = Callable[[Connection], Awaitable[None]]


async def echo(client: Connection) -> None:
    while data := await client.reader.read(65536):
        client.send(data)
        await client.writer.drain()


async def mute(client: Connection) -> None:
    await client.reader.read()


class Listener:
    """A server's queue listener: says its name, then does as `answer` does."""

    def __init__(self, name: bytes, answer: Answer) -> None:
        self.name = name
        self.answer = answer
        self.clients: list[Connection] = []

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address: tuple[str, int] = self.server.sockets[0].getsockname()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Connection(reader, writer)
        self.clients.append(client)
        client.send(self.name)
        try:
            await self.answer(client)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def stop(self) -> None:
        self.server.close()
        for client in self.clients:
            client.writer.transport.abort()
        await asyncio.sleep(0)


class QueueCase(DoorCase):
    async def begin(self, *answers: Answer, limit: int = 100, **settings: Any) -> None:
        """A queue door before as many listeners, called A, B …"""
        self.rig_ = await self.rig(*[ok] * len(answers), **settings)
        self.listeners = [Listener(b"%c" % (65 + i), answer) for i, answer in enumerate(answers)]
        for listener in self.listeners:
            await listener.start()
            self.addAsyncCleanup(listener.stop)
        self.queue = QueueDoor(self.rig_.door, limit)
        self.addAsyncCleanup(self.queue.close)
        self.counters = self.rig_.door.counters
        self.publish()

    def publish(self, **changes: dict[str, Any]) -> None:
        layout: dict[str, dict[str, Any]] = {}
        for number, listener in enumerate(self.listeners, 1):
            own = {"queue": listener.address, "queue_slot": number - 1}
            layout[f"S{number}"] = {**own, **changes.get(f"S{number}", {})}
        self.rig_.publish(**layout)

    async def connect(self, slot: int = ANY_SERVER) -> Connection:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Arrival(self.queue, slot), "127.0.0.1", 0)
        self.addCleanup(server.close)
        client = Connection(*await asyncio.open_connection(*server.sockets[0].getsockname()))
        self.addAsyncCleanup(client.close)
        return client

    async def name(self, client: Connection) -> str:
        return (await client.reader.readexactly(1)).decode()

    def later(self, seconds: float) -> None:
        for _ in range(SWEEP_TICKS):
            self.queue.tick(monotonic() + seconds)

    async def assert_cut(self, client: Connection) -> None:
        with self.assertRaises(ConnectionError):
            async with asyncio.timeout(5):
                await client.rest()

    async def all_gone(self) -> None:
        await self.rig_.until(lambda: not self.queue.pipes and not self.counters.queue_connections)
        self.assertEqual(set(self.queue._loads.values()), {0})  # pyright: ignore[reportPrivateUsage]


class Leading(QueueCase):
    async def test_bytes_pass_both_ways_and_are_counted(self) -> None:
        await self.begin(echo)
        client = await self.connect()
        self.assertEqual(await self.name(client), "A")
        for word in (b"hello", b"\x00" * 300_000, b"GET / HTTP/1.1\r\n\r\n"):
            client.send(word)
            self.assertEqual(await client.reader.readexactly(len(word)), word)
        self.assertEqual((self.counters.queue_connections, self.counters.queue_accepted), (1, 1))
        self.assertEqual((self.counters.queue_bytes_in, self.counters.queue_bytes_out), (300_023, 300_024))
        self.assertEqual((self.counters.client_connections, self.counters.in_flight.get(1, 0)), (0, 0))
        await client.close()
        await self.all_gone()

    async def test_the_one_with_the_fewest_is_next(self) -> None:
        await self.begin(echo, echo, echo)
        clients = [await self.connect() for _ in range(6)]
        names = [await self.name(client) for client in clients]
        self.assertEqual(sorted(names), list("AABBCC"))
        await clients[names.index("B")].close()
        await self.rig_.until(lambda: self.counters.queue_connections == 5)
        await self.rig_.turns()
        self.assertEqual(await self.name(await self.connect()), "B")

    async def test_a_server_that_refuses_is_passed_over(self) -> None:
        await self.begin(echo, echo)
        self.publish(S1={"queue": ("127.0.0.1", unused_port())})
        self.assertEqual({await self.name(await self.connect()) for _ in range(3)}, {"B"})
        self.assertEqual(self.counters.queue_unreached, 0)

    async def test_one_that_does_not_answer_in_time_too(self) -> None:
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            await self.begin(echo, echo, upstream_connect_timeout_s=0.05)
            fillers = [fill(deaf.getsockname()) for _ in range(3)]
            self.publish(S1={"queue": deaf.getsockname()})
            self.assertEqual({await self.name(await self.connect()) for _ in range(2)}, {"B"})
            for filler in fillers:
                filler.close()

    async def test_nobody_there_is_a_reset(self) -> None:
        await self.begin(echo, echo)
        nowhere = {"queue": ("127.0.0.1", unused_port())}
        self.publish(S1=nowhere, S2=nowhere)
        await self.assert_cut(await self.connect())
        self.publish(S1={"queue": None}, S2={"routable": False})
        await self.assert_cut(await self.connect())
        self.assertEqual(self.counters.queue_unreached, 2)
        await self.all_gone()

    async def test_nothing_is_tried_once_a_connection_stands(self) -> None:
        async def rude(client: Connection) -> None:
            await client.reader.readexactly(5)
            client.reset()

        await self.begin(rude, rude)
        client = await self.connect()
        await self.name(client)
        client.send(b"hello")
        await self.assert_cut(client)
        self.assertEqual(sum(len(listener.clients) for listener in self.listeners), 1)

    async def test_a_server_s_own_port(self) -> None:
        await self.begin(echo, echo)
        self.publish(S2={"routable": False, "draining": True})
        self.assertEqual([await self.name(await self.connect(slot)) for slot in (0, 1, 1)], ["A", "B", "B"])
        await self.assert_cut(await self.connect(2))

    async def test_what_came_early_is_passed_on(self) -> None:
        await self.begin(echo)
        client = await self.connect()
        client.send(b"early" * 100_000)
        client.writer.write_eof()
        self.assertEqual(await client.rest(), b"A" + b"early" * 100_000)
        await self.all_gone()

    async def test_a_client_that_left_meanwhile(self) -> None:
        await self.begin(echo)
        client = await self.connect()
        client.reset()
        await self.rig_.until(lambda: self.counters.queue_accepted == 1)
        await self.all_gone()

    async def test_past_the_limit_they_are_reset(self) -> None:
        await self.begin(echo, limit=2)
        first, second = await self.connect(), await self.connect()
        await self.name(first)
        await self.name(second)
        await self.assert_cut(await self.connect())
        self.assertEqual((self.counters.queue_refused, self.counters.queue_accepted), (1, 2))
        await first.close()
        await self.rig_.until(lambda: self.counters.queue_connections == 1)
        self.assertEqual(await self.name(await self.connect()), "A")


class Ending(QueueCase):
    async def test_each_direction_ends_by_itself(self) -> None:
        async def after(client: Connection) -> None:
            client.send(b"%d" % len(await client.reader.read()))

        await self.begin(after)
        client = await self.connect()
        client.send(b"x" * 1000)
        client.writer.write_eof()
        self.assertEqual(await client.rest(), b"A1000")
        await self.all_gone()

    async def test_a_reset_is_a_reset(self) -> None:
        lost = asyncio.Event()

        async def watch(client: Connection) -> None:
            try:
                await client.reader.read()
            except ConnectionResetError:
                lost.set()

        await self.begin(watch)
        client = await self.connect()
        await self.name(client)
        client.reset()
        async with asyncio.timeout(5):
            await lost.wait()
        await self.all_gone()

    async def test_who_does_not_read_stops_the_other_side(self) -> None:
        async def flood(client: Connection) -> None:
            while True:
                client.send(b"a" * 64_000)
                await client.writer.drain()

        await self.begin(flood)
        client = await self.connect()  # whose reader stops after some 128 KiB
        await self.rig_.until(lambda: len(self.queue.pipes) == 1)
        (pipe,) = self.queue.pipes
        last, still = -1, 0
        while still < 300:
            now = self.counters.queue_bytes_out
            last, still = now, still + 1 if now == last else 0
            await asyncio.sleep(0)
        self.assertLess(pipe.near.transport.get_write_buffer_size(), 1 << 20)
        await client.reader.readexactly(last + (1 << 20))

    async def test_only_an_hour_of_silence_ends_it(self) -> None:
        await self.begin(echo)
        client = await self.connect()
        await self.name(client)
        self.later(0)
        self.later(IDLE_S - 1)
        client.send(b"hello")
        self.assertEqual(await client.reader.readexactly(5), b"hello")
        self.later(0)
        self.later(IDLE_S + 1)
        await self.assert_cut(client)

    async def test_a_minute_if_one_side_has_ended(self) -> None:
        await self.begin(lambda client: asyncio.sleep(3600))
        client = await self.connect()
        await self.name(client)
        client.writer.write_eof()
        await self.rig_.until(lambda: any(pipe.near.ended for pipe in self.queue.pipes))
        self.later(0)
        self.later(HALF_CLOSED_S + 1)
        await self.assert_cut(client)

    async def test_another_instance_in_its_place_cuts_it(self) -> None:
        await self.begin(echo, echo)
        clients = {await self.name(client): client for client in [await self.connect(), await self.connect()]}
        self.publish(S1={"routable": False}, S2={"queue": None})  # sick, and not registered with a new control yet
        self.queue.tick(monotonic())
        for client in clients.values():
            client.send(b"x")
            self.assertEqual(await client.reader.readexactly(1), b"x")
        self.publish(S1={"name": "S9"})
        self.queue.tick(monotonic())
        await self.assert_cut(clients["A"])
        await self.rig_.replicas.pop().stop()
        self.publish()
        self.queue.tick(monotonic())
        await self.assert_cut(clients["B"])


class Draining(QueueCase):
    async def test_the_quiet_end_first_and_orderly(self) -> None:
        emptied: list[int] = []
        await self.begin(echo, mute)
        self.queue.on_empty = lambda: emptied.append(len(self.queue.pipes))
        clients = {await self.name(client): client for client in [await self.connect(), await self.connect()]}
        for client in clients.values():
            client.send(b"x")
        self.assertEqual(await clients["A"].reader.readexactly(1), b"x")
        await self.rig_.until(lambda: self.counters.queue_bytes_in == 2)
        self.queue.drain(monotonic())
        self.queue.drain(monotonic())
        self.later(0)
        self.assertEqual(await clients["A"].rest(), b"")
        self.assertEqual((self.counters.queue_connections, emptied), (1, []))
        self.later(DRAIN_S - 1)
        self.assertEqual(self.counters.queue_connections, 1)
        self.later(DRAIN_S + 1)
        await self.assert_cut(clients["B"])
        await self.all_gone()
        self.assertEqual(len(emptied), 1)

    async def test_a_shorter_drain_time_out_counts(self) -> None:
        await self.begin(mute, drain_timeout_s=0.5)
        client = await self.connect()
        await self.name(client)
        client.send(b"x")
        await self.rig_.until(lambda: self.counters.queue_bytes_in == 1)
        self.queue.drain(monotonic())
        self.later(0.6)
        await self.assert_cut(client)

    async def test_an_empty_one_is_done_at_once(self) -> None:
        emptied: list[bool] = []
        await self.begin(echo)
        self.queue.on_empty = lambda: emptied.append(True)
        self.queue.drain(monotonic())
        self.assertEqual(emptied, [True])


def unused_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def fill(address: Any) -> socket.socket:
    """A connection, or half of one, that takes a place in the backlog."""
    sock = socket.socket()
    sock.setblocking(False)
    sock.connect_ex(address)
    return sock
