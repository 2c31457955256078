"""Two servers in one loop, over real sockets: one follows the other, and takes over."""

import asyncio
import unittest
from contextlib import suppress
from typing import Any, cast
from unittest.mock import patch

from server.aio.kafka import LOGIN_MS
from server.aio.queue import Queue, clock
from server.aio.replica_fetcher import ReplicaFetchers
from server.disk.memory import MemoryDisk, honest
from server.following import Following
from server.login import ClusterLogin
from server.now import Now
from server.partition import Partition, Role
from server.storage import StorageError
from server.truncation import truncate
from tests.support.broker_world import TOPIC_ID, batch
from wire import messages
from wire.batches import read_header
from wire.cluster import Image, Record
from wire.cluster_login import authenticate_request, handshake_request
from wire.errors import ErrorCode
from wire.versions import ALTER_PARTITION

SECRET = "5" * 64
HOST = "127.0.0.1"


class Control:
    """Says yes to every ISR, and tells all servers."""

    def __init__(self) -> None:
        self.queues: list[Queue] = []
        self.image = Image()
        self.state: dict[str, Any] = {
            "replicas": [1, 2],
            "isr": [1],
            "leader": 1,
            "leader_epoch": 0,
            "partition_epoch": 0,
        }

    def change(self, *records: Record, **state: Any) -> None:
        self.state |= state
        self.state["partition_epoch"] += 1
        partition = {"type": "partition", "topic": TOPIC_ID, "partition": 0, **self.state}
        self.image = self.image.with_records([*records, partition], 1, self.image.version + 1)
        for queue in self.queues:
            queue.apply(self.image)

    def ask(self, api_key: int, version: int, body: bytes, timeout_s: float, done: Any) -> None:
        if api_key == ALTER_PARTITION:
            (topic,) = messages.decode(api_key, version, body).topics
            self.change(isr=[one.broker_id for one in topic.partitions[0].new_isr_with_epochs])
        done(ErrorCode.NOT_CONTROLLER)


class TestReplication(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.control = Control()
        self.fetchers: list[ReplicaFetchers] = []
        records: list[Record] = [{"type": "topic", "name": "t", "id": TOPIC_ID, "configs": {}}]
        for node in (1, 2):
            queue = Queue(node, "cluster", MemoryDisk(), self.control)
            port = await queue.listen("INTERNAL", HOST, 0, lambda: ClusterLogin(SECRET))
            self.control.queues.append(queue)
            self.fetchers.append(ReplicaFetchers(queue, SECRET))
            broker = {"type": "broker", "node_id": node, "incarnation": "1", "directory": "1", "epoch": node + 5}
            records.append({**broker, "fenced": False, "listeners": {"INTERNAL": [HOST, port]}})
        self.control.change(*records)
        for queue in self.control.queues:
            opened = asyncio.Event()
            queue.when_opened(opened.set)
            await opened.wait()

    async def asyncTearDown(self) -> None:
        for fetcher in self.fetchers:
            fetcher.stop()
        for queue in self.control.queues:
            await queue.stop()

    def partition(self, node: int) -> Partition:
        found = self.control.queues[node - 1].broker.find("t", 0)
        assert found is not None
        return found

    async def until(self, holds: Any) -> None:
        async with asyncio.timeout(10):
            while not holds():
                await asyncio.sleep(0.005)

    async def write(self, node: int, value: bytes) -> ErrorCode:
        partition, told = self.partition(node), asyncio.get_running_loop().create_future()
        records = batch(value)
        stored = partition.append(records, read_header(records), clock())
        partition.wait(stored.last_offset, clock().steady_ms + 5_000, lambda code, _: told.set_result(code))
        partition.appended(clock())
        return await told

    async def test_follows_joins_the_isr_and_takes_over(self) -> None:
        await self.until(lambda: self.partition(1).isr == (1, 2))
        for at in range(20):
            self.assertEqual(await self.write(1, b"%d" % at), ErrorCode.NONE)
        first, second = self.partition(1), self.partition(2)
        assert first.log is not None and second.log is not None
        self.assertEqual(second.log.end_offset, 20, "acknowledged means: on the follower too")
        self.assertEqual(second.log.synced_end, 20)
        self.control.change(leader=2, leader_epoch=1)
        await self.until(lambda: second.high_watermark == 20)
        self.assertIs(first.role, Role.FOLLOWER)
        self.assertEqual(await self.write(2, b"new"), ErrorCode.NONE)
        self.assertEqual(first.log.read(0, 1 << 20), second.log.read(0, 1 << 20))

    async def test_what_was_never_committed_is_cut(self) -> None:
        await self.until(lambda: self.partition(1).isr == (1, 2))
        self.assertEqual(await self.write(1, b"kept"), ErrorCode.NONE)
        self.control.change(leader=2, leader_epoch=1)
        first, second = self.partition(1), self.partition(2)
        assert first.log is not None and second.log is not None
        await self.until(lambda: second.high_watermark == 1)
        self.fetchers[0].stop()  # the first loses touch, with a batch of its own that nobody else has
        lost = batch(b"lost")
        first.log.append(lost, read_header(lost), 0)
        self.assertEqual(first.log.end_offset, 2)
        self.control.change(isr=[2])
        self.assertEqual(await self.write(2, b"instead"), ErrorCode.NONE)
        await asyncio.sleep(0)
        self.fetchers[0].update()
        await self.until(lambda: first.log.read(0, 1 << 20) == second.log.read(0, 1 << 20))

    async def test_after_an_unclean_election_nothing_is_acknowledged_that_only_one_has(self) -> None:
        """HW goes back with the log: the follower's old one would cover what it appends as the next leader."""
        await self.until(lambda: self.partition(1).isr == (1, 2))
        for at in range(5):
            self.assertEqual(await self.write(1, b"%d" % at), ErrorCode.NONE)
        first, second = self.partition(1), self.partition(2)
        assert first.log is not None and second.log is not None
        self.fetchers[1].stop()
        await self.until(lambda: not self.fetchers[1]._tasks)
        truncate(second.log, 2)  # its disk has lost the rest
        second.high_watermark = 2
        self.control.change(leader=2, leader_epoch=1, isr=[2])
        await self.until(lambda: first.log is not None and first.log.end_offset == 2)
        self.assertEqual(first.high_watermark, 2)

    async def test_a_follower_whose_disk_is_full_asks_again_after_a_pause(self) -> None:
        await self.until(lambda: self.partition(1).isr == (1, 2))

        def full(operation: str, name: str) -> bool:
            if operation == "append" and name.endswith(".log"):
                raise StorageError("No space left on device")
            return False

        disk = cast("MemoryDisk", self.control.queues[1]._disk)
        disk.hook = full
        asked = 0
        original = Following.request

        def request(following: Following, *more: Any) -> bytes:
            nonlocal asked
            asked += 1
            return original(following, *more)

        with patch.object(Following, "request", request):
            writing = asyncio.create_task(self.write(1, b"x"))
            await asyncio.sleep(0.5)
        self.assertLess(asked, 10)
        disk.hook = honest
        self.assertEqual(await writing, ErrorCode.NONE)

    async def test_a_fault_of_ours_is_not_the_end_of_it(self) -> None:
        await self.until(lambda: self.partition(1).isr == (1, 2))
        fails = patch.object(Following, "answered", side_effect=KeyError("a fault"))
        with fails, self.assertLogs("carousel.replication") as logs:
            writing = asyncio.create_task(self.write(1, b"x"))
            await self.until(lambda: "following failed" in str(logs.output))
        self.assertEqual(await writing, ErrorCode.NONE)

    async def test_strangers_have_to_go_and_clients_take_no_servers_place(self) -> None:
        listener = self.control.queues[0].listeners["INTERNAL"]
        real, late_ms = listener.clock, 0
        listener.clock = lambda: Now(real().steady_ms + late_ms, real().wall_ms)
        await self.until(lambda: self.partition(1).isr == (1, 2))
        reader, writer = await asyncio.open_connection(HOST, self.control.image.brokers[1].listeners["INTERNAL"][1])
        await self.until(lambda: len(listener.connections) == 2)
        listener.sweep()
        self.assertEqual(len(listener.connections), 2)
        late_ms = LOGIN_MS + 1_000
        listener.sweep()
        with suppress(ConnectionResetError):
            self.assertEqual(await asyncio.wait_for(reader.read(), 5), b"")
        self.assertEqual(len(listener.connections), 1, "who has logged in stays")
        self.assertIsNot(listener.budget, self.control.queues[0]._budget)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def test_a_wrong_secret_gets_nothing(self) -> None:
        reader, writer = await asyncio.open_connection(HOST, self.control.image.brokers[1].listeners["INTERNAL"][1])

        writer.write(handshake_request(1, None) + authenticate_request(2, None, 2, "wrong"))
        size = int.from_bytes(await reader.readexactly(4), "big")
        await reader.readexactly(size)
        self.assertEqual(await reader.read(), b"")
        writer.close()
        await writer.wait_closed()


if __name__ == "__main__":
    unittest.main()
