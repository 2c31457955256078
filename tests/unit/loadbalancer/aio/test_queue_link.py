"""Control's end of the link over a real socket, with a mind that only notes what it hears."""

import asyncio
import shutil
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from support.link_server import LinkedServer

from loadbalancer import queue_words as w
from loadbalancer.aio import queue_link
from loadbalancer.aio.queue_link import LinkServer
from loadbalancer.queue_tail import Tail
from wire import versions as v
from wire.cluster import Image
from wire.cluster_link import Offer, Position, Stop, offer_request, poll_request
from wire.errors import ErrorCode as E

SECRET = "s" * 64
OFFER = Offer(Position(2, 7), [{"type": "producer_ids", "next": 5}], 4, "1" * 32, "d" * 32)


class Mind:
    """Registers whoever asks; answers nothing else by itself."""

    def __init__(self) -> None:
        self.tail = Tail(Image(1, 3))
        self.takes_offers = False
        self.heard: list[Any] = []
        self.links: LinkServer

    def send(self, event: w.Event) -> None:
        self.heard.append(event)
        if isinstance(event, w.Registered):
            self.links.reply(w.Reply(event.request, {"error_code": 0, "broker_epoch": 3}))


class TestLink(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, directory)
        self.path = directory / "queue.sock"
        self.mind = Mind()
        self.links = self.mind.links = LinkServer(self.mind, SECRET, "c")
        await self.links.listen_unix(self.path)
        self.addAsyncCleanup(self.links.close)

    async def server(self, node_id: int = 1) -> LinkedServer:
        server = await LinkedServer(node_id).connect(self.path, SECRET)
        self.addAsyncCleanup(server.close)
        return server

    async def until(self, holds: Any) -> None:
        async with asyncio.timeout(5):
            while not holds():
                await asyncio.sleep(0.001)

    async def test_answers_go_out_as_they_are_ready(self) -> None:
        server = await self.server()
        self.assertEqual((await server.register()).broker_epoch, 3)
        asked = [
            asyncio.create_task(server.ask(v.ALLOCATE_PRODUCER_IDS, broker_id=1, broker_epoch=3)) for _ in range(2)
        ]
        await self.until(lambda: sum(isinstance(event, w.AllocateIds) for event in self.mind.heard) == 2)
        first, second = (event for event in self.mind.heard if isinstance(event, w.AllocateIds))
        self.links.reply(w.Refuse(second.request, E.NOT_CONTROLLER, "no"))
        self.assertEqual((await asked[1]).error_code, E.NOT_CONTROLLER)
        block = {"error_code": 0, "producer_id_start": 5, "producer_id_len": 10}
        self.links.reply(w.Reply(first.request, block))
        self.assertEqual((await asked[0]).producer_id_start, 5)

    async def test_a_poll_says_how_far_it_is_and_waits_for_news(self) -> None:
        server = await self.server()
        await server.register()
        await server.until(lambda image: image.version == 3)
        await self.until(lambda: w.Applied(1, server.incarnation, 3) in self.mind.heard)
        record = {"type": "producer_ids", "next": 9}
        self.mind.tail.extend(self.mind.tail.image.with_records([record], 1, 4), [record])
        self.links.push()
        await server.until(lambda image: image.next_producer_id == 9)

    async def test_who_knows_more_than_we_is_never_sent_a_snapshot(self) -> None:
        server = await self.server()
        ahead = Position(0, 99)
        asked = asyncio.create_task(server._call(lambda number: poll_request(number, "s", ahead)))
        await self.until(lambda: w.Applied(1, "", 99) in self.mind.heard)
        self.links.push()
        await asyncio.sleep(0.02)
        self.assertFalse(asked.done())
        asked.cancel()

    async def test_who_goes_is_forgotten(self) -> None:
        server = await self.server()
        asked = asyncio.create_task(server.ask(v.ALLOCATE_PRODUCER_IDS, broker_id=1, broker_epoch=3))
        await self.until(lambda: self.mind.heard)
        await server.close()
        asked.cancel()
        (event,) = self.mind.heard[:1]
        await self.until(lambda: w.Gone(frozenset({event.request})) in self.mind.heard)
        self.links.reply(w.Refuse(event.request, E.NOT_CONTROLLER, "too late"))
        self.assertEqual((self.links.asked, self.links.links), ({}, set()))

    async def hung_up(self, server: LinkedServer, call: Any) -> None:
        with self.assertRaises(ConnectionError):
            await call
        await self.until(lambda: not self.links.links)

    async def test_what_is_no_server_s_is_hung_up_on(self) -> None:
        server = await self.server()
        await self.hung_up(server, server.ask(v.BROKER_HEARTBEAT, broker_id=2, broker_epoch=1, want_fence=False,
                                              want_shut_down=False, current_metadata_offset=0))  # fmt: skip
        server = await self.server()
        await self.hung_up(
            server, server._call(lambda number: b"\0\0\0\x0a\0\0\0\x0d" + number.to_bytes(4, "big") + b"\0\0")
        )
        server = LinkedServer(1)
        server._reader, server._writer = await asyncio.open_unix_connection(str(self.path))
        server._reading = asyncio.create_task(server._read())
        await self.hung_up(server, server.register(Stop.CLEAN))
        await server.close()

    @mock.patch.object(queue_link, "MAX_ASKED", 2)
    async def test_a_link_with_too_much_under_way_is_broken_off(self) -> None:
        server = await self.server()
        asked = [
            asyncio.create_task(server.ask(v.ALLOCATE_PRODUCER_IDS, broker_id=1, broker_epoch=3)) for _ in range(3)
        ]
        for outcome in await asyncio.gather(*asked, return_exceptions=True):
            self.assertIsInstance(outcome, ConnectionError)

    async def test_offers_are_kept_while_they_are_wanted_and_the_link_is_there(self) -> None:
        self.mind.takes_offers = True
        server = await self.server(2)
        server._writer.write(offer_request(9, "s", OFFER))
        await self.until(lambda: self.links.offers() == {2: OFFER})
        self.links.hang_up()
        await self.until(lambda: self.links.offers() == {})

    async def test_who_offers_to_a_control_that_leads_had_better_register_again(self) -> None:
        server = await self.server(2)
        await self.hung_up(server, server._call(lambda number: offer_request(number, "s", OFFER)))


if __name__ == "__main__":
    unittest.main()
