"""Binding: what is free is shared among our slots, what is taken is said, and nothing is left open."""

import contextlib
import socket
import tempfile
import unittest
from pathlib import Path

from loadbalancer.spawn import listeners
from loadbalancer.spawn.listeners import BindError, bind_ports


class TestPorts(unittest.TestCase):
    def bind(self, ports: dict[str, int], slots: int = 2, host: str = "127.0.0.1") -> list[dict[str, socket.socket]]:
        bound = bind_ports(host, ports, slots)
        for slot in bound:
            for sock in slot.values():
                self.addCleanup(sock.close)
        return bound

    def test_zero_is_chosen_once_for_all_slots(self) -> None:
        slots = self.bind({"main": 0, "second": 0}, slots=3)
        for name in ("main", "second"):
            self.assertEqual(1, len({slot[name].getsockname() for slot in slots}))
        self.assertNotEqual(slots[0]["main"].getsockname(), slots[0]["second"].getsockname())
        self.assertEqual(["main", "second"], [name for name, _ in listeners.names_and_fds(slots[2])])

    def test_every_slot_has_a_queue_of_its_own(self) -> None:
        slots = self.bind({"main": 0}, slots=2)
        with contextlib.ExitStack() as clients:
            for _ in range(64):
                clients.enter_context(socket.create_connection(slots[0]["main"].getsockname()))
            waiting = [self.accept_all(slot["main"]) for slot in slots]
        self.assertEqual(64, sum(waiting))
        self.assertTrue(all(waiting), waiting)

    def accept_all(self, sock: socket.socket) -> int:
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                sock.accept()[0].close()
                count += 1
        return count

    def test_a_port_of_anybody_else_is_in_use(self) -> None:
        for host, reuse in (("127.0.0.1", False), ("127.0.0.1", True), ("0.0.0.0", False)):
            with self.subTest(host=host, reuse=reuse), socket.create_server((host, 0), reuse_port=reuse) as taken:
                port = taken.getsockname()[1]
                with self.assertRaisesRegex(BindError, f"^port {port} is in use$"):
                    self.bind({"main": port})

    def test_our_own_port_is_in_use_for_the_next_one(self) -> None:
        port = self.bind({"main": 0})[0]["main"].getsockname()[1]
        with self.assertRaisesRegex(BindError, "in use"):
            self.bind({"main": port})
        with self.assertRaises(OSError), socket.socket() as hider:
            hider.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            hider.bind(("127.0.0.1", port))

    def test_a_failure_leaves_nothing_open(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            before = sorted(Path("/proc/self/fd").iterdir())
            with self.assertRaises(BindError):
                bind_ports("127.0.0.1", {"main": 0, "second": taken.getsockname()[1]}, 2)
            self.assertEqual(before, sorted(Path("/proc/self/fd").iterdir()))

    def test_addresses_that_are_not_ours(self) -> None:
        with self.assertRaisesRegex(BindError, "port 0 of 203.0.113.1 can't be bound: no interface"):
            self.bind({"main": 0}, host="203.0.113.1")
        with self.assertRaisesRegex(BindError, "can't be bound"):
            self.bind({"main": 0}, host="256.1.1.1")

    @unittest.skipUnless(socket.has_ipv6 and Path("/proc/net/if_inet6").exists(), "no IPv6 here")
    def test_ipv6(self) -> None:
        (slot,) = self.bind({"main": 0}, slots=1, host="::1")
        self.assertEqual(socket.AF_INET6, slot["main"].family)


class TestOthers(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.path = f"{folder.name}/a.sock"

    def test_a_unix_socket_is_private_and_replaces_a_dead_ones(self) -> None:
        for _ in range(2):
            with listeners.listen_unix(self.path, 8), socket.socket(socket.AF_UNIX) as client:
                self.assertEqual(0o600, Path(self.path).stat().st_mode & 0o777)
                client.connect(self.path)

    def test_a_path_that_can_not_be(self) -> None:
        for path in ("/no/such/dir/a.sock", "/tmp/" + "x" * 200):
            with self.subTest(path), self.assertRaises(BindError):
                listeners.listen_unix(path, 8)

    def test_a_loopback_socket_refuses_until_it_listens(self) -> None:
        with listeners.bind_loopback() as sock:
            with self.assertRaises(ConnectionRefusedError):
                socket.create_connection(sock.getsockname())
            sock.listen()
            socket.create_connection(sock.getsockname()).close()

    def test_a_free_port_can_be_bound(self) -> None:
        socket.create_server(("127.0.0.1", listeners.free_port())).close()


if __name__ == "__main__":
    unittest.main()
