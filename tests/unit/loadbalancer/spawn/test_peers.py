"""A connection of the supervisor's: lines come whole, answers wait, and both have their limits."""

import json
import socket
import unittest

from loadbalancer.orders import LINE_BYTES
from loadbalancer.spawn.peers import BACKLOG_BYTES, Peer


class TestPeer(unittest.TestCase):
    def setUp(self) -> None:
        near, self.far = socket.socketpair()
        self.peer = Peer(near)
        self.addCleanup(self.far.close)
        self.addCleanup(self.peer.close)

    def test_lines_come_whole(self) -> None:
        self.assertEqual([], self.peer.receive())
        self.far.sendall(b"one\ntw")
        self.assertEqual([b"one"], self.peer.receive())
        self.far.sendall(b"o\n\n")
        self.assertEqual([b"two", b""], self.peer.receive())

    def test_a_long_line_is_an_error(self) -> None:
        with self.assertRaises(OSError):
            for _ in range(LINE_BYTES // 4096 + 2):
                self.far.sendall(b"x" * 4096)
                self.peer.receive()

    def test_the_end_is_an_error(self) -> None:
        self.far.close()
        with self.assertRaises(OSError):
            self.peer.receive()
        with self.assertRaises(OSError):
            self.peer.send({})

    def test_answers_wait_for_a_slow_reader(self) -> None:
        message = {"text": "x" * 100_000}
        while not self.peer.has_unsent:
            self.peer.send(message)
        self.far.settimeout(5)
        got = b""
        while self.peer.has_unsent:
            got += self.far.recv(1 << 20)
            self.peer.flush()
        self.far.setblocking(False)
        while not got.endswith(b"\n"):
            got += self.far.recv(1 << 20)
        self.assertEqual(message, json.loads(got.split(b"\n")[0]))

    def test_a_reader_that_never_reads_is_given_up(self) -> None:
        with self.assertRaises(ConnectionAbortedError):
            for _ in range(2 * BACKLOG_BYTES // 100_000 + 10):
                self.peer.send({"text": "x" * 100_000})

    def test_we_trust_ourselves(self) -> None:
        self.assertTrue(self.peer.trusted())


if __name__ == "__main__":
    unittest.main()
