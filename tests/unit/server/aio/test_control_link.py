"""`server.aio.control_link` with a control that speaks over a real Unix socket: order of things, and what breaks."""

import asyncio
import logging
import shutil
import tempfile
import threading
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from support.fake_control import FakeControl

from server.aio.control_link import ControlLink, Hooks
from server.api.cluster_context import Outcome
from server.disk.image_store import ImageStore
from wire import messages
from wire.cluster import Image
from wire.cluster_link import Offer, Position, Registration, Stop, Update, poll_answer, read_offer
from wire.errors import ErrorCode

REGISTRATION = Registration(1, "cluster", "1" * 32, "d" * 32, -1, Stop.UNCLEAN, {"CLIENT": ("127.0.0.1", 9092)})
TOPIC = {"type": "topic", "name": "orders", "id": "a" * 32}


class ControlLinkTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        logging.getLogger("carousel").setLevel(logging.CRITICAL)
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.control = FakeControl(str(self.directory / "queue.sock"))
        self.story: list[Any] = []
        self.changed = asyncio.Event()
        self.store = ImageStore(self.directory)
        self.addCleanup(self.store.close)
        self.settled: Callable[[Callable[[], None]], None] = lambda done: done()
        self.link = self.make_link()

    def make_link(self, secret: str = "secret") -> ControlLink:
        return ControlLink(self.control.address, secret, REGISTRATION, self.store.load(), self.store, self.hooks())

    def hooks(self) -> Hooks:
        self.loop = asyncio.get_running_loop()
        return Hooks(
            granted=lambda epoch: self.loop.call_soon_threadsafe(self.tell, ("granted", epoch)),
            registered=lambda epoch: self.tell(("registered", epoch)),
            applied=lambda image: self.tell(("applied", image.version)),
            lost=lambda: self.tell("lost"),
            settled=lambda done: self.settled(done),
        )

    def tell(self, what: Any) -> None:
        self.story.append(what)
        self.changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                await asyncio.sleep(0.005)

    def start(self) -> None:
        task = asyncio.create_task(self.link.run())

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.link.close()

        self.addAsyncCleanup(end)

    def ask(self, timeout_s: float = 5.0) -> list[Outcome]:
        outcomes: list[Outcome] = []
        values = {
            "topics": [{"name": "new", "num_partitions": 1, "replication_factor": 1, "assignments": [], "configs": []}]
        }
        body = messages.encode(messages.build(19, 7, values, "request"))
        self.link.ask(19, 7, body, timeout_s, outcomes.append)
        return outcomes

    async def test_the_order_of_things(self) -> None:
        async with self.control:
            self.start()
            await self.until(lambda: len(self.control.polls) == 2)
            self.assertEqual(self.story, [("granted", 1), ("registered", 1), ("applied", 1)])
            self.assertEqual(self.control.polls, [Position(0, 0), Position(1, 1)])
            self.assertEqual(self.control.registered, [REGISTRATION])
            self.control.commit(TOPIC)
            await self.until(lambda: len(self.control.polls) == 3)
            self.assertEqual(self.control.polls[-1], Position(1, 2))
            self.assertEqual(self.store.load(), self.control.image)
            await self.until(lambda: bool(self.control.beats))
            self.assertEqual((self.control.beats[0].broker_id, self.control.beats[0].broker_epoch), (1, 1))

    async def test_the_word_of_an_update_waits_for_what_it_brings(self) -> None:
        waiting: list[Callable[[], None]] = []
        self.settled = waiting.append
        async with self.control:
            self.start()
            await self.until(lambda: bool(waiting))
            self.assertEqual((self.story[-1], self.control.polls), (("applied", 1), [Position(0, 0)]))
            waiting.pop()()
            await self.until(lambda: len(self.control.polls) == 2)

    async def test_but_not_for_long(self) -> None:
        self.settled = lambda _: None
        with mock.patch("server.aio.control_link.SETTLE_S", 0.01):
            async with self.control:
                self.start()
                await self.until(lambda: len(self.control.polls) == 2)

    async def test_a_restart_of_control_is_the_same_incarnation_again(self) -> None:
        async with self.control:
            self.start()
            await self.until(lambda: len(self.control.polls) == 2)
            self.control.hang_up()
            await self.until(lambda: len(self.control.registered) == 2)
            await self.until(lambda: len(self.control.polls) == 3)
            self.assertEqual(self.control.registered[1].previous_epoch, 1)
            self.assertEqual(self.control.registered[1].incarnation, REGISTRATION.incarnation)
            self.assertEqual(self.story[3:], ["lost", ("registered", 1)])

    async def test_control_that_comes_later(self) -> None:
        self.start()
        outcomes = self.ask()
        await asyncio.sleep(0.1)
        self.assertEqual((self.story, outcomes), ([], []))
        async with self.control:
            await self.until(lambda: bool(outcomes))
            answer = messages.decode_response(19, 7, outcomes[0], 5)
            self.assertEqual(answer.topics[0].name, "new")

    async def test_a_wrong_secret(self) -> None:
        self.link = self.make_link("wrong")
        async with self.control:
            self.start()
            await self.until(lambda: len([key for key, _ in self.control.heard if key == 36]) > 1)
            self.assertEqual((self.story, self.control.registered), ([], []))

    async def test_a_refused_registration_is_tried_again(self) -> None:
        refusals: list[int] = []

        def refuse(peer: Any, head: Any, frame: memoryview) -> bytes:
            refusals.append(1)
            if len(refusals) == 2:
                del self.control.overrides[62]
            return self.control.answer(head, {"error_code": 101, "broker_epoch": -1})

        self.control.overrides[62] = refuse
        async with self.control:
            self.start()
            await self.until(lambda: ("applied", 1) in self.story)

    async def test_without_control_in_time(self) -> None:
        self.start()
        outcomes = self.ask(0.05)
        await self.until(lambda: bool(outcomes))
        self.assertEqual(outcomes, [ErrorCode.NOT_CONTROLLER])

    async def test_a_control_that_says_nothing(self) -> None:
        self.control.overrides[19] = lambda peer, head, frame: None
        async with self.control:
            self.start()
            await self.until(lambda: ("applied", 1) in self.story)
            outcomes = self.ask(0.05)
            await self.until(lambda: bool(outcomes))
            self.assertEqual(outcomes, [ErrorCode.REQUEST_TIMED_OUT])

    async def test_a_control_that_dies_over_a_question(self) -> None:
        asked: list[int] = []
        self.control.overrides[19] = lambda peer, head, frame: asked.append(1)
        async with self.control:
            self.start()
            await self.until(lambda: ("applied", 1) in self.story)
            outcomes = self.ask()
            await self.until(lambda: bool(asked))
            self.control.hang_up()
            await self.until(lambda: bool(outcomes))
            self.assertEqual((outcomes, asked), ([ErrorCode.NOT_CONTROLLER], [1]))

    async def test_a_control_from_the_past_is_refused(self) -> None:
        old = Update(Position(1, 0), [], [TOPIC])
        async with self.control:
            self.start()
            await self.until(lambda: len(self.control.polls) == 2)
            self.control.overrides[10_000] = lambda peer, head, frame: poll_answer(head.correlation_id, old)
            self.control.hang_up()
            await self.until(lambda: self.story.count("lost") >= 2)
            self.assertEqual(self.link.image, self.control.image)
            self.assertEqual(self.store.load(), self.control.image)

    async def test_nonsense_ends_the_connection_only(self) -> None:
        for nonsense in (b"\0\0\0\x0a" + bytes(10), b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x0c\0\0\0\x01\0\0\0\0\0\0\0\0"):
            control = FakeControl(str(self.directory / "queue.sock"))
            said = [nonsense]
            control.overrides[17] = lambda peer, head, frame, said=said, control=control: (
                said.pop() if said else control.answer(head, {"error_code": 0, "mechanisms": ["PLAIN"]})
            )
            self.control, self.story = control, []
            self.link = self.make_link()
            async with control:
                task = asyncio.create_task(self.link.run())
                await self.until(lambda: any(told[0] == "registered" for told in self.story))
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                self.link.close()

    async def test_a_run_is_over_when_the_disk_is_left_alone(self) -> None:
        """Who cancelled it closes the store next."""
        store, go, written = self.store, threading.Event(), threading.Event()

        class Slow:
            def store(self, image: Image, update: Update) -> Image:
                go.wait(10)
                try:
                    return store.store(image, update)
                finally:
                    written.set()

        self.link = ControlLink(self.control.address, "secret", REGISTRATION, Image(), Slow(), self.hooks())
        async with self.control:
            task = asyncio.create_task(self.link.run())
            await self.until(lambda: any(told[0] == "registered" for told in self.story))
            await self.until(lambda: self.link._writing is not None and not self.link._writing.done())
            task.cancel()
            self.loop.call_later(0.05, go.set)
            await asyncio.gather(task, return_exceptions=True)
            self.assertTrue(written.is_set())
            self.link.close()

    async def test_a_failing_disk_is_not_acted_on(self) -> None:
        class Broken:
            faults = 2

            def store(self, image: Image, update: Update) -> Image:
                self.faults -= 1
                if self.faults >= 0:
                    raise OSError("no space")
                return store.store(image, update)

        store, self.store = self.store, Broken()  # type: ignore[assignment]
        self.store.load = store.load  # type: ignore[method-assign]
        self.store.close = store.close  # type: ignore[method-assign]
        self.link = self.make_link()
        async with self.control:
            self.start()
            await self.until(lambda: ("applied", 1) in self.story)
            self.assertEqual(self.story.count("lost"), 2)
            self.assertEqual(self.control.polls[:3], [Position(0, 0)] * 3)

    async def test_to_a_control_that_does_not_lead_the_own_copy_is_offered(self) -> None:
        offered: list[Offer] = []

        def refuse(peer: Any, head: Any, frame: memoryview) -> bytes:
            return self.control.answer(head, {"error_code": int(ErrorCode.NOT_CONTROLLER), "broker_epoch": -1})

        def take(peer: Any, head: Any, frame: memoryview) -> None:
            offered.append(read_offer(frame, head.at))
            self.control.overrides.clear()
            self.loop.call_soon(peer.transport.abort)  # control leads again: register

        async with self.control:
            self.start()
            await self.until(lambda: ("applied", 1) in self.story)
            self.control.overrides = {62: refuse, 10_001: take}
            self.control.hang_up()
            await self.until(lambda: self.story.count(("registered", 1)) == 2)
        known = self.store.load()
        self.assertEqual(offered, [Offer(Position(1, 1), known.records(), 1, "1" * 32, "d" * 32)])

    async def test_a_server_that_knows_nothing_has_nothing_to_offer(self) -> None:
        asked: list[int] = []

        def refuse(peer: Any, head: Any, frame: memoryview) -> bytes:
            asked.append(head.api_key)
            return self.control.answer(head, {"error_code": int(ErrorCode.NOT_CONTROLLER), "broker_epoch": -1})

        self.control.overrides = {62: refuse, 10_001: lambda peer, head, frame: asked.append(head.api_key)}
        async with self.control:
            self.start()
            await self.until(lambda: len(asked) == 2)
        self.assertEqual(asked, [62, 62])

    async def test_a_controlled_stop(self) -> None:
        async with self.control:
            self.start()
            await self.until(lambda: bool(self.control.beats))
            self.assertTrue(await self.link.leave(5.0))
            self.assertTrue(self.control.beats[-1].want_shut_down)

    async def test_a_stop_without_control(self) -> None:
        self.assertFalse(await self.link.leave(0.01))
