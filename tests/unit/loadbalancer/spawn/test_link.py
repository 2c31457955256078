"""Control's end of the supervisor's socket, against one of a few lines."""

import asyncio
import json
import tempfile
import unittest
from pathlib import Path
from typing import Any

from loadbalancer.orders import LINE_BYTES
from loadbalancer.spawn.base import RuntimeLost
from loadbalancer.spawn.link import Link

LISTING = {"ok": True, "starts": 1, "children": []}


class TestLink(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        folder = tempfile.TemporaryDirectory(dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "s.sock")
        self.server = await asyncio.start_unix_server(self.serve, self.path)
        self.writer: asyncio.StreamWriter | None = None
        self.orders: list[dict[str, Any]] = []
        self.heard: list[Any] = []
        self.greeting: dict[str, Any] = LISTING
        self.served = asyncio.Event()
        self.link = Link(self.path, 7, lambda hello: self.heard.append("hello"), self.heard.append)

    async def asyncTearDown(self) -> None:
        await self.link.close()
        self.server.close()
        if self.writer is not None:
            self.writer.close()
            await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.writer is not None:
            self.writer.close()
        self.writer = writer
        while line := await reader.readline():
            order = json.loads(line)
            self.orders.append(order)
            self.served.set()
            if order["op"] == "hello":
                self.say({"id": order["id"], **self.greeting})
            if order["op"] == "spawn":  # it ends before anybody can have run
                self.say({"id": order["id"], "ok": True}, {"event": "exited"})
        writer.close()

    def say(self, *messages: dict[str, Any]) -> None:
        assert self.writer is not None
        self.writer.write(b"".join(json.dumps(message).encode() + b"\n" for message in messages))

    async def test_the_generation_is_on_each_order(self) -> None:
        await self.link.open()
        await self.link.call("spawn", name="x")
        self.assertEqual([("hello", 7), ("spawn", 7)], [(order["op"], order["generation"]) for order in self.orders])

    async def test_an_exit_does_not_overtake_its_start(self) -> None:
        await self.link.open()
        await self.link.call("spawn", self.heard.append)
        self.assertEqual(["hello", {"id": 1, "ok": True}, {"event": "exited"}], self.heard)

    async def test_a_cancelled_call_is_still_taken(self) -> None:
        await self.link.open()
        call = asyncio.create_task(self.link.call("spawn", self.heard.append))
        await asyncio.sleep(0)
        call.cancel()
        while len(self.heard) < 3:
            await asyncio.sleep(0)
        self.assertIn({"id": 1, "ok": True}, self.heard)

    async def test_a_refused_hello(self) -> None:
        self.greeting = {"ok": False, "error": "generation 7 is over"}
        with self.assertRaisesRegex(RuntimeLost, "generation 7 is over"):
            await self.link.open()

    async def test_nobody_there(self) -> None:
        link = Link(Path("/nowhere.sock"), 1, self.heard.append, self.heard.append)
        with self.assertRaises(RuntimeLost):
            await link.open()
        with self.assertRaises(RuntimeLost):
            await link.call("list")

    async def test_an_order_too_long_is_not_sent(self) -> None:
        await self.link.open()
        answer = await self.link.call("spawn", name="x" * LINE_BYTES)
        self.assertFalse(answer["ok"])
        self.assertEqual(1, len(self.orders))

    async def test_a_call_under_way_fails_when_the_connection_breaks_and_a_new_one_is_made(self) -> None:
        await self.link.open()
        self.served.clear()
        call = asyncio.create_task(self.link.call("list"))
        await self.served.wait()
        assert self.writer is not None
        self.writer.close()
        with self.assertRaises(RuntimeLost):
            await call
        while self.heard != ["hello", "hello"]:
            await asyncio.sleep(0.001)
        await self.link.call("spawn")


if __name__ == "__main__":
    unittest.main()
