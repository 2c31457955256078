"""Every framing, both ways, whole and byte by byte. What a client of HTTP/1.1 makes of it says h11."""

import asyncio
import re
from dataclasses import dataclass

import h11
from support.door_case import DoorCase
from support.fake_replicas import OK, Connection, Visit, ok, saying

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
LAST_CHUNKS = b"3\r\nabc\r\n00a\r\n0123456789\r\n0\r\nX-Sum: 7\r\n\r\n"


async def mirror(visit: Visit) -> None:
    """Answers with the method, the target and the body, which may be chunked."""
    body = visit.body
    if b"chunked" in visit.head:
        body = await visit.reader.readuntil(b"\r\n0\r\n\r\n")
    said = b" ".join(visit.head.split(b" ")[:2]) + b" " + body
    visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said))


async def dribble(connection: Connection | Visit, data: bytes) -> None:
    """Send it byte by byte, a segment each."""
    send = connection.say if isinstance(connection, Visit) else connection.send
    for place in range(len(data)):
        send(data[place : place + 1])
        await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class Case:
    """A replica's `answer` to `method`, and what is in it. `ends`: by the replica's connection."""

    name: str
    answer: bytes
    status: int
    body: bytes = b""
    method: bytes = b"GET"
    trailers: tuple[tuple[bytes, bytes], ...] = ()
    ends: bool = False
    interims: tuple[int, ...] = ()


CASES = (
    Case("length", OK, 200, b"ok"),
    Case("length 0", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
    Case("chunked with trailers", CHUNKED + LAST_CHUNKS, 200, b"abc0123456789", trailers=((b"x-sum", b"7"),)),
    Case("chunked, empty", CHUNKED + b"0\r\n\r\n", 200),
    Case("by close", b"HTTP/1.1 200 OK\r\n\r\nhello", 200, b"hello", ends=True),
    Case("by close, HTTP/1.0", b"HTTP/1.0 200 OK\r\n\r\nhello", 200, b"hello", ends=True),
    Case("HEAD, length", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", 200, method=b"HEAD"),
    Case("HEAD, chunked", CHUNKED, 200, method=b"HEAD"),
    Case("HEAD, neither", b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n", 200, method=b"HEAD"),
    Case("204", b"HTTP/1.1 204 No Content\r\n\r\n", 204, method=b"DELETE"),
    Case("204, length 0", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204),
    Case("304, length", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", 304),
    Case("304, chunked", b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", 304),
    Case("404", b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope", 404, b"nope"),
    Case("an unknown code", b"HTTP/1.1 799 \r\nContent-Length: 1\r\n\r\nx", 799, b"x"),
    Case("100 first", b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok"),
    Case(
        "102, 103 first",
        b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
        200,
        b"ok",
        interims=(102, 103),
    ),
)


class AnswersToHttp11(DoorCase):
    async def test_whole(self) -> None:
        for case in CASES:
            with self.subTest(case.name):
                await self.passes(case, pieces=False)

    async def test_byte_by_byte(self) -> None:
        for case in CASES:
            with self.subTest(case.name):
                await self.passes(case, pieces=True)

    async def passes(self, case: Case, pieces: bool) -> None:
        """It reads as it was meant, and whoever's connections outlive it serve another request."""

        async def answer(visit: Visit) -> None:
            if pieces:
                await dribble(visit, case.answer)
            else:
                visit.say(case.answer)
            if case.ends:
                visit.close()

        rig = await self.rig(answer)
        client = await rig.connect()
        client.send(case.method + b" / HTTP/1.1\r\nHost: d\r\n\r\n")
        reader = h11.Connection(h11.CLIENT)
        reader.send(h11.Request(method=case.method, target="/", headers=[("Host", "d")]))
        reader.send(h11.EndOfMessage())
        events = await self.read(reader, client)
        interims = [event.status_code for event in events if isinstance(event, h11.InformationalResponse)]
        (head,) = [event for event in events if isinstance(event, h11.Response)]
        body = b"".join(bytes(event.data) for event in events if isinstance(event, h11.Data))
        self.assertEqual((tuple(interims), head.status_code, body), (case.interims, case.status, case.body))
        end = events[-1]
        assert isinstance(end, h11.EndOfMessage)
        self.assertEqual(tuple(end.headers), case.trailers)
        self.assertEqual(reader.their_state is h11.MUST_CLOSE or reader.their_state is h11.CLOSED, case.ends)
        if not case.ends:
            rig.replicas[0].answer = ok
            self.assertEqual((await client.get())[2], b"ok")
            self.assertEqual(rig.replicas[0].connections, 1)

    async def read(self, reader: h11.Connection, client: Connection) -> list[object]:
        events: list[object] = []
        while not isinstance(events[-1] if events else None, h11.EndOfMessage):
            event = reader.next_event()
            if event is h11.NEED_DATA:
                async with asyncio.timeout(5):
                    reader.receive_data(await client.reader.read(65536))
            else:
                events.append(event)
        return events


class AnswersToHttp10(DoorCase):
    """A client that knows neither chunks nor 1xx."""

    async def ask(self, case: Case, lines: bytes) -> tuple[bytes, bytes]:
        async def answer(visit: Visit) -> None:
            visit.say(case.answer)
            if case.ends:
                visit.close()

        rig = await self.rig(answer)
        client = await rig.connect()
        client.send(case.method + b" / HTTP/1.0\r\n" + lines + b"\r\n")
        head = await client.head()
        if b"\r\nConnection: close\r\n" in head:
            return head, await client.rest()
        length = re.search(rb"\r\nContent-Length: (\d+)\r\n", head)
        size = int(length[1]) if length and case.method != b"HEAD" and case.status != 304 else 0
        body = await client.reader.readexactly(size)
        rig.replicas[0].answer = ok
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        self.assertTrue((await client.rest()).endswith(b"\r\n\r\nok"))
        return head, body

    async def test_each(self) -> None:
        for case in CASES:
            with self.subTest(case.name):
                head, body = await self.ask(case, b"")
                self.assertTrue(head.startswith(b"HTTP/1.1 %d " % case.status), head)
                self.assertEqual(body, case.body)
                self.assertIn(b"\r\nConnection: close\r\n", head)
                self.assertNotIn(b"chunked", head)
                self.assertNotIn(b"Trailer:", head)

    async def test_each_with_keep_alive(self) -> None:
        for case in CASES:
            with self.subTest(case.name):
                head, body = await self.ask(case, b"Connection: Keep-Alive\r\n")
                self.assertEqual(body, case.body)
                kept = not case.ends and (b"chunked" not in case.answer or case.status == 304)
                self.assertEqual(b"\r\nConnection: keep-alive\r\n" in head, kept)
                self.assertEqual(b"\r\nConnection: close\r\n" in head, not kept)


class Requests(DoorCase):
    PIPELINED = (
        (b"POST /1 HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n\r\nhello", b"POST /1 hello"),
        (b"GET /2 HTTP/1.1\r\nHost: d\r\n\r\n", b"GET /2 "),
        (
            b"PUT /3 HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n",
            b"PUT /3 5\r\nGET /\r\n0\r\n\r\n",
        ),
        (b"\r\nGET /4 HTTP/1.1\r\nHost: d\r\nContent-Length: 1\r\n\r\nx", b"GET /4 x"),
        (b"POST /5 HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\n\r\n", b"POST /5 "),
        (b"DELETE /6 HTTP/1.1\r\nHost: d\r\n\r\n", b"DELETE /6 "),
    )

    async def test_pipelined_with_bodies(self) -> None:
        for pieces in (False, True):
            rig = await self.rig(mirror)
            client = await rig.connect()
            whole = b"".join(request for request, _ in self.PIPELINED)
            if pieces:
                await dribble(client, whole)
            else:
                client.send(whole)
            for _, answer in self.PIPELINED:
                self.assertEqual((await client.message())[2], answer)

    async def test_chunked_passes_with_its_trailers(self) -> None:
        async def gather(visit: Visit) -> None:
            received.append(await visit.reader.readexactly(len(LAST_CHUNKS)))
            visit.say(OK)

        received: list[bytes] = []
        rig = await self.rig(gather)
        client = await rig.connect()
        for send in (client.send, None):
            head = b"POST / HTTP/1.1\r\nHost: d\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
            if send is None:
                await dribble(client, head + LAST_CHUNKS)
            else:
                send(head + LAST_CHUNKS)
            self.assertEqual((await client.message())[0], 200)
        self.assertEqual(received, [LAST_CHUNKS] * 2)
        self.assertIn(b"\r\nTrailer: X-Sum\r\n", rig.replicas[0].visits[0].head)

    async def test_a_trailer_that_would_override_the_head(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: other\r\n\r\n")
        self.assertEqual((await client.message())[0], 400)

    async def test_a_body_from_http_1_0(self) -> None:
        rig = await self.rig(mirror)
        client = await rig.connect()
        client.send(b"POST /x HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello")
        answer = await client.rest()
        self.assertTrue(answer.endswith(b"\r\n\r\nPOST /x hello"), answer)
        self.assertNotIn(b"100 Continue", answer)
        self.assertNotIn(b"Expect", rig.replicas[0].visits[0].head)

    async def test_expect_with_the_body_already_there(self) -> None:
        rig = await self.rig(mirror)
        client = await rig.connect()
        client.send(b"POST /x HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello")
        self.assertEqual((await client.message())[2], b"POST /x hello")

    async def test_another_expectation_ends_here(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        await client.get(lines=b"Expect: a-miracle\r\n")
        self.assertNotIn(b"Expect", rig.replicas[0].visits[0].head)

    async def test_an_answer_before_the_body_is_there_reaches_the_client(self) -> None:
        async def refuse(visit: Visit) -> None:
            visit.say(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
            await visit.reader.read()

        rig = await self.rig(refuse)
        client = await rig.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 1_000_000)
        status, head, body = await client.message()
        self.assertEqual((status, body), (413, b"big"))
        self.assertIn(b"\r\nConnection: close\r\n", head)
        client.send(b"x" * 1_000_000)
        self.assertEqual(await client.rest(), b"")
        await rig.until(lambda: not rig.door.counters.upstream_connections)


class Hops(DoorCase):
    async def test_what_concerns_one_connection_stays_there(self) -> None:
        one_hop = b"Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nX-Mine: 1\r\nx-too: 2\r\n"
        listed = b"Connection: keep-alive, X-Mine,x-too, Content-Length, Host\r\n"
        rig = await self.rig(
            saying(b"HTTP/1.1 200 OK\r\n" + listed + one_hop + b"X-End: 1\r\nContent-Length: 2\r\n\r\nok")
        )
        client = await rig.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: d\r\nX-End: 1\r\n" + listed + one_hop + b"Content-Length: 2\r\n\r\nhi")
        _, head, body = await client.message()
        self.assertEqual((rig.replicas[0].visits[0].body, body), (b"hi", b"ok"))
        for passed in (rig.replicas[0].visits[0].head, head):
            names = {line.split(b":")[0].lower() for line in passed.split(b"\r\n")[1:-2]}
            ours = {b"x-request-id", b"via", b"date", b"forwarded"}
            ours |= {b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"}
            self.assertEqual(names - {b"host"} - ours, {b"x-end", b"content-length"})


class Interims(DoorCase):
    HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

    async def test_a_hundred_at_once_pass(self) -> None:
        rig = await self.rig(saying(self.HINT * 100 + OK))
        client = await rig.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
        self.assertEqual(await client.reader.readexactly(100 * len(self.HINT)), self.HINT * 100)
        self.assertEqual((await client.message())[2], b"ok")

    async def test_no_end_of_them_is_a_502(self) -> None:
        rig = await self.rig(saying(b"HTTP/1.1 100 Continue\r\n\r\n" * 3000))
        client = await rig.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
        status, _, body = await client.message()
        self.assertEqual(status, 502)
        self.assert_failure(body, "the server replica gave a response that never becomes final")

    async def test_a_sign_of_life_is_not_silence(self) -> None:
        async def slow(visit: Visit) -> None:
            await gate.wait()
            visit.say(b"HTTP/1.1 102 Processing\r\n\r\n")
            await visit.reader.read()

        gate = asyncio.Event()
        rig = await self.rig(slow)
        client = await rig.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
        await rig.replicas[0].visited()
        (upstream,) = rig.door.replicas.pools[1].connections
        exchange = upstream.exchange
        assert exchange is not None
        exchange.heard_at -= 59  # type: ignore[attr-defined]
        gate.set()
        self.assertIn(b" 102 ", await client.head())
        rig.later(2, ticks=1)
        self.assertEqual(rig.door.counters.in_flight[1], 1)
        client.reset()
