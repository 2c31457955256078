import asyncio
import socket
import ssl
import struct
import warnings
from pathlib import Path
from time import monotonic
from unittest import mock

from support.certificates import client_context, common_name, needs_openssl, write_pair
from support.door_case import DoorCase, silent
from support.fake_replicas import Connection, Rig, Visit, ok, saying
from support.tls_case import Said, TlsCase, record

from loadbalancer.aio.client import LINGER_S, Client
from loadbalancer.aio.tls import LOOK_TICKS, Tls
from loadbalancer.disk.certificate import Certificate

GET = b"GET / HTTP/1.1\r\nHost: d\r\n\r\n"
BIG = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + b"abc" * 1_000_000


def ssl_object(client: Connection) -> ssl.SSLObject:
    return client.writer.get_extra_info("ssl_object")


@needs_openssl
class Serving(TlsCase):
    async def test_requests_one_after_the_other_and_pipelined(self) -> None:
        rig = await self.rig(ok)
        client = await self.connect()
        for _ in range(3):
            self.assertEqual((await client.get())[0], 200)
        client.send(GET * 3)
        for _ in range(3):
            self.assertEqual((await client.message())[0], 200)
        counters = rig.door.counters
        self.assertEqual((counters.tls_handshakes, counters.tls_handshake_failures), (1, 0))
        self.assertEqual((counters.clients_accepted, counters.client_connections), (1, 1))
        served = await self.served(rig)
        self.assertEqual(served.address, b"127.0.0.1")
        self.assertTrue(served.secure)

    async def test_http_1_1_is_agreed_on(self) -> None:
        await self.rig(ok)
        context = client_context(self.pair.cert)
        for offered in (["http/1.1"], ["h2", "http/1.1"]):
            context.set_alpn_protocols(offered)
            client = await self.connect(context)
            self.assertEqual(ssl_object(client).selected_alpn_protocol(), "http/1.1")
            self.assertEqual((await client.get())[0], 200)

    async def test_bodies_pass_whole_both_ways(self) -> None:
        async def count(visit: Visit) -> None:
            length = int(visit.head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            await visit.reader.readexactly(length)
            visit.say(BIG)

        await self.rig(count)
        client = await self.connect()
        for _ in range(2):
            client.send(b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 2_000_000)
            status, _, body = await client.message()
            self.assertEqual((status, body), (200, BIG[-3_000_000:]))

    async def test_versions(self) -> None:
        rig = await self.rig(ok)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = client_context(self.pair.cert)
            context.minimum_version = context.maximum_version = version
            self.assertEqual((await (await self.connect(context)).get())[0], 200)
        old = client_context()
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.quiet(), self.assertRaises(OSError):
            await self.connect(old)
        await rig.until(lambda: rig.door.counters.tls_handshake_failures == 1)
        self.assertEqual(rig.door.counters.tls_handshakes, 2)

    async def test_a_session_goes_on_at_the_same_worker(self) -> None:
        rig = await self.rig(ok)
        context = client_context(self.pair.cert)
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # whose ticket comes with the handshake
        session = ssl_object(await self.connect(context)).session

        def resume() -> bool:
            plain = socket.create_connection(("127.0.0.1", self.port))
            with context.wrap_socket(plain, server_hostname="localhost", session=session) as client:
                return bool(client.session_reused)

        self.assertTrue(await asyncio.get_running_loop().run_in_executor(None, resume))
        self.assertEqual(rig.door.counters.tls_resumed, 1)


@needs_openssl
class NoTls(TlsCase):
    """What comes to the TLS port and is none: counted, and told in one line a minute."""

    async def test_http_in_plain_is_told_so_in_plain(self) -> None:
        rig = await self.rig(ok)
        client = await self.connect_plain()
        with self.quiet():
            client.send(GET)
            status, head, body = await client.message()
            self.assertEqual((status, await client.rest()), (400, b""))
        self.assertIn(b"Connection: close", head)
        self.assert_failure(body, "plain HTTP came to the TLS port")
        await rig.until(lambda: not rig.door.counters.client_connections)
        self.assertEqual(rig.door.counters.tls_handshake_failures, 1)
        self.assertFalse(rig.replicas[0].visits)

    async def test_anything_else_is_cut(self) -> None:
        rig = await self.rig(ok)
        broken = (b"\x00", b"get / HTTP/1.1\r\n\r\n", b"\x80\x2e\x01", record(22, b"\xff" * 40), record(22, b""))
        with self.quiet():
            for number, data in enumerate(broken, 1):
                client = await self.connect_plain()
                client.send(data)
                client.writer.write_eof()
                self.assertNotIn(b"HTTP", await self.last_words(client))
                await rig.until(lambda: not rig.door.counters.client_connections)
                self.assertEqual(rig.door.counters.tls_handshake_failures, number)

    async def last_words(self, client: Connection) -> bytes:
        try:
            return await client.rest()
        except OSError:
            return b""

    async def test_a_greeting_as_long_as_none_is(self) -> None:
        rig = await self.rig(ok)
        client = await self.connect_plain()
        with self.quiet():
            client.send(record(22, b"\x01\x00\xff\xff" + b"a" * 16000) * 40)
            await self.last_words(client)
            await rig.until(lambda: not rig.door.counters.client_connections)

    async def test_many_failures_are_one_line(self) -> None:
        rig = await self.rig(ok)
        for _ in range(5):
            client = await self.connect_plain()
            client.send(b"\x00")
            await self.last_words(client)
        await rig.until(lambda: rig.door.counters.tls_handshake_failures == 5)
        now = monotonic()
        for _ in range(3):
            self.tls.tick(now)
        self.assertEqual(self.said.lines, [("TLS handshakes failed", "no TLS")])


@needs_openssl
class HalfOpen(TlsCase):
    """Connections before the end of their handshake are clients like others."""

    async def test_they_count_and_are_bounded(self) -> None:
        rig = await self.rig(ok, clients=2)
        waiting = [await self.connect_plain() for _ in range(2)]
        waiting[0].send(self.hello()[:50])
        await rig.until(lambda: rig.door.counters.client_connections == 2)
        with self.assertRaises(OSError):
            await self.connect()
        self.assertEqual(rig.door.counters.clients_refused, 1)
        refused = await rig.connect()
        self.assertEqual((await refused.message())[0], 503)
        await refused.close()
        waiting[0].reset()
        await rig.until(lambda: rig.door.counters.client_connections == 1)
        self.assertEqual((await (await self.connect()).get())[0], 200)

    async def test_who_says_nothing_is_cut_after_the_head_time_out(self) -> None:
        rig = await self.rig(ok)
        client = await self.connect_plain()
        await rig.until(lambda: rig.door.counters.client_connections == 1)
        rig.later(rig.door.settings.head_timeout_s - 1)
        self.assertEqual(rig.door.counters.client_connections, 1)
        rig.later(rig.door.settings.head_timeout_s + 1)
        self.assertEqual(await client.rest(), b"")
        await rig.until(lambda: not rig.door.counters.client_connections)

    async def test_who_does_not_finish_its_handshake_too(self) -> None:
        rig = await self.rig(ok, head_timeout_s=0.05)
        hello = self.hello()
        with self.quiet():
            for part in (hello[:20], hello):
                client = await self.connect_plain()
                client.send(part)
                await client.rest()
                await rig.until(lambda: not rig.door.counters.client_connections)
        self.assertEqual(rig.door.counters.tls_handshake_failures, 2)

    async def test_who_resets_within_it(self) -> None:
        rig = await self.rig(ok)
        hello = self.hello()
        with self.quiet():
            for part in (b"", hello[:1], hello[:20], hello):
                for leave in (Connection.reset, Connection.close):
                    client = await self.connect_plain()
                    await rig.until(lambda: rig.door.counters.client_connections == 1)
                    client.send(part)
                    await rig.turns(5)
                    left = leave(client)
                    if left is not None:
                        await left
                    await rig.until(lambda: not rig.door.counters.client_connections)
        self.assertEqual(rig.door.counters.tls_handshake_failures, 6)

    async def test_a_drain_waits_for_them(self) -> None:
        rig = await self.rig(ok)
        ended = asyncio.Event()
        rig.door.on_empty = ended.set
        early = await self.connect_plain()
        await rig.until(lambda: rig.door.counters.client_connections == 1)
        rig.door.drain(monotonic())
        self.assertFalse(ended.is_set())
        await early.writer.start_tls(client_context())
        self.assertFalse(ended.is_set())
        self.assertIn(b"Connection: close", (await early.get())[1])
        await early.close()
        await ended.wait()

    async def test_the_end_of_a_drain_cuts_them(self) -> None:
        rig = await self.rig(ok, drain_timeout_s=1.0)
        ended = asyncio.Event()
        rig.door.on_empty = ended.set
        silent_one, shaking = await self.connect_plain(), await self.connect_plain()
        shaking.send(self.hello())
        await shaking.reader.read(1)
        late = await self.connect_plain()
        late.send(self.hello())
        await rig.until(lambda: rig.door.counters.client_connections == 3)
        rig.door.drain(monotonic())
        with self.quiet():
            rig.later(2)
            await ended.wait()
        self.assertEqual(await silent_one.rest(), b"")

    async def test_without_a_certificate_nobody_is_let_in(self) -> None:
        self.pair.key.unlink()
        rig = await self.rig(ok)
        self.assertEqual(len(self.said.lines), 1)
        with self.assertRaises(OSError):
            await self.connect()
        await rig.until(lambda: not rig.door.counters.client_connections)
        write_pair(Path(self.directory))
        await self.renew()
        self.assertEqual((await (await self.connect()).get())[0], 200)


class Off(DoorCase):
    async def test_a_front_door_without_tls_reads_no_files(self) -> None:
        rig = await self.rig(ok)
        tls = Tls(rig.door, certificate := Certificate("", ""), Said())
        with mock.patch.object(certificate, "refresh", side_effect=AssertionError):
            await tls.open()
            for _ in range(2 * LOOK_TICKS):
                tls.tick(monotonic())
            await rig.turns()


@needs_openssl
class Renewing(TlsCase):
    async def shown(self) -> str:
        return common_name(ssl_object(await self.connect(client_context())).getpeercert(binary_form=True))

    async def test_the_next_handshake_sees_it_and_nobody_else(self) -> None:
        rig = await self.rig(ok)
        before = await self.connect()
        self.assertEqual(await self.shown(), "first")
        write_pair(Path(self.directory), "second")
        for _ in range(LOOK_TICKS):
            self.tls.tick(monotonic())
        await rig.until(lambda: ("certificate renewed", "") in self.said.lines)
        self.assertEqual(await self.shown(), "second")
        self.assertEqual((await before.get())[0], 200)

    async def test_a_broken_one_is_told_once_and_the_old_one_stays(self) -> None:
        await self.rig(ok)
        self.pair.key.write_bytes(b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
        for _ in range(3):
            await self.renew()
        ((event, reason),) = self.said.lines
        self.assertEqual(event, "certificate not used")
        self.assertRegex(reason, "^--tls-key: .*; the one before stays$")
        self.assertNotIn("c2VjcmV0", reason)
        self.assertEqual(await self.shown(), "first")


@needs_openssl
class Ending(TlsCase):
    """TLS has no half-close here, and its end is said before the connection's."""

    async def gone(self, rig: Rig) -> None:
        await rig.until(lambda: not rig.door.counters.client_connections)
        await rig.until(lambda: not any(rig.door.counters.in_flight.values()))

    async def test_an_answer_that_ends_its_connection(self) -> None:
        rig = await self.rig(saying(BIG))
        client = await self.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
        self.assertEqual(len((await client.message())[2]), 3_000_000)
        self.assertEqual(await client.rest(), b"")
        await client.close()
        await self.gone(rig)

    async def test_a_refused_request_gets_its_answer_though_more_of_it_comes(self) -> None:
        rig = await self.rig(ok)
        client = await self.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: d\r\nContent-Length: x\r\n\r\n" + b"a" * 500_000)
        status, _, _ = await client.message()
        self.assertEqual((status, await client.rest()), (400, b""))
        await client.close()
        await self.gone(rig)

    async def test_a_client_that_says_its_end_has_gone(self) -> None:
        """As for nginx: what it asked for is given up."""
        rig = await self.rig(silent)
        client = await self.connect()
        with self.quiet():
            client.send(GET)
            await rig.replicas[0].visited()
            client.writer.close()
            await self.gone(rig)
        requests = rig.door.counters.to_json()["requests"]
        self.assertEqual(requests["proxy"], {"1": {"0xx": 1}})

    async def test_a_client_that_goes_without_a_word(self) -> None:
        rig = await self.rig(silent)
        for leave in ("abort", "reset"):
            client = await self.connect()
            client.send(GET)
            await rig.until(lambda: rig.door.counters.in_flight[1] == 1)
            if leave == "reset":
                sock = client.writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.writer.transport.abort()
            await self.gone(rig)

    async def test_one_that_does_not_say_its_end_is_cut_when_it_has_all(self) -> None:
        rig = await self.rig(ok)
        client = await self.connect_plain()
        wire = client.writer.transport
        await client.writer.start_tls(client_context())
        await rig.until(lambda: rig.door.counters.tls_handshakes == 1)
        wire.pause_reading()  # type: ignore[attr-defined]
        client.send(GET[:-2] + b"Connection: close\r\n\r\n")
        await rig.until(lambda: rig.door.counters.bytes_out > 0)
        rig.later(LINGER_S - 1)
        await rig.turns()
        self.assertEqual(rig.door.counters.client_connections, 1)
        rig.later(LINGER_S + 1)
        await self.gone(rig)
        client.writer.transport.abort()

    async def test_garbage_behind_the_handshake(self) -> None:
        rig = await self.rig(silent)
        client = await self.connect_plain()
        wire = client.writer.transport
        await client.writer.start_tls(client_context())
        client.send(GET)
        await rig.replicas[0].visited()
        with self.quiet():
            wire.write(record(23, b"garbage" * 9))
            await self.gone(rig)
        client.writer.transport.abort()

    async def test_an_idle_one_is_closed(self) -> None:
        rig = await self.rig(ok)
        client = await self.connect()
        await client.get()
        rig.later(rig.door.settings.client_timeout_s + 1)
        self.assertEqual(await client.rest(), b"")
        await client.close()
        await self.gone(rig)

    async def test_an_answer_that_is_cut_is_no_end(self) -> None:
        async def half(visit: Visit) -> None:
            visit.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
            visit.reset()

        rig = await self.rig(half)
        client = await self.connect()
        client.send(GET)
        with self.assertRaises(OSError):
            while await client.reader.read(1):
                pass
        await self.gone(rig)


@needs_openssl
class NotReading(TlsCase):
    SIZE = 64_000_000

    async def large(self, visit: Visit) -> None:
        visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % self.SIZE)
        for _ in range(1000):
            visit.say(b"a" * (self.SIZE // 1000))
            await visit.writer.drain()

    async def stalled(self, rig: Rig) -> tuple[Connection, Client]:
        client = await self.connect()
        served = await self.served(rig)
        client.send(GET)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        before = -1
        while not served.stalled or rig.door.counters.bytes_out != before:  # the sockets' buffers take some millions
            before = rig.door.counters.bytes_out
            await rig.turns(500)
        return client, served

    async def test_what_waits_is_bounded_and_then_cut(self) -> None:
        rig = await self.rig(self.large)
        _, served = await self.stalled(rig)
        waiting = served.transport.get_write_buffer_size() + served.wire.get_write_buffer_size()
        self.assertLess(waiting, 9 << 20)  # libuv reads 32 buffers of 250 KB in one turn before it can be told to stop
        with self.quiet():
            rig.later(rig.door.settings.client_timeout_s + 1)
            await rig.until(lambda: not rig.door.counters.client_connections)
            await rig.until(lambda: not rig.door.counters.in_flight[1])

    async def test_a_slow_one_gets_it_all(self) -> None:
        rig = await self.rig(self.large)
        client, _ = await self.stalled(rig)
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        self.assertEqual(len((await client.message())[2]), self.SIZE)
