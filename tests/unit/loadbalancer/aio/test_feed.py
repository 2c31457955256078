import asyncio
import json
import shutil
import tempfile
import unittest
from pathlib import Path
from typing import Any

from loadbalancer.aio.door import Door
from loadbalancer.aio.feed import Feed
from loadbalancer.aio.limits import Limits
from loadbalancer.door_settings import DoorSettings
from loadbalancer.snapshot import Epoch, Member, Snapshot


def snapshot(version: int, **changes: Any) -> Snapshot:
    values: dict[str, Any] = {"node_id": 1, "index": 1, "name": "S1", "host": "127.0.0.1", "port": 9}
    return Snapshot(Epoch(1, version), (Member(**(values | changes)),))


class Feeding(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        names = ("control_socket", "loop_socket", "feed_socket", "snapshot_path")
        paths: dict[str, Any] = {name: str(self.directory / name) for name in names}
        self.settings = DoorSettings("test", **paths)
        self.sessions: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()

    def feed(self, slot: int = 0) -> Feed:
        self.door = Door(self.settings, slot, Limits(10, 10, 10))
        return Feed(self.door)

    async def control(self) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.addCleanup(writer.close)
            await self.sessions.put((reader, writer))

        server = await asyncio.start_unix_server(serve, self.settings.feed_socket)
        self.addCleanup(server.close)

    def run_feed(self, feed: Feed) -> None:
        task = asyncio.get_running_loop().create_task(feed.run())

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self.addAsyncCleanup(end)

    async def hear(self, reader: asyncio.StreamReader, kind: str) -> dict[str, Any]:
        while True:
            message = json.loads(await reader.readline())
            if message["type"] == kind:
                return message

    def tell(self, writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
        writer.write(json.dumps(message).encode() + b"\n")

    async def test_hello_snapshot_applied_and_counters(self) -> None:
        await self.control()
        self.run_feed(self.feed(slot=3))
        reader, writer = await self.sessions.get()
        hello = json.loads(await reader.readline())
        self.assertEqual((hello["type"], hello["slot"], hello["epoch"]), ("hello", 3, [0, 0]))
        self.assertEqual((await self.hear(reader, "counters"))["retries"], 0)
        self.tell(writer, {"type": "unheard of"})
        self.tell(writer, {"type": "snapshot", **snapshot(1).to_json()})
        self.assertEqual((await self.hear(reader, "applied"))["epoch"], [1, 1])
        self.assertEqual(self.door.replicas.epoch, (1, 1))
        self.assertFalse(Path(self.settings.snapshot_path).exists())  # slot 0 keeps it

    async def test_a_leaver_with_nothing_under_way_is_said_at_once(self) -> None:
        await self.control()
        self.run_feed(self.feed())
        reader, writer = await self.sessions.get()
        self.tell(writer, {"type": "snapshot", **snapshot(4, routable=False, draining=True).to_json()})
        drained = await self.hear(reader, "drained")
        self.assertEqual((drained["name"], drained["node_id"], drained["epoch"]), ("S1", 1, [1, 4]))

    async def test_it_comes_back_with_what_it_holds(self) -> None:
        await self.control()
        feed = self.feed()
        self.run_feed(feed)
        reader, writer = await self.sessions.get()
        feed.hear({"type": "snapshot", **snapshot(2).to_json()})
        writer.close()
        reader, writer = await self.sessions.get()
        self.assertEqual((await self.hear(reader, "hello"))["epoch"], [1, 2])

    async def test_nonsense_ends_the_session_not_the_feed(self) -> None:
        await self.control()
        self.run_feed(self.feed())
        for nonsense in (b"{\n", b"[]\n", b'{"type": "snapshot"}\n', b"\xff\n"):
            _, writer = await self.sessions.get()
            writer.write(nonsense)

    async def test_the_kept_snapshot_is_read_at_start(self) -> None:
        feed = self.feed()
        feed.hear({"type": "snapshot", **snapshot(7).to_json()})
        again = self.feed(slot=1)
        again.load()
        self.assertEqual(self.door.replicas.snapshot, snapshot(7))

    async def test_a_damaged_or_missing_file_is_let_pass(self) -> None:
        self.feed().load()
        path = Path(self.settings.snapshot_path)
        for text in ("", "{", "[]", '{"epoch": [1], "members": []}', '{"epoch": [1, 2], "members": [{"a": 1}]}'):
            path.write_text(text)
            self.feed().load()
            self.assertEqual(self.door.replicas.epoch, (0, 0))
