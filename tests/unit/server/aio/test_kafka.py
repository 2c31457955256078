"""The listener over real sockets: order, stalled clients, malformed bytes, an end in order."""

import asyncio
import errno
import os
import socket
import tempfile
import unittest
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

from server.aio.kafka import IDLE_MS, TURN, Connection
from server.aio.large_answers import PROBE
from server.aio.queue import clock
from server.now import Now
from server.storage import StorageError
from tests.support.broker_world import batch
from tests.support.on_uvloop import OnUvloop
from tests.support.one_broker import start
from wire import messages
from wire.batches import read_header, walk
from wire.errors import ErrorCode
from wire.frames import request_frame
from wire.records import records_of

MIB = 1 << 20


def produce_frame(number: int, records: bytes, acks: int = -1) -> bytes:
    topics = [{"name": "t", "partition_data": [{"index": 0, "records": records}]}]
    values = {"acks": acks, "timeout": 5_000, "topic_data": topics, "transactional_id": None}
    return request_frame(0, 9, number, "test", messages.encode(messages.build(0, 9, values, "request")))


def fetch_frame(number: int, max_wait: int = 0, offset: int = 0, min_bytes: int = 1) -> bytes:
    part = {"partition": 0, "fetch_offset": offset, "partition_max_bytes": 50 * MIB, "current_leader_epoch": -1}
    part |= {"last_fetched_epoch": -1, "log_start_offset": -1}
    values = {
        "replica_id": -1,
        "max_wait": max_wait,
        "min_bytes": min_bytes,
        "max_bytes": 50 * MIB,
        "isolation_level": 0,
    }
    values |= {"session_id": 0, "session_epoch": -1, "forgotten_topics_data": [], "rack_id": ""}
    values |= {"topics": [{"topic": "t", "partitions": [part]}]}
    return request_frame(1, 12, number, "test", messages.encode(messages.build(1, 12, values, "request")))


class TestListener(OnUvloop):
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

    async def test_who_sends_much_at_once_does_not_keep_others_waiting(self) -> None:
        served: list[Connection] = []
        serve_one = Connection._serve_one

        def noted(self: Connection, frame: memoryview, now: Now, begun_s: float) -> None:
            served.append(self)
            serve_one(self, frame, now, begun_s)

        clients = [await self.connect() for _ in range(2)]
        many = 5 * TURN
        with mock.patch.object(Connection, "_serve_one", noted):
            for _, writer in clients:
                writer.write(b"".join(fetch_frame(number) for number in range(many)))
            for reader, _ in clients:
                self.assertEqual([(await self.answer(reader))[0] for _ in range(many)], list(range(many)))
        self.assertEqual(len(set(served[:many])), 2)

    async def test_what_came_before_an_end_is_answered_however_much(self) -> None:
        reader, writer = await self.connect()
        many = 5 * TURN + 1
        writer.write(b"".join(fetch_frame(number) for number in range(many)))
        writer.write_eof()
        self.assertEqual([(await self.answer(reader))[0] for _ in range(many)], list(range(many)))
        self.assertEqual(await reader.read(), b"")

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
            + (connection._large.in_memory if connection._large is not None else 0)
            for connection in self.queue.listeners["CLIENT"].connections
        )
        self.assertLess(held, 100 * 2 * PROBE)
        writer.write(produce_frame(99, bytes(batch(b"y"))))
        self.assertEqual((await self.answer(reader))[0], 99)

    async def fill(self, count: int) -> bytes:
        """Messages of a megabyte; the log's bytes."""
        reader, writer = await self.connect()
        for number in range(count):
            writer.write(produce_frame(number, bytes(batch(bytes([number]) * MIB))))
            await self.answer(reader)
        partition: Any = self.queue.broker.find("t", 0)
        return bytes(partition.log.read(partition.log.end_offset - count, 100 * MIB))

    async def test_records_that_are_left_in_their_file_arrive_whole_and_in_order(self) -> None:
        log = await self.fill(7)
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 * 1024)
        slow.connect(("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=slow)
        self.writers.append(writer)
        writer.write(fetch_frame(1) + produce_frame(2, b"") + fetch_frame(3, offset=1) + produce_frame(4, b""))
        await asyncio.sleep(0.05)
        for number, wanted in ((1, log), (2, b""), (3, log[log.index(b"\1" * 100) - 200 :]), (4, b"")):
            answered, body = await self.answer(reader)
            self.assertEqual(answered, number)
            self.assertIn(wanted[200:], body)
        self.assertEqual(self.queue.listeners["CLIENT"].budget._unsent, 0)

    async def test_who_goes_on_is_not_idle_however_slowly(self) -> None:
        await self.fill(7)
        _, writer = await self.connect()
        writer.write(fetch_frame(1))
        connections = self.queue.listeners["CLIENT"].connections
        async with asyncio.timeout(10):
            while not any(connection._large for connection in connections):
                await asyncio.sleep(0.005)
        (choked,) = (connection for connection in connections if connection._large)
        choked.close_if_idle(0)
        before = choked._untaken
        self.assertGreater(before, MIB)
        assert choked._large is not None
        choked._large._pieces.pop()
        choked.close_if_idle(IDLE_MS + 1)
        self.assertLess(choked._untaken, before)
        self.assertIn(choked, connections)

    async def test_a_file_that_can_not_be_sent_is_the_connections_end(self) -> None:
        await self.fill(2)
        for fault in (BrokenPipeError(), OSError(errno.EIO, "Input/output error")):
            reader, writer = await self.connect()
            with mock.patch("os.sendfile", side_effect=fault):
                writer.write(fetch_frame(1))
                came = b""
                with suppress(ConnectionResetError):
                    while data := await asyncio.wait_for(reader.read(MIB), 5):
                        came += data
            self.assertLess(len(came), MIB)
        reader, writer = await self.connect()
        with mock.patch("os.pread", side_effect=OSError(errno.EIO, "Input/output error")):
            writer.write(fetch_frame(3))
            _, answer = await self.answer(reader)
        self.assertIn(ErrorCode.KAFKA_STORAGE_ERROR.to_bytes(2, "big"), answer, "now it is told")

    async def test_no_other_answer_s_records_come_behind_the_half_of_one_that_failed(self) -> None:
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        slow.connect(("127.0.0.1", self.port))
        slow.setblocking(False)
        self.addCleanup(slow.close)
        log = await self.fill(7)
        slow.send(b"".join(fetch_frame(number, max_wait=30_000, min_bytes=len(log) + 1) for number in (1, 2)))
        await asyncio.sleep(0.05)
        log += await self.fill(1)
        (connection,) = (one for one in self.queue.listeners["CLIENT"].connections if one._large)
        self.assertEqual(len(connection._waiting), 1)
        came, loop = b"", asyncio.get_running_loop()
        once = mock.patch("os.sendfile", wraps=os.sendfile, side_effect=[BrokenPipeError, *[mock.DEFAULT] * 9])
        with once, suppress(ConnectionResetError):
            while data := await asyncio.wait_for(loop.sock_recv(slow, MIB), 5):
                came += data
        half = came[came.index(log[:61]) :]
        self.assertLess(len(half), len(log))
        self.assertEqual(half, log[: len(half)])

    async def test_who_was_accepted_before_a_stop_and_comes_after_it_is_sent_away(self) -> None:
        listener = self.queue.listeners["CLIENT"]
        listener.stop_accepting()
        transport = mock.Mock(**{"get_extra_info.return_value": ("127.0.0.1", 1)})
        late = Connection(listener)
        late.connection_made(transport)
        transport.abort.assert_called_once()
        late.connection_lost(None)

    async def test_large_answers_are_counted_too(self) -> None:
        await self.fill(1)
        reader, writer = await self.connect()
        writer.write(fetch_frame(1))
        await self.answer(reader)
        line = 'kafka_network_requestmetrics_totaltimems_count{request="FetchConsumer"} 1'
        self.assertIn(line + "\n", self.queue.metrics_text())

    async def test_who_is_silent_for_too_long_is_closed_but_not_who_waits_for_an_answer(self) -> None:
        listener = self.queue.listeners["CLIENT"]
        real, late_ms = listener.clock, 0
        listener.clock = lambda: Now(real().steady_ms + late_ms, real().wall_ms)
        silent, _ = await self.connect()
        waiting, writer = await self.connect()
        busy, busy_writer = await self.connect()
        writer.write(fetch_frame(1, max_wait=30_000))
        busy_writer.write(produce_frame(1, b""))
        await self.answer(busy)
        late_ms = IDLE_MS + 1_000
        busy_writer.write(produce_frame(2, b""))
        await self.answer(busy)
        listener.sweep()
        self.assertEqual(await asyncio.wait_for(silent.read(), 5), b"")
        busy_writer.write(produce_frame(3, bytes(batch(b"x"))))
        self.assertEqual((await self.answer(busy))[0], 3)
        self.assertEqual((await self.answer(waiting))[0], 1)

    async def test_who_takes_nothing_for_too_long_is_closed_although_it_waits(self) -> None:
        """Its unsent bytes would be missing in everyone else's answers for ever."""
        listener = self.queue.listeners["CLIENT"]
        real, late_ms = listener.clock, 0
        listener.clock = lambda: Now(real().steady_ms + late_ms, real().wall_ms)
        reader, writer = await self.connect()
        for number in range(12):
            writer.write(produce_frame(number, bytes(batch(b"x" * MIB))))
            await self.answer(reader)
        _, stalled = await self.connect()
        stalled.write(fetch_frame(1) + fetch_frame(2))
        async with asyncio.timeout(10):
            while not any(connection._is_choked for connection in listener.connections):
                await asyncio.sleep(0.005)
        listener.sweep()
        late_ms = IDLE_MS - 1_000
        listener.sweep()
        self.assertEqual(len(listener.connections), 2)
        late_ms = IDLE_MS + 1_000
        writer.write(produce_frame(20, b""))
        await self.answer(reader)
        listener.sweep()
        async with asyncio.timeout(10):
            while len(listener.connections) > 1:
                await asyncio.sleep(0.005)
        self.assertEqual(listener.budget._unsent, 0)

    async def test_answers_that_wait_for_an_earlier_one_are_few(self) -> None:
        reader, writer = await self.connect()
        wanted = [{"resource_type": 2, "resource_name": "t", "configuration_keys": None}]
        values = {"resources": wanted, "include_synonyms": True, "include_documentation": True}
        body = messages.encode(messages.build(32, 4, values, "request"))
        most = 100_000
        with mock.patch("server.aio.kafka.HELD_BYTES", most):
            writer.write(fetch_frame(0, max_wait=1_000))
            writer.write(b"".join(request_frame(32, 4, number, "test", body) for number in range(1, 100)))
            await asyncio.sleep(0.3)
            (connection,) = self.queue.listeners["CLIENT"].connections
            size = sum(len(asked.answer) for asked in connection._waiting if isinstance(asked.answer, bytes))
            self.assertGreater(size, most / 2)
            self.assertLess(size, 2 * most)
            self.assertEqual([(await self.answer(reader))[0] for _ in range(100)], list(range(100)))
            self.assertEqual(connection._held, 0)

    async def test_an_answer_that_fails_is_its_own_connections_end(self) -> None:
        """Not that of whoever wrote what it waited for."""
        reader, writer = await self.connect()
        other, other_writer = await self.connect()
        writer.write(fetch_frame(1, max_wait=30_000))
        await asyncio.sleep(0.05)
        fails = mock.patch("server.api.k01_fetch.Fetch.make", side_effect=KeyError("a fault"))
        with fails, self.assertLogs("carousel.kafka"):
            other_writer.write(produce_frame(1, bytes(batch(b"x"))))
            self.assertEqual((await self.answer(other))[0], 1)
            with suppress(ConnectionResetError):
                self.assertEqual(await asyncio.wait_for(reader.read(), 5), b"")

    async def test_no_more_connections_than_allowed_and_a_place_is_free_again(self) -> None:
        budget = self.queue.listeners["CLIENT"].budget
        budget.connections_left = 2
        _, first_writer = await self.connect()
        second, second_writer = await self.connect()
        second_writer.write(produce_frame(1, b""))
        await self.answer(second)
        third, _ = await self.connect()
        with suppress(ConnectionResetError):
            self.assertEqual(await asyncio.wait_for(third.read(), 5), b"")
        first_writer.close()
        await first_writer.wait_closed()
        async with asyncio.timeout(5):
            while budget.connections_left < 1:
                await asyncio.sleep(0.005)
        fourth, writer = await self.connect()
        writer.write(produce_frame(1, b""))
        self.assertEqual((await self.answer(fourth))[0], 1)

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
            queue._checkpoint()
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

    async def test_a_disk_that_is_full_is_no_end_of_it(self) -> None:
        directory = tempfile.TemporaryDirectory(dir="/tmp")
        queue, _, _ = await start(Path(directory.name), 0, {"t": (1, {})})
        partition: Any = queue.broker.find("t", 0)
        work = mock.Mock(**{"steps.side_effect": StorageError("full")})
        abandoned = asyncio.Event()
        work.abandon.side_effect = abandoned.set
        queue._compact(partition, partition.log, work)
        await asyncio.wait_for(abandoned.wait(), 10)
        self.assertIsNone(partition.log.failure)
        self.assertFalse(queue._is_compacting)
        await queue.stop()
        directory.cleanup()


if __name__ == "__main__":
    unittest.main()
