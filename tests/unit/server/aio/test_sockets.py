"""`server.aio.sockets`: systemd's convention, read exactly, and a socket of one's own."""

import unittest

from server.aio.sockets import http_socket, inherited_fds


class Inherited(unittest.TestCase):
    def test_names_and_numbers(self) -> None:
        environ = {"LISTEN_PID": "42", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "kafka:http"}
        self.assertEqual(inherited_fds(environ, 42), {"kafka": 3, "http": 4, "fd5": 5})
        del environ["LISTEN_FDNAMES"]
        self.assertEqual(list(inherited_fds(environ, 42).values()), [3, 4, 5])

    def test_what_is_meant_for_another_process_is_left_alone(self) -> None:
        for environ in (
            {"LISTEN_PID": "41", "LISTEN_FDS": "1"},
            {"LISTEN_FDS": "1"},
            {"LISTEN_PID": "42"},
            {"LISTEN_PID": "42", "LISTEN_FDS": "x"},
        ):
            self.assertEqual(inherited_fds(environ, 42), {})


class Own(unittest.TestCase):
    def test_a_port_is_taken_once(self) -> None:
        with http_socket({}, 1, "127.0.0.1", 0) as one:
            host, port = one.getsockname()
            self.assertEqual(host, "127.0.0.1")
            with self.assertRaises(OSError):
                http_socket({}, 1, host, port)
