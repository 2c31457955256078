import asyncio
import json
import unittest

from loadbalancer.aio.tickets import MAX_STREAMS, MAX_WAITING, Tickets
from loadbalancer.event_log import EventLog
from loadbalancer.rest.port import Busy
from wire.exchange import Request, Response, Stream
from wire.http1 import parse_request


def get(target: str) -> Request:
    parsed = parse_request(f"GET {target} HTTP/1.1\r\nHost: loop\r\n\r\n".encode())
    assert parsed is not None
    return Request(parsed[0], b"", "")


class TicketsTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.events = EventLog()
        self.tickets = Tickets(self.events)

    def happens(self, kind: str) -> None:
        self.events.show([self.events.make(1.0, kind, "S1", "why")])
        self.tickets.wake_streams()

    async def whole(self, target: str) -> Response:
        answer = await self.tickets.handle(get(target))
        assert isinstance(answer, Response)
        return answer

    async def stream(self, target: str) -> Stream:
        answer = await self.tickets.handle(get(target))
        assert isinstance(answer, Stream)
        return answer

    async def test_who_waits_gets_the_answer(self) -> None:
        command, ticket = self.tickets.open()
        waiting = asyncio.ensure_future(self.whole(f"/wait/{ticket}"))
        await asyncio.sleep(0)
        self.assertFalse(waiting.done())
        self.tickets.answer(command, 200, {"message": "done"})
        response = await waiting
        self.assertEqual((response.status, json.loads(response.body)), (200, {"message": "done"}))

    async def test_who_comes_late_gets_it_too(self) -> None:
        command, ticket = self.tickets.open()
        self.tickets.answer(command, 503, {"message": "no"})
        late = await self.whole(f"/wait/{ticket}")
        self.assertEqual((late.status, late.headers), (503, (("Retry-After", "1"),)))

    async def test_a_caller_that_goes_away_cancels_nothing(self) -> None:
        command, ticket = self.tickets.open()
        waiting = asyncio.ensure_future(self.whole(f"/wait/{ticket}"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        self.tickets.answer(command, 200, {})
        self.assertEqual((await self.whole(f"/wait/{ticket}")).status, 200)

    async def test_no_such_ticket_or_path(self) -> None:
        self.assertEqual((await self.whole("/wait/nothing")).status, 404)
        self.assertEqual((await self.whole("/")).status, 404)

    async def test_too_many_are_refused(self) -> None:
        opened = [self.tickets.open() for _ in range(MAX_WAITING)]
        with self.assertRaises(Busy):
            self.tickets.open()
        self.tickets.answer(opened[0][0], 200, {})
        self.tickets.open()

    async def test_a_stream_gives_the_kept_events_and_then_the_new(self) -> None:
        self.happens("dead")
        self.happens("healthy")
        chunks = (await self.stream("/stream?since=1")).chunks
        self.assertEqual(await anext(chunks), b": carousel events\n\n")
        self.assertIn(b"id: 2\nevent: healthy\n", await anext(chunks))
        coming = asyncio.ensure_future(chunks.__anext__())
        await asyncio.sleep(0)
        self.happens("suspect")
        self.assertIn(b'"kind": "suspect"', await coming)
        await chunks.aclose()  # type: ignore[attr-defined]

    async def test_at_most_32_streams(self) -> None:
        streams = [await self.stream("/stream") for _ in range(MAX_STREAMS)]
        for stream in streams:
            await anext(stream.chunks)
        refused = await self.whole("/stream")
        self.assertEqual((refused.status, refused.headers), (503, (("Retry-After", "1"),)))
        await streams[0].chunks.aclose()  # type: ignore[attr-defined]
        last = await self.stream("/stream?since=x")
        await anext(last.chunks)
        self.assertEqual(self.tickets.streams, MAX_STREAMS)
        for stream in [*streams[1:], last]:
            await stream.chunks.aclose()  # type: ignore[attr-defined]
        self.assertEqual(self.tickets.streams, 0)
