"""The listener over real sockets: order, stalled clients, malformed bytes, an end in order."""

import asyncio
import tempfile
import unittest
from contextlib import suppress
from pathlib import Path
from typing import Any

from server.aio.kafka import UNSENT_BYTES
from server.aio.queue import clock
from tests.support.broker_world import batch
from tests.support.one_broker import start
from wire import messages
from wire.batches import read_header, walk
from wire.frames import request_frame
from wire.records import records_of

MIB = 1 << 20


def produce_frame(number: int, records: bytes, acks: int = -1) -> bytes:
    topics = [{"name": "t", "partition_data": [{"index": 0, "records": records}]}]
    values = {"acks": acks, "timeout": 5_000, "topic_data": topics, "transactional_id": None}
    return request_frame(0, 9, number, "test", messages.encode(messages.build(0, 9, values, "request")))


def fetch_frame(number: int, max_wait: int = 0, offset: int = 0) -> bytes:
    part = {"partition": 0, "fetch_offset": offset, "partition_max_bytes": 50 * MIB, "current_leader_epoch": -1}
    part |= {"last_fetched_epoch": -1, "log_start_offset": -1}
    values = {"replica_id": -1, "max_wait": max_wait, "min_bytes": 1, "max_bytes": 50 * MIB, "isolation_level": 0}
    values |= {"session_id": 0, "session_epoch": -1, "forgotten_topics_data": [], "rack_id": ""}
    values |= {"topics": [{"topic": "t", "partitions": [part]}]}
    return request_frame(1, 12, number, "test", messages.encode(messages.build(1, 12, values, "request")))


class TestListener(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.directory = tempfile.TemporaryDirectory(dir="/tmp")
        more = {"t": (1, {"max.message.bytes": str(4 * MIB)})}
        self.queue, _, self.port = await start(Path(self.directory.name), 0, more)
        self.writers: list[asyncio.StreamWriter] = []

    async def asyncTearDown(self) -> None:
        for writer in self.writers:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()
        await self.queue.stop()
        self.directory.cleanup()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        return reader, writer

    async def answer(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        """(correlation id, the rest)."""
        async with asyncio.timeout(10):
            size = int.from_bytes(await reader.readexactly(4), "big")
            frame = await reader.readexactly(size)
        return int.from_bytes(frame[:4], "big"), frame[4:]

    async def test_answers_come_in_the_order_of_the_requests(self) -> None:
        reader, writer = await self.connect()
        _, other = await self.connect()
        writer.write(fetch_frame(1, max_wait=30_000) + produce_frame(2, b"") + fetch_frame(3))
        await asyncio.sleep(0.05)
        other.write(produce_frame(1, bytes(batch(b"x"))))
        self.assertEqual([(await self.answer(reader))[0] for _ in range(3)], [1, 2, 3])

    async def test_requests_and_their_times_are_counted(self) -> None:
        reader, writer = await self.connect()
        _, other = await self.connect()
        writer.write(produce_frame(0, bytes(batch(b"x")), acks=0) + fetch_frame(1, max_wait=30_000, offset=1))
        await asyncio.sleep(0.05)
        other.write(produce_frame(2, bytes(batch(b"y"))))
        await self.answer(reader)
        text = self.queue.metrics_text()
        for line in (
            'kafka_network_requestmetrics_requests_total{request="Produce"} 2',
            'kafka_network_requestmetrics_totaltimems_count{request="Produce"} 1',  # acks=0 has no answer
            'kafka_network_requestmetrics_totaltimems_count{request="FetchConsumer"} 1',
            'kafka_network_requestmetrics_totaltimems_bucket{request="FetchConsumer",le="25"} 0',  # it waited
        ):
            self.assertIn(line + "\n", text)

    async def test_one_byte_at_a_time(self) -> None:
        reader, writer = await self.connect()
        for byte in produce_frame(7, bytes(batch(b"x"))):
            writer.write(bytes([byte]))
            await writer.drain()
        self.assertEqual((await self.answer(reader))[0], 7)

    async def test_malformed_bytes_close_behind_the_answers_due(self) -> None:
        reader, writer = await self.connect()
        writer.write(produce_frame(1, bytes(batch(b"x"))) + b"\x7f\xff\xff\xff" + b"GET / HTTP/1.1\r\n")
        self.assertEqual((await self.answer(reader))[0], 1)
        self.assertEqual(await reader.read(), b"")

    async def test_stalled_consumers_hold_little(self) -> None:
        reader, writer = await self.connect()
        for number in range(30):
            writer.write(produce_frame(number, bytes(batch(b"x" * MIB))))
            await self.answer(reader)
        for _ in range(100):
            _, stalled = await self.connect()
            stalled.write(fetch_frame(1) + fetch_frame(2) + fetch_frame(3))
        await asyncio.sleep(0.5)
        held = sum(
            connection._transport.get_write_buffer_size()  # type: ignore[union-attr]
            for connection in self.queue.listeners["CLIENT"].connections
        )
        self.assertLess(held, 2 * UNSENT_BYTES)
        writer.write(produce_frame(99, bytes(batch(b"y"))))
        self.assertEqual((await self.answer(reader))[0], 99)

    async def test_a_stop_answers_what_is_due(self) -> None:
        reader, writer = await self.connect()
        writer.write(produce_frame(1, bytes(batch(b"x"))))
        self.assertEqual((await self.answer(reader))[0], 1)
        await self.queue.stop()
        self.assertEqual(await reader.read(), b"")
        self.queue, _, _ = await start(Path(self.directory.name), 0, {"t": (1, {})})
        partition: Any = self.queue.broker.find("t", 0)
        self.assertEqual(partition.log.end_offset, 1)


class TestHousekeeping(unittest.IsolatedAsyncioTestCase):
    async def test_a_compacted_topic_keeps_the_last_of_each_key(self) -> None:
        directory = tempfile.TemporaryDirectory(dir="/tmp")
        configs = {"cleanup.policy": "compact", "segment.bytes": "1000", "min.cleanable.dirty.ratio": "0.01"}
        queue, _, _ = await start(Path(directory.name), 0, {"t": (1, configs)})
        partition: Any = queue.broker.find("t", 0)
        for at in range(100):
            records = batch(b"v%d" % at, key=b"same")
            partition.append(records, read_header(records), clock())
        partition.appended(clock())
        before = partition.log.size_bytes
        for _ in range(2):  # the first moves the recovery point, up to which the second compacts
            queue._keep_house()
            queue._compact_next()
            await queue.synced(partition)
            while partition.log.cleaning:
                await asyncio.sleep(0.005)
        self.assertLess(partition.log.size_bytes, before / 2)
        offset, left = 0, 0
        while data := partition.log.read(offset, 1 << 20):
            for at, header in walk(data):
                left += len(list(records_of(data, at, header)))
                offset = header.next_offset
        self.assertEqual(offset, 100, "offsets stay")
        self.assertLess(left, 12)
        await queue.stop()
        directory.cleanup()


if __name__ == "__main__":
    unittest.main()
