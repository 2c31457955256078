"""Connections that begin with a PROXY header, at a front door on loopback."""

import contextlib

from support.door_case import DoorCase
from support.fake_replicas import OK, Connection, Rig, ok, saying

from wire.proxy_protocol import SIGNATURE

GET = b"GET /home HTTP/1.1\r\nHost: door\r\n\r\n"
V1 = b"PROXY TCP4 203.0.113.7 198.51.100.1 56324 80\r\n"
V2 = SIGNATURE + b"\x21\x11\x00\x0c" + bytes((203, 0, 113, 7, 198, 51, 100, 1)) + b"\xdc\x04\x00\x50"
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


class Introduced(DoorCase):
    async def behind(self, trusted_proxies: str = "", admin: bool = True, proxy: bool = True) -> Rig:
        settings = {"trusted_proxies": trusted_proxies, "accept_proxy_protocol": True}
        return await self.rig(ok, admin=admin, proxy=proxy, **settings)

    def seen(self, rig: Rig) -> bytes:
        """X-Forwarded-For of the newest request."""
        return rig.replicas[0].visits[-1].head.partition(b"X-Forwarded-For: ")[2].partition(b"\r\n")[0]

    async def assert_turned_away(self, rig: Rig, client: Connection) -> None:
        with contextlib.suppress(ConnectionError):
            self.assertEqual(await client.rest(), b"")
        await rig.until(lambda: rig.door.counters.client_connections == 0)
        self.assertEqual(rig.replicas[0].visits, [])

    async def test_the_address_that_it_says_is_the_client_s(self) -> None:
        rig = await self.behind()
        for header, address in ((V1, b"203.0.113.7"), (V2, b"203.0.113.7"), (LOCAL, b"127.0.0.1")):
            client = await rig.connect()
            client.send(header + GET)
            for _ in range(2):
                self.assertEqual((await client.message())[0], 200)
                self.assertEqual(self.seen(rig), address)
                client.send(GET)
            self.assertEqual((await client.message())[0], 200)

    async def test_it_may_come_in_pieces(self) -> None:
        rig = await self.behind()
        for header in (V1, V2):
            client = await rig.connect()
            for at in range(len(header)):
                client.send(header[at : at + 1])
                await rig.turns(3)
            self.assertEqual((await client.get())[0], 200)
            self.assertEqual(self.seen(rig), b"203.0.113.7")

    async def test_it_is_demanded_and_its_absence_not_answered(self) -> None:
        rig = await self.behind()
        for start in (GET, b"PROXY TCP4 1.2.3.4 5.6.7.8 1 x\r\n" + GET, b"\x16\x03\x01", SIGNATURE + b"\x31"):
            client = await rig.connect()
            client.send(start)
            await self.assert_turned_away(rig, client)
        self.assertEqual(rig.door.counters.clients_refused, 4)

    async def test_it_is_taken_once(self) -> None:
        rig = await self.behind()
        client = await rig.connect()
        client.send(V1 + V1 + GET)
        self.assertIn(b"400 Bad Request", await client.rest())

    async def test_it_must_come_in_time(self) -> None:
        rig = await self.behind()
        silent, slow, introduced = [await rig.connect() for _ in range(3)]
        slow.send(V1[:-1])
        introduced.send(V1)
        await rig.until(lambda: rig.door.counters.client_connections == 3)
        await rig.turns()
        rig.later(9)
        self.assertEqual(rig.door.counters.client_connections, 3)
        rig.later(11)
        await rig.until(lambda: rig.door.counters.client_connections == 1)
        for client in (silent, slow):
            self.assertEqual(await client.rest(), b"")
        self.assertEqual((await introduced.get())[0], 200)

    async def test_only_trusted_proxies_may_introduce(self) -> None:
        rig = await self.behind(trusted_proxies="10.0.0.0/8")
        client = await rig.connect()
        client.send(V1 + GET)
        await self.assert_turned_away(rig, client)
        rig = await self.behind(trusted_proxies="127.0.0.1")
        client = await rig.connect()
        client.send(V1)
        await client.get(lines=b"X-Forwarded-For: 6.6.6.6\r\n")
        self.assertEqual(self.seen(rig), b"203.0.113.7")  # the introduced is a stranger: it is not believed
        client = await rig.connect()
        client.send(LOCAL)
        await client.get(lines=b"X-Forwarded-For: 6.6.6.6\r\n")
        self.assertEqual(self.seen(rig), b"6.6.6.6, 127.0.0.1")

    async def test_control_hears_of_both(self) -> None:
        rig = await self.behind()
        control = await self.socket(rig, rig.door.settings.control_socket, saying(OK))
        client = await rig.connect()
        client.send(V1)
        await client.get(b"/rep")
        self.assertIn(b"X-Real-IP: 203.0.113.7\r\nX-Peer-IP: 127.0.0.1\r\n", control.visits[0].head)

    async def test_control_s_own_listener_takes_none(self) -> None:
        rig = await self.behind(admin=True, proxy=False)
        client = await rig.connect()
        self.assertEqual((await client.get(b"/admin/live"))[0], 200)

    async def test_too_many_connections(self) -> None:
        rig = await self.rig(ok, clients=1, accept_proxy_protocol=True)
        first, second = await rig.connect(), await rig.connect()
        self.assertIn(b"503 Service Unavailable", await second.rest())
        second.send(V1 + GET)
        first.send(V1)
        self.assertEqual((await first.get())[0], 200)

    async def test_a_drain_does_not_wait_for_the_silent(self) -> None:
        rig = await self.behind()
        client = await rig.connect()
        await rig.until(lambda: rig.door.counters.client_connections == 1)
        rig.door.drain(0)
        rig.later(31)
        with self.assertRaises(ConnectionError):
            await client.reader.readexactly(1)
