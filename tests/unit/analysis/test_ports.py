import socket
import unittest
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

from analysis import ports


class PortsTest(unittest.TestCase):
    def test_they_differ_and_are_free(self) -> None:
        found = ports.free_ports(20)
        self.assertEqual(len(set(found)), 20)
        with ExitStack() as stack:
            for port in found:
                stack.enter_context(socket.create_server(("127.0.0.1", port)))

    def test_the_kernel_gives_them_to_nobody_else(self) -> None:
        low, _ = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
        if int(low) < ports.GIVEN.stop:
            self.skipTest(f"here it gives ports from {low} on")
        self.assertTrue(set(ports.free_ports(5)) <= set(ports.GIVEN))

    def test_one_in_use_is_passed_over(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            used = taken.getsockname()[1]
            with mock.patch("random.sample", return_value=[used]), self.assertRaises(OSError):
                ports.free_ports(1)

    def test_a_range_without_a_port_in_use(self) -> None:
        (first,) = ports.free_ports(1)
        with (
            socket.create_server(("127.0.0.1", first + 2)),
            mock.patch("random.sample", return_value=[first]),
            self.assertRaises(OSError),
        ):
            ports.free_range(4)
        begin = ports.free_range(17)
        with ExitStack() as stack:
            for port in range(begin, begin + 17):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))


if __name__ == "__main__":
    unittest.main()
