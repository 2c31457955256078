"""The front door over real loopback sockets, with replicas that misbehave. No test sleeps: time is given to `tick`."""

import asyncio
import json
from typing import Any

from support.door_case import DoorCase, silent
from support.fake_replicas import OK, Answerer, Rig, Visit, ok, reset, saying

from loadbalancer.aio.client import HEAD_LIMIT_BYTES
from loadbalancer.aio.exchange import DRAIN_LIMIT_BYTES, MAX_INTERIM
from loadbalancer.aio.replicas import Replicas
from wire.http1 import MAX_FIELDS, MAX_LINE


class PassingThrough(DoorCase):
    async def test_request_and_answer_pass_unchanged_with_one_request_id(self) -> None:
        date = b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
        rig = await self.rig(saying(b"HTTP/1.1 201 Made\r\n" + date + b"X-A:  b \r\nContent-Length: 2\r\n\r\nok"))
        client = await rig.connect()
        status, head, body = await client.get(b"/home?x=1", b"X-Odd:  v \r\n")
        self.assertEqual((status, body), (201, b"ok"))
        lines = date + b"X-A:  b \r\nContent-Length: 2\r\nVia: 1.1 carousel\r\n"
        self.assertTrue(head.startswith(b"HTTP/1.1 201 Made\r\n" + lines + b"X-Request-Id: "), head)
        sent = rig.replicas[0].visits[0].head
        self.assertTrue(sent.startswith(b"GET /home?x=1 HTTP/1.1\r\nHost: door\r\nX-Odd:  v \r\nX-Forwarded-For: "))
        self.assertEqual(sent.split(b"X-Request-Id: ")[1][:-2], head.split(b"X-Request-Id: ")[1][:-2])

    async def test_a_good_request_id_is_kept_and_a_bad_one_replaced(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        _, head, _ = await client.get(lines=b"X-Request-ID: mine-7\r\n")
        self.assertIn(b"X-Request-Id: mine-7\r\n", head)
        self.assertEqual(rig.replicas[0].visits[0].head.lower().count(b"x-request-id"), 1)
        _, head, _ = await client.get(lines=b"X-Request-Id: two words\r\n")
        self.assertNotIn(b"two words", head)
        self.assertNotIn(b"two words", rig.replicas[0].visits[1].head)

    async def test_hop_by_hop_lines_stay_on_their_hop(self) -> None:
        answer = b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Secret\r\nX-Secret: 1\r\nContent-Length: 2\r\n\r\nok"
        rig = await self.rig(saying(answer))
        client = await rig.connect()
        _, head, _ = await client.get(lines=b"Connection: X-Mine\r\nX-Mine: 1\r\nTE: trailers\r\n")
        for gone in (b"X-Mine", b"TE:", b"Connection"):
            self.assertNotIn(gone, rig.replicas[0].visits[0].head)
        self.assertNotIn(b"X-Secret", head)

    async def test_keep_alive_on_both_sides(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        for _ in range(5):
            await client.get()
        self.assertEqual(rig.replicas[0].connections, 1)

    async def test_pipelined_requests_are_answered_in_order(self) -> None:
        async def echo(visit: Visit) -> None:
            target = visit.head.split(b" ")[1]
            visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(target), target))

        rig = await self.rig(echo, echo, echo)
        client = await rig.connect()
        targets = [b"/%d" % i for i in range(50)]
        client.send(b"".join(b"GET %b HTTP/1.1\r\nHost: d\r\n\r\n" % target for target in targets))
        self.assertEqual([(await client.message())[2] for _ in targets], targets)

    async def test_hundreds_of_pipelined_requests_answered_by_the_worker_itself(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        client.send(b"GET /admin/live HTTP/1.1\r\nHost: d\r\n\r\n" * 1000)
        for _ in range(1000):
            self.assertEqual((await client.message())[0], 200)

    async def test_chunked_answer_streams_through(self) -> None:
        async def answer(visit: Visit) -> None:
            visit.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            await gate.wait()
            visit.say(b"2\r\nde\r\n0\r\n\r\n")

        gate = asyncio.Event()
        rig = await self.rig(answer)
        client = await rig.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
        await client.head()
        self.assertEqual(await client.reader.readexactly(8), b"3\r\nabc\r\n")
        gate.set()
        self.assertEqual(await client.reader.readexactly(12), b"2\r\nde\r\n0\r\n\r\n")
        client.send(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
        await client.head()
        self.assertEqual(rig.replicas[0].connections, 1)

    async def test_an_http_1_0_client_gets_a_chunked_answer_unwrapped(self) -> None:
        rig = await self.rig(
            saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        )
        client = await rig.connect()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        answer = await client.rest()
        self.assertTrue(answer.endswith(b"Connection: close\r\n\r\nabcde"), answer)
        self.assertNotIn(b"chunked", answer)
        self.assertIn(b"Host: ", rig.replicas[0].visits[0].head)

    async def test_an_http_1_0_client_may_keep_its_connection(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        for _ in range(2):
            client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            self.assertIn(b"Connection: keep-alive\r\n", (await client.message())[1])

    async def test_an_answer_that_ends_with_its_connection(self) -> None:
        async def answer(visit: Visit) -> None:
            visit.say(b"HTTP/1.1 200 OK\r\n\r\nhello ")
            await visit.writer.drain()
            visit.say(b"world")
            visit.close()

        rig = await self.rig(answer)
        client = await rig.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
        self.assertTrue((await client.rest()).endswith(b"Connection: close\r\n\r\nhello world"))

    async def test_answers_without_a_body(self) -> None:
        rig = await self.rig(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"))
        client = await rig.connect()
        client.send(b"HEAD / HTTP/1.1\r\nHost: d\r\n\r\n")
        self.assertIn(b"Content-Length: 99", await client.head())
        rig.replicas[0].answer = saying(b"HTTP/1.1 204 No Content\r\n\r\n")
        client.send(b"DELETE / HTTP/1.1\r\nHost: d\r\n\r\n")
        self.assertIn(b"204", await client.head())
        rig.replicas[0].answer = saying(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n")
        client.send(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
        self.assertIn(b"304", await client.head())
        rig.replicas[0].answer = ok
        self.assertEqual((await client.get())[0], 200)
        self.assertEqual(rig.replicas[0].connections, 1)

    async def test_bodies_of_requests_are_streamed_in_their_framing(self) -> None:
        async def gather(visit: Visit) -> None:
            received.append(await visit.reader.readuntil(b"0\r\n\r\n"))
            visit.say(OK)

        received: list[bytes] = []
        rig = await self.rig(gather)
        client = await rig.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n")
        await rig.replicas[0].visited()
        client.send(b"5\r\nhel")
        client.send(b"lo\r\n0\r\n\r\n")
        self.assertEqual((await client.message())[0], 200)
        self.assertEqual(received, [b"5\r\nhello\r\n0\r\n\r\n"])

    async def test_a_large_body_passes_in_both_directions_with_slow_peers(self) -> None:
        async def mirror(visit: Visit) -> None:
            visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            left = size
            while left:
                part = await visit.reader.read(65536)
                left -= len(part)
                visit.say(part)
                await visit.writer.drain()

        size = 8 << 20
        rig = await self.rig(mirror)
        client = await rig.connect()
        client.send(b"PUT / HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n" % size)
        payload = bytes(range(256)) * (size // 256)
        client.send(payload)
        sending = asyncio.ensure_future(client.writer.drain())
        status, _, body = await client.message()
        await sending
        self.assertEqual(status, 200)
        self.assertTrue(body == payload)

    async def test_expect_100_is_answered_here_and_not_passed_on(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        client.send(b"PUT / HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        self.assertEqual(await client.head(), b"HTTP/1.1 100 Continue\r\n\r\n")
        client.send(b"abc")
        self.assertEqual((await client.message())[0], 200)
        self.assertNotIn(b"Expect", rig.replicas[0].visits[0].head)
        self.assertEqual(rig.replicas[0].visits[0].body, b"abc")

    async def test_a_date_is_appended_where_there_is_none(self) -> None:
        now = 784_111_777.0
        rig = await self.rig(ok, wall=lambda: now)
        client = await rig.connect()
        self.assertEqual((await client.get())[1].count(b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), 1)
        now += 1.5
        rig.later(0)
        for target in (b"/home", b"/admin/live", b"/rep"):
            _, head, _ = await client.get(target)
            self.assertEqual(head.count(b"Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n"), 1, head)
        client.send(b"nonsense\r\n\r\n")
        self.assertIn(b"Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n", await client.rest())


class Interim(DoorCase):
    EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

    async def test_they_pass_without_the_lines_of_one_hop_100_excepted(self) -> None:
        hints = self.EARLY.replace(b"Link", b"Connection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nLink")
        rig = await self.rig(saying(b"HTTP/1.1 100 Continue\r\n\r\n" + hints + OK))
        client = await rig.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
        self.assertEqual(await client.head(), self.EARLY)
        self.assertEqual((await client.message())[0], 200)

    async def test_a_client_of_http_1_0_gets_none(self) -> None:
        rig = await self.rig(saying(self.EARLY + OK))
        client = await rig.connect()
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        self.assertTrue((await client.rest()).startswith(b"HTTP/1.1 200 OK\r\n"))

    async def test_their_heads_may_come_in_pieces(self) -> None:
        async def answer(visit: Visit) -> None:
            for at in range(0, len(all_of_it), 7):
                visit.say(all_of_it[at : at + 7])
                await visit.writer.drain()
                await asyncio.sleep(0)

        all_of_it = self.EARLY * 3 + OK
        rig = await self.rig(answer)
        client = await rig.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
        for _ in range(3):
            self.assertEqual(await client.head(), self.EARLY)
        self.assertEqual((await client.message())[2], b"ok")

    async def test_their_number_is_bounded(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        for more, status in ((0, 200), (1, 502)):
            rig.replicas[0].answer = saying(self.EARLY * (MAX_INTERIM + more) + OK)
            client.send(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
            for _ in range(MAX_INTERIM):
                self.assertEqual(await client.head(), self.EARLY)
            self.assertEqual((await client.message())[0], status)

    async def test_a_switch_of_protocols_that_nobody_asked_for(self) -> None:
        rig = await self.rig(saying(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"))
        self.assertEqual((await (await rig.connect()).get())[0], 502)


class Refusing(DoorCase):
    async def assert_refused(self, request: bytes, status: int, **settings: Any) -> None:
        rig = await self.rig(ok, **settings)
        client = await rig.connect()
        client.send(request)
        answer = await client.rest()
        self.assertEqual(int(answer.split(b" ")[1]), status, answer)
        self.assertIn(b"Connection: close\r\n", answer)
        self.assertIn(b"Date: ", answer)
        self.assertEqual(json.loads(answer.partition(b"\r\n\r\n")[2])["status"], "failure")
        self.assertEqual(rig.replicas[0].visits, [])

    async def test_what_is_no_request(self) -> None:
        await self.assert_refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400)
        await self.assert_refused(b"GET / HTTP/1.1\r\n\r\n", 400)
        await self.assert_refused(b"GET / HTTP/1.1\r\nHost : d\r\n\r\n", 400)

    async def test_a_version_that_we_do_not_speak(self) -> None:
        for version in (b"2.0", b"1.2", b"0.9"):
            await self.assert_refused(b"GET / HTTP/%b\r\nHost: d\r\n\r\n" % version, 505)

    async def test_a_coding_that_we_do_not_speak(self) -> None:
        await self.assert_refused(b"POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501)

    async def test_a_long_target(self) -> None:
        fits = MAX_LINE - len(b"GET / HTTP/1.1\r\n")
        rig = await self.rig(ok)
        client = await rig.connect()
        self.assertEqual((await client.get(b"/" + b"a" * fits))[0], 200)
        await self.assert_refused(b"GET /a%b HTTP/1.1\r\nHost: d\r\n\r\n" % (b"a" * fits), 414)
        await self.assert_refused(b"GET /" + b"a" * MAX_LINE, 414)  # without waiting for its end

    async def test_many_lines(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        self.assertEqual((await client.get(lines=b"A: b\r\n" * (MAX_FIELDS - 1)))[0], 200)
        await self.assert_refused(b"GET / HTTP/1.1\r\nHost: d\r\n" + b"A: b\r\n" * MAX_FIELDS + b"\r\n", 431)

    async def test_http_1_0_must_say_how_long_its_body_is(self) -> None:
        for method in (b"POST", b"PUT", b"PATCH"):
            await self.assert_refused(b"%b / HTTP/1.0\r\n\r\n" % method, 411)
        rig = await self.rig(ok)
        for request in (
            b"POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
            b"DELETE / HTTP/1.0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n",  # no body (RFC 9112, 6.3)
        ):
            client = await rig.connect()
            client.send(request)
            self.assertEqual((await client.message())[0], 200, request)

    async def test_a_body_larger_than_the_limit_is_refused_unread(self) -> None:
        head = b"PUT / HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
        await self.assert_refused(head % 1001, 413, body_limit_bytes=1000)
        await self.assert_refused((head % 1001) + b"x" * 1001, 413, body_limit_bytes=1000)
        rig = await self.rig(ok, body_limit_bytes=1000)
        client = await rig.connect()
        client.send((head % 1000).replace(b"Expect: 100-continue\r\n", b"") + b"x" * 1000)
        self.assertEqual((await client.message())[0], 200)

    async def test_a_chunked_body_that_grows_larger_than_the_limit(self) -> None:
        async def gather(visit: Visit) -> None:
            await visit.reader.readuntil(b"0\r\n\r\n")
            visit.say(OK)

        head = b"POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n"
        rig = await self.rig(gather, body_limit_bytes=10)
        client = await rig.connect()
        client.send(head + b"6\r\nabcdef\r\n4\r\nghij\r\n0\r\n\r\n")
        self.assertEqual((await client.message())[0], 200)
        client.send(head + b"6\r\nabcdef\r\n")
        await rig.replicas[0].visited(2)
        client.send(b"5\r\n")
        answer = await client.rest()
        self.assertTrue(answer.startswith(b"HTTP/1.1 413 Content Too Large\r\n"), answer)
        await rig.until(lambda: rig.door.counters.in_flight[1] == 0)
        at_once = await rig.connect()
        at_once.send(head + b"b\r\n")
        self.assertEqual((await at_once.message())[0], 413)

    async def test_one_whose_answer_has_begun_is_cut(self) -> None:
        rig = await self.rig(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), body_limit_bytes=10)
        client = await rig.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n")
        await client.head()
        client.send(b"5\r\n")
        with self.assertRaises(ConnectionError):
            await client.rest()

    async def test_every_503_says_when_to_come_back(self) -> None:
        rig = await self.rig()
        client = await rig.connect()
        for target in (b"/", b"/admin/ready", b"/rep"):
            status, head, _ = await client.get(target)
            self.assertEqual((status, head.count(b"Retry-After: 1\r\n")), (503, 1), target)

    async def test_content_length_with_chunked(self) -> None:
        framing = b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"
        await self.assert_refused(b"POST / HTTP/1.1\r\nHost: d\r\n" + framing + b"\r\n", 400)

    async def test_connect(self) -> None:
        await self.assert_refused(b"CONNECT d:80 HTTP/1.1\r\nHost: d:80\r\n\r\n", 501)

    async def test_a_large_head(self) -> None:
        head = b"GET / HTTP/1.1\r\nHost: d\r\nA: %b\r\n\r\n"
        fits = HEAD_LIMIT_BYTES - len(head % b"")
        rig = await self.rig(ok)
        client = await rig.connect()
        client.send(head % (b"a" * fits))
        self.assertEqual((await client.message())[0], 200)
        await self.assert_refused(head % (b"a" * (fits + 1)), 431)
        await self.assert_refused((head % (b"a" * (fits + 9)))[:-4], 431)  # without waiting for its end

    async def test_a_broken_chunk_ends_both_connections(self) -> None:
        rig = await self.rig(silent)
        client = await rig.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n")
        await rig.replicas[0].visited()
        client.send(b"zz\r\n")
        self.assertIn(b"400 Bad Request", await client.rest())
        self.assertEqual(rig.door.counters.in_flight[1], 0)

    async def test_too_many_clients(self) -> None:
        rig = await self.rig(ok, clients=2)
        first, second, third = [await rig.connect() for _ in range(3)]
        answer = await third.rest()
        self.assertIn(b"503 Service Unavailable", answer)
        self.assertIn(b"Retry-After: 1", answer)
        self.assertEqual((await first.get())[0], 200)
        await second.close()
        await third.close()
        await rig.until(lambda: rig.door.counters.client_connections == 1)
        self.assertEqual((await (await rig.connect()).get())[0], 200)

    async def test_a_head_that_does_not_end(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        client.send(b"GET / HT")
        await rig.until(lambda: rig.door.counters.bytes_in > 0)
        rig.later(9)
        rig.later(11)
        self.assertIn(b"408 Request Timeout", await client.rest())

    async def test_an_idle_client(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        await client.get()
        rig.later(74)
        await client.get()
        rig.later(76)
        self.assertEqual(await client.rest(), b"")

    async def test_a_body_that_does_not_come(self) -> None:
        rig = await self.rig(silent)
        client = await rig.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n\r\nab")
        await rig.until(lambda: rig.door.counters.in_flight[1] == 1)
        rig.later(76)
        self.assertIn(b"408 Request Timeout", await client.rest())


class Retrying(DoorCase):
    async def test_a_reset_get_goes_to_the_next_replica(self) -> None:
        rig = await self.rig(reset, ok, ok)
        client = await rig.connect()
        target = rig.target_of(1)
        self.assertEqual((await client.get(target))[0], 200)
        self.assertEqual(len(rig.replicas[0].visits), 1)
        self.assertEqual(rig.door.counters.retries, 1)

    async def test_three_tries_at_most_then_502(self) -> None:
        rig = await self.rig(reset, reset, reset, reset, reset)
        client = await rig.connect()
        status, _, body = await client.get()
        self.assertEqual(status, 502)
        self.assert_failure(body, "the server replica closed the connection before it answered")
        self.assertEqual(sum(len(replica.visits) for replica in rig.replicas), 3)

    async def test_a_sent_post_is_not_tried_again(self) -> None:
        rig = await self.rig(reset, ok, ok)
        client = await rig.connect()
        client.send(b"POST %b HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\n\r\nhi" % rig.target_of(1))
        status, _, _ = await client.message()
        self.assertEqual(status, 502)
        self.assertEqual(sum(len(replica.visits) for replica in rig.replicas), 1)
        self.assertEqual((await client.get())[0], 200)

    async def test_a_put_is_tried_again_with_its_body(self) -> None:
        rig = await self.rig(reset, ok, ok)
        client = await rig.connect()
        client.send(b"PUT %b HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n\r\nhello" % rig.target_of(1))
        self.assertEqual((await client.message())[0], 200)
        bodies = [visit.body for replica in rig.replicas for visit in replica.visits]
        self.assertEqual(bodies, [b"hello", b"hello"])

    async def test_a_put_too_large_to_keep_is_not(self) -> None:
        async def read_and_reset(visit: Visit) -> None:
            await visit.reader.readexactly(70_000)
            visit.reset()

        rig = await self.rig(read_and_reset, ok, ok)
        client = await rig.connect()
        head = b"PUT %b HTTP/1.1\r\nHost: d\r\nContent-Length: 70000\r\n\r\n" % rig.target_of(1)
        client.send(head + b"x" * 70_000)
        self.assertEqual((await client.message())[0], 502)

    async def test_a_refused_connection_is_retried_for_a_post_too_and_ejects(self) -> None:
        rig = await self.rig(ok, ok, ok)
        await rig.replicas[0].stop()
        client = await rig.connect()
        client.send(b"POST %b HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\n\r\nhi" % rig.target_of(1))
        self.assertEqual((await client.message())[0], 200)
        self.assertEqual([word["type"] for word in rig.said], ["ejected"])
        self.assertEqual(rig.door.counters.ejections, {1: 1})
        await rig.replicas[0].start()

    async def test_nobody_listens(self) -> None:
        rig = await self.rig(ok, ok)
        for replica in rig.replicas:
            await replica.stop()
        client = await rig.connect()
        status, head, body = await client.get()
        self.assertEqual(status, 503)
        self.assert_failure(body, "no server replica is available")
        self.assertIn(b"Retry-After: 1\r\n", head)
        for replica in rig.replicas:
            await replica.start()

    async def test_an_empty_fleet(self) -> None:
        rig = await self.rig()
        client = await rig.connect()
        self.assertEqual((await client.get())[0], 503)
        self.assertEqual((await client.get(b"/admin/live"))[0], 200)
        self.assertEqual((await client.get(b"/admin/ready"))[0], 503)

    async def test_an_answer_cut_within_its_body_is_cut_for_the_client(self) -> None:
        async def cut(visit: Visit) -> None:
            visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            await visit.writer.drain()
            visit.reset()

        rig = await self.rig(cut, ok, ok)
        client = await rig.connect()
        client.send(b"GET %b HTTP/1.1\r\nHost: d\r\n\r\n" % rig.target_of(1))
        with self.assertRaises((ConnectionError, asyncio.IncompleteReadError)):
            await client.message()
        self.assertEqual(rig.door.counters.retries, 0)

    async def test_garbage_is_502_and_not_retried(self) -> None:
        rig = await self.rig(saying(b"220 smtp.example ready\r\n\r\n"), ok, ok)
        client = await rig.connect()
        status, _, body = await client.get(rig.target_of(1))
        self.assertEqual(status, 502)
        self.assertIn("bad response", json.loads(body)["message"])
        self.assertEqual(rig.door.counters.retries, 0)

    async def test_a_silent_replica_is_504_for_a_post_and_retried_for_a_get(self) -> None:
        rig = await self.rig(silent, ok, ok)
        post, get = await rig.connect(), await rig.connect()
        post.send(b"POST %b HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\n\r\nhi" % rig.target_of(1))
        get.send(b"GET %b HTTP/1.1\r\nHost: d\r\n\r\n" % rig.target_of(1))
        await rig.replicas[0].visited(2)
        rig.later(61, ticks=1)
        self.assertEqual((await post.message())[0], 504)
        self.assertEqual((await get.message())[0], 200)

    async def test_the_end_of_an_idle_pooled_connection_is_no_sign(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        for _ in range(5):
            await client.get()
            rig.replicas[0].close_connections()
            await rig.until(lambda: rig.door.counters.upstream_connections == 0)
        self.assertEqual(rig.said, [])
        self.assertEqual(rig.door.counters.retries, 0)


class Ejecting(DoorCase):
    async def test_requests_under_way_are_taken_back_at_once(self) -> None:
        rig = await self.rig(silent, ok, ok)
        target = rig.target_of(1)
        gets = [await rig.connect() for _ in range(20)]
        for client in gets:
            client.send(b"GET %b HTTP/1.1\r\nHost: d\r\n\r\n" % target)
        post = await rig.connect()
        post.send(b"POST %b HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\n\r\nhi" % target)
        await rig.replicas[0].visited(21)
        rig.publish(S1={"routable": False})
        for client in gets:
            self.assertEqual((await client.message())[0], 200)
        self.assertEqual(rig.door.counters.in_flight[1], 1)  # the POST waits
        await rig.replicas[0].stop()
        self.assertEqual((await post.message())[0], 502)
        await rig.replicas[0].start()

    async def test_the_word_of_another_worker(self) -> None:
        rig = await self.rig(silent, ok, ok)
        client = await rig.connect()
        client.send(b"GET %b HTTP/1.1\r\nHost: d\r\n\r\n" % rig.target_of(1))
        await rig.replicas[0].visited()
        rig.door.replicas.told(1, "S1", "refused")
        self.assertEqual((await client.message())[0], 200)
        self.assertEqual(rig.said, [])

    async def test_a_replaced_instance_gives_its_requests_back(self) -> None:
        rig = await self.rig(silent, ok, ok)
        client = await rig.connect()
        client.send(b"GET %b HTTP/1.1\r\nHost: d\r\n\r\n" % rig.target_of(1))
        await rig.replicas[0].visited()
        rig.publish(S1={"name": "S1b"})
        self.assertEqual((await client.message())[0], 200)

    async def test_three_resets_in_a_row_eject_and_a_trial_restores(self) -> None:
        rig = await self.rig(reset, ok, ok)
        client = await rig.connect()
        target = rig.target_of(1)
        for _ in range(5):
            self.assertEqual((await client.get(target))[0], 200)
        self.assertEqual(len(rig.replicas[0].visits), 3)
        rig.replicas[0].answer = ok
        rig.later(1.1, ticks=1)
        await rig.until(lambda: len(rig.said) == 2)
        self.assertEqual([word["type"] for word in rig.said], ["ejected", "restored"])
        await client.get(target)
        self.assertEqual(len(rig.replicas[0].visits), 5)  # the trial and this one

    async def test_the_death_of_one_of_three_under_load_denies_no_retry(self) -> None:
        rig = await self.rig(silent, ok, ok)
        target = rig.target_of(1)
        clients = [await rig.connect() for _ in range(256)]
        for client in clients:
            client.send(b"GET %b HTTP/1.1\r\nHost: d\r\n\r\n" % target)
        await rig.replicas[0].visited(256)
        await rig.replicas[0].stop()
        for client in clients:
            self.assertEqual((await client.message())[0], 200)
        self.assertEqual(rig.door.counters.retries_denied, 0)
        await rig.replicas[0].start()

    async def test_a_draining_replica_finishes_and_says_so_once(self) -> None:
        async def wait(visit: Visit) -> None:
            await gate.wait()
            visit.say(OK)

        gate = asyncio.Event()
        rig = await self.rig(wait, ok, ok)
        client = await rig.connect()
        client.send(b"GET %b HTTP/1.1\r\nHost: d\r\n\r\n" % rig.target_of(1))
        await rig.replicas[0].visited()
        rig.publish(S1={"routable": False, "draining": True})
        rig.later(0)
        self.assertEqual(rig.said, [])
        gate.set()
        self.assertEqual((await client.message())[0], 200)
        self.assertEqual(rig.door.counters.retries, 0)
        rig.later(0)
        self.assertEqual(rig.said, [{"type": "drained", "node_id": 1, "name": "S1", "epoch": [1, 2]}])


class Limiting(DoorCase):
    async def test_connections_to_a_replica_are_bounded_and_the_queue_behind_them_too(self) -> None:
        async def wait(visit: Visit) -> None:
            await gate.wait()
            visit.say(OK)

        gate = asyncio.Event()
        rig = await self.rig(wait, upstream_connections=2, upstream_queue=3)
        clients = [await rig.connect() for _ in range(6)]
        for number, client in enumerate(clients):
            client.send(b"GET /%d HTTP/1.1\r\nHost: d\r\n\r\n" % number)
            await rig.until(lambda: rig.door.counters.bytes_in >= 28 * (number + 1))  # noqa: B023
        status, head, body = await clients[5].message()
        self.assertEqual(status, 503)
        self.assertIn(b"Retry-After", head)
        self.assert_failure(body, "the server replica is overloaded")
        gate.set()
        for client in clients[:5]:
            self.assertEqual((await client.message())[0], 200)
        self.assertEqual(rig.replicas[0].connections, 2)

    async def test_a_post_does_not_use_a_connection_that_was_idle(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        await client.get()
        pool = rig.door.replicas.pools[1]
        next(iter(pool.connections)).idle_since -= 1.5
        client.send(b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\n\r\nhi")
        self.assertEqual((await client.message())[0], 200)
        self.assertEqual(rig.replicas[0].connections, 2)

    async def test_idle_upstream_connections_are_closed(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        await client.get()
        rig.later(31, ticks=1)
        await rig.until(lambda: rig.door.counters.upstream_connections == 0)

    async def test_a_client_that_does_not_read_is_cut_and_its_upstream_with_it(self) -> None:
        async def pour(visit: Visit) -> None:
            visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            while not visit.writer.is_closing():
                visit.say(b"x" * 100_000)
                await visit.writer.drain()

        rig = await self.rig(pour)
        client = await rig.connect()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.send(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
        await rig.until(lambda: any(each.stalled for each in rig.door._clients))  # pyright: ignore[reportPrivateUsage]
        rig.later(76)
        await rig.until(lambda: rig.door.counters.upstream_connections == 0)
        self.assertEqual((rig.door.counters.in_flight[1], rig.door.counters.client_connections), (0, 0))

    async def test_a_client_that_leaves_ends_its_upstream(self) -> None:
        rig = await self.rig(silent)
        client = await rig.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
        await rig.replicas[0].visited()
        client.reset()
        await rig.until(lambda: rig.door.counters.upstream_connections == 0)
        self.assertEqual(rig.door.counters.in_flight[1], 0)

    async def test_a_client_that_ends_its_side_still_gets_its_answer(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
        client.writer.write_eof()
        self.assertTrue((await client.rest()).endswith(b"Connection: close\r\n\r\nok"))


class Sticking(DoorCase):
    """`--route-by cookie:route`."""

    def given(self, head: bytes) -> bytes:
        (line,) = [line for line in head.split(b"\r\n") if line.startswith(b"Set-Cookie: route=")]
        self.assertTrue(line.endswith(b"; Path=/; HttpOnly; SameSite=Lax"), line)
        return line.partition(b": ")[2].partition(b";")[0]

    def seen(self, rig: Rig) -> list[int]:
        return [len(replica.visits) for replica in rig.replicas]

    async def test_a_client_stays_where_it_first_went(self) -> None:
        rig = await self.rig(ok, ok, ok, route_by="cookie:route")
        client = await rig.connect()
        for _ in range(20):
            before = self.seen(rig)
            cookie = self.given((await client.get())[1])
            first = [now - then for now, then in zip(self.seen(rig), before, strict=True)]
            for target in (b"/home", b"/other"):
                before = self.seen(rig)
                _, head, _ = await (await rig.connect()).get(target, b"Cookie: a=b; %b\r\n" % cookie)
                self.assertEqual([now - then for now, then in zip(self.seen(rig), before, strict=True)], first)
                self.assertNotIn(b"Set-Cookie", head)
        self.assertTrue(all(self.seen(rig)))

    async def test_whose_cookie_is_empty_is_given_one(self) -> None:
        rig = await self.rig(ok, route_by="cookie:route")
        client = await rig.connect()
        for lines in (b"", b"Cookie: route=\r\n", b"Cookie: other=1\r\n"):
            self.given((await client.get(lines=lines))[1])
        _, head, _ = await client.get(lines=b"Cookie: route=whatever the application says\r\n")
        self.assertNotIn(b"Set-Cookie", head)

    async def test_each_is_given_its_own_though_heads_repeat(self) -> None:
        rig = await self.rig(ok, route_by="cookie:route")
        client = await rig.connect()
        self.assertEqual(len({self.given((await client.get())[1]) for _ in range(50)}), 50)

    async def test_the_replica_s_own_cookie_of_that_name_stays(self) -> None:
        answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: route=mine\r\nContent-Length: 2\r\n\r\nok"
        rig = await self.rig(saying(answer), route_by="cookie:route")
        _, head, _ = await (await rig.connect()).get()
        self.assertEqual(head.count(b"Set-Cookie"), 1)
        self.assertIn(b"\r\nSet-Cookie: route=mine\r\n", head)

    async def test_answers_of_our_own_and_other_routes_have_none(self) -> None:
        rig = await self.rig(route_by="cookie:route")
        client = await rig.connect()
        for target, status in ((b"/home", 503), (b"/admin/live", 200), (b"/rep", 503)):
            answered, head, _ = await client.get(target)
            self.assertEqual(answered, status)
            self.assertNotIn(b"Set-Cookie", head)
        other = await self.rig(ok, route_by="query:route")
        self.assertNotIn(b"Set-Cookie", (await (await other.connect()).get())[1])

    async def test_old_clients_and_interim_answers(self) -> None:
        rig = await self.rig(saying(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK), route_by="cookie:route")
        client = await rig.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
        self.assertNotIn(b"Set-Cookie", await client.head())
        self.given((await client.message())[1])
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        answer = await client.rest()
        self.given(answer.partition(b"\r\n\r\n")[0])

    async def test_a_tunnel_s_client_is_given_one_too(self) -> None:
        rig = await self.rig(
            saying(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n"),
            route_by="cookie:route",
        )
        client = await rig.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n")
        head = await client.head()
        self.given(head)
        self.assertIn(b"\r\nUpgrade: foo\r\n", head)


class RateLimiting(DoorCase):
    async def test_429_says_when_to_come_back_and_keeps_the_connection(self) -> None:
        rig = await self.rig(ok, rate_limit="0.5+2")
        client = await rig.connect()
        for _ in range(2):
            self.assertEqual((await client.get())[0], 200)
        status, head, body = await client.get(lines=b"X-Request-Id: mine-7\r\n")
        self.assertEqual(status, 429)
        self.assertTrue(head.startswith(b"HTTP/1.1 429 Too Many Requests\r\n"))
        self.assertIn(b"Retry-After: 2\r\n", head)
        self.assertIn(b"X-Request-Id: mine-7\r\n", head)
        self.assertNotIn(b"Connection: close", head)
        self.assert_failure(body, "too many requests")
        self.assertEqual((await client.get())[0], 429)
        self.assertEqual((rig.door.counters.rate_limited, len(rig.replicas[0].visits)), (2, 2))

    async def test_a_body_that_follows_is_not_read_so_the_connection_ends(self) -> None:
        rig = await self.rig(ok, rate_limit="0.5+1")
        client = await rig.connect()
        await client.get()
        client.send(b"POST / HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n\r\nhello")
        answer = await client.rest()
        self.assertIn(b" 429 ", answer)
        self.assertIn(b"Connection: close\r\n", answer)

    async def test_control_s_paths_are_not_counted(self) -> None:
        rig = await self.rig(ok, rate_limit="0.5+1")
        client = await rig.connect()
        await client.get()
        for _ in range(3):
            self.assertEqual((await client.get(b"/admin/live"))[0], 200)

    async def test_each_worker_grants_its_part(self) -> None:
        rig = await self.rig(ok, rate_limit="1+6", workers=3)
        client = await rig.connect()
        self.assertEqual([(await client.get())[0] for _ in range(3)], [200, 200, 429])

    async def test_by_key(self) -> None:
        rig = await self.rig(ok, rate_limit="0.5+1", rate_limit_by="key", route_by="header:X-Key")
        client = await rig.connect()
        answers = [await client.get(lines=b"X-Key: %b\r\n" % key) for key in (b"a", b"b", b"a")]
        self.assertEqual([status for status, _, _ in answers], [200, 200, 429])


class Course(DoorCase):
    NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope"

    async def test_an_unknown_path_is_the_400_of_the_field(self) -> None:
        rig = await self.rig(saying(self.NOT_FOUND), unknown_path="course")
        client = await rig.connect()
        for _ in range(3):
            status, _, body = await client.get(b'/other"?x=1')
            self.assertEqual(status, 400)
            self.assert_failure(body, "'/other\"' endpoint does not exist in server replicas")
        self.assertEqual(rig.replicas[0].connections, 1)

    async def test_the_replica_s_own_answer_is_read_away_if_it_is_short(self) -> None:
        def in_two(answer: bytes, cut: int) -> Answerer:
            async def say(visit: Visit) -> None:
                visit.say(answer[:cut])
                await gate.wait()
                visit.say(answer[cut:])

            return say

        chunked = b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\n\r\n"
        large = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n" % DRAIN_LIMIT_BYTES + b"x" * DRAIN_LIMIT_BYTES
        rig = await self.rig(ok, unknown_path="course")
        client = await rig.connect()
        for answer, cut in ((self.NOT_FOUND, -4), (self.NOT_FOUND, -2), (chunked, -14), (chunked, -2), (large, -1)):
            gate = asyncio.Event()
            rig.replicas[0].answer = in_two(answer, cut)
            client.send(b"GET /x HTTP/1.1\r\nHost: d\r\n\r\n")
            await rig.turns()
            gate.set()
            self.assertEqual((await client.message())[0], 400)
        self.assertEqual(rig.replicas[0].connections, 1)
        self.assertEqual(rig.door.counters.in_flight[1], 0)

    async def test_if_it_is_long_or_ends_with_its_connection_that_is_given_up(self) -> None:
        start = b"HTTP/1.1 404 Not Found\r\n"
        chunks = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        rig = await self.rig(ok, unknown_path="course")
        client = await rig.connect()
        for answer in (
            start + b"Content-Length: %d\r\n\r\n" % (DRAIN_LIMIT_BYTES + 1),
            start + b"Transfer-Encoding: chunked\r\n\r\n" + 3 * chunks,
            start + b"\r\nand so on",
            start + b"Connection: close\r\nContent-Length: 4\r\n\r\nno",
            start + b"Content-Length: 4\r\n\r\nnope and more",
        ):
            rig.replicas[0].answer = saying(answer)
            self.assertEqual((await client.get(b"/x"))[0], 400, answer[:60])
            await rig.until(lambda: rig.door.counters.upstream_connections == 0)
        self.assertEqual(rig.door.counters.in_flight[1], 0)

    async def test_a_replica_that_breaks_off_meanwhile_is_told_of(self) -> None:
        async def cut(visit: Visit) -> None:
            visit.say(self.NOT_FOUND[:-2])
            await visit.writer.drain()
            visit.close()

        rig = await self.rig(cut, unknown_path="course")
        self.assertEqual((await (await rig.connect()).get(b"/x"))[0], 502)
        rig.replicas[0].answer = saying(b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
        self.assertEqual((await (await rig.connect()).get(b"/x"))[0], 502)

    async def test_only_for_get_and_only_if_asked(self) -> None:
        rig = await self.rig(saying(self.NOT_FOUND), unknown_path="course")
        client = await rig.connect()
        client.send(b"DELETE /x HTTP/1.1\r\nHost: d\r\n\r\n")
        self.assertEqual((await client.message())[0], 404)
        other = await self.rig(saying(self.NOT_FOUND))
        status, _, body = await (await other.connect()).get()
        self.assertEqual((status, body), (404, b"nope"))


class Control(DoorCase):
    async def test_control_s_paths_go_to_its_socket_with_the_true_address(self) -> None:
        rig = await self.rig(ok)
        control = await self.socket(rig, rig.door.settings.control_socket, saying(OK))
        client = await rig.connect()
        status, _, body = await client.get(b"/rep", b"X-Real-IP: 10.0.0.1\r\nx_real_ip: 10.0.0.2\r\n")
        self.assertEqual((status, body), (200, b"ok"))
        self.assertIn(b"X-Real-IP: 127.0.0.1\r\n", control.visits[0].head)
        self.assertNotIn(b"10.0.0", control.visits[0].head)
        self.assertEqual(rig.replicas[0].visits, [])

    async def test_control_away(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        status, head, body = await client.get(b"/rep")
        self.assertEqual(status, 503)
        self.assertIn(b"Retry-After: 1\r\n", head)
        self.assert_failure(body, "control is not available")
        self.assertEqual((await client.get(b"/home"))[0], 200)

    async def test_control_is_asked_once(self) -> None:
        rig = await self.rig(ok)
        control = await self.socket(rig, rig.door.settings.control_socket, reset)
        status, _, _ = await (await rig.connect()).get(b"/rep")
        self.assertEqual((status, len(control.visits)), (502, 1))

    async def test_a_redirect_is_followed_to_the_loop_s_socket(self) -> None:
        async def stream(visit: Visit) -> None:
            visit.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
            await gate.wait()
            visit.say(b"0\r\n\r\n")

        gate = asyncio.Event()
        rig = await self.rig(ok)
        redirect = b"HTTP/1.1 200 OK\r\nX-Accel-Redirect: /wait/7\r\nContent-Length: 0\r\n\r\n"
        control = await self.socket(rig, rig.door.settings.control_socket, saying(redirect))
        loop = await self.socket(rig, rig.door.settings.loop_socket, stream)
        client = await rig.connect()
        client.send(b"POST /add HTTP/1.1\r\nHost: d\r\nAccept: x/y\r\nContent-Length: 2\r\n\r\n{}")
        await client.head()
        rig.later(3600)
        gate.set()
        self.assertEqual(await client.reader.readuntil(b"0\r\n\r\n"), b"1\r\na\r\n0\r\n\r\n")
        self.assertTrue(loop.visits[0].head.startswith(b"GET /wait/7 HTTP/1.1\r\n"))
        self.assertIn(b"Accept: x/y", loop.visits[0].head)
        self.assertNotIn(b"Content-Length", loop.visits[0].head)
        self.assertEqual((len(control.visits), len(loop.visits)), (1, 1))

    async def test_a_replica_can_not_redirect(self) -> None:
        answer = b"HTTP/1.1 200 OK\r\nX-Accel-Redirect: /wait/7\r\nContent-Length: 2\r\n\r\nok"
        rig = await self.rig(saying(answer))
        self.assertEqual((await (await rig.connect()).get())[2], b"ok")

    async def test_a_chunked_body_too_large_for_control(self) -> None:
        rig = await self.rig(ok)
        control = await self.socket(rig, rig.door.settings.control_socket, ok)
        client = await rig.connect()
        client.send(b"POST /add HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n10001\r\n")
        self.assertEqual((await client.message())[0], 413)
        self.assertEqual(control.visits, [])

    async def test_a_body_too_large_for_control_is_refused_before_it_is_sent(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        client.send(b"POST /add HTTP/1.1\r\nHost: d\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 2_000_000)
        status, _, body = await client.message()
        self.assertEqual(status, 413)
        self.assertIn(b"65536", body)

    async def test_an_admin_port_of_its_own(self) -> None:
        rig = await self.rig(ok, admin=False)
        self.assertEqual((await (await rig.connect()).get(b"/rep"))[2], b"ok")
        admin = await self.rig(ok, proxy=False)
        client = await admin.connect()
        self.assertEqual((await client.get(b"/home"))[0], 404)
        self.assertEqual((await client.get(b"/admin/ready"))[0], 200)


class Draining(DoorCase):
    async def test_answers_close_and_the_end_comes_when_nobody_is_left(self) -> None:
        rig = await self.rig(ok)
        ended = asyncio.Event()
        rig.door.on_empty = ended.set
        client = await rig.connect()
        await client.get()
        rig.door.drain(0)
        rig.door.drain(0)
        self.assertFalse(ended.is_set())
        _, head, _ = await client.get()
        self.assertIn(b"Connection: close\r\n", head)
        await client.close()
        await ended.wait()

    async def test_idle_clients_are_cut_after_the_drain_timeout(self) -> None:
        rig = await self.rig(ok)
        ended = asyncio.Event()
        rig.door.on_empty = ended.set
        client = await rig.connect()
        await client.get()
        rig.door.drain(asyncio.get_running_loop().time())
        rig.later(31)
        with self.assertRaises(ConnectionError):
            await client.reader.readexactly(1)
        await ended.wait()


class Snapshots(DoorCase):
    async def test_an_older_one_is_refused(self) -> None:
        rig = await self.rig(ok)
        door: Replicas = rig.door.replicas
        assert door.snapshot is not None
        self.assertFalse(door.apply(door.snapshot))
        self.assertEqual(door.epoch, (1, 1))
