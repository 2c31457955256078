import contextlib
import socket
import struct
import threading
import unittest
from collections.abc import Generator

from analysis.queue_drills.raw import API_VERSIONS, FETCH, connect, fetch, greet, has_answer, request, speaks
from wire.fetch_requests import read_fetch
from wire.frames import read_head


class FramesTest(unittest.TestCase):
    def test_a_request_is_framed(self) -> None:
        frame = request(API_VERSIONS, 0, b"body")
        self.assertEqual(frame, b"\x00\x00\x00\x13\x00\x12\x00\x00\x00\x00\x00\x01\x00\x05drillbody")

    def test_a_fetch_is_read_as_it_was_meant(self) -> None:
        frame = memoryview(fetch("many-3", 7, 1, 1 << 20, 500, 1))[4:]
        head = read_head(frame)
        self.assertEqual((head.api_key, head.version), (FETCH, 4))
        assert head.at is not None
        asked = read_fetch(4, frame, head.at)
        self.assertEqual((asked.max_wait_ms, asked.min_bytes, asked.max_bytes), (500, 1, 1 << 20))
        (topic,) = asked.topics
        (partition,) = topic.partitions
        self.assertEqual((topic.topic, partition.partition), ("many-3", 7))
        self.assertEqual((partition.fetch_offset, partition.max_bytes), (1, 1 << 20))


@contextlib.contextmanager
def served(answer: bytes) -> Generator[str]:
    """Somebody who reads a request and says this, once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


class GreetingTest(unittest.TestCase):
    def test_the_whole_answer_is_read(self) -> None:
        body = bytes(5000)
        with served(struct.pack(">i", len(body)) + body) as address, contextlib.closing(connect(address)) as one:
            greet(one)
            self.assertEqual(one.recv(1), b"")

    def test_what_waits_is_seen_and_left_there(self) -> None:
        one, other = socket.socketpair()
        with one, other:
            self.assertFalse(has_answer(one))
            other.sendall(b"xy")
            self.assertTrue(has_answer(one))
            self.assertEqual(one.recv(2), b"xy")
            other.close()
            with self.assertRaises(ConnectionError):
                has_answer(one)

    def test_half_an_answer_is_none(self) -> None:
        with served(struct.pack(">i", 10) + b"half") as address:
            self.assertFalse(speaks(address))

    def test_an_answer(self) -> None:
        with served(struct.pack(">i", 4) + b"this") as address:
            self.assertTrue(speaks(address))

    def test_nobody(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = f"127.0.0.1:{listener.getsockname()[1]}"
        self.assertFalse(speaks(address))
