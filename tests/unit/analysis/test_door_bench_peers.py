import os
import re
import unittest
from unittest import mock

from analysis.door_bench.peers import HERE, PACKAGES, filled, lacking, program_path
from analysis.door_bench.pinning import cores, pinned


class FilledTest(unittest.TestCase):
    def test_every_name_is_filled_in(self) -> None:
        ports = {f"BACKEND_{number}": 7000 + number for number in (1, 2, 3)}
        values = {"PORT": 80, "SECOND_PORT": 81, "WORKERS": 1, "USER": "u", "GROUP": "g", "KIB": "x", "FILES": "/f"}
        for template in ("nginx.conf", "haproxy.cfg", "backends.conf"):
            with self.subTest(template):
                text = filled(template, **values, **ports)
                self.assertEqual(re.findall(r"@\w+@", text), [])
                for port in ports.values():
                    self.assertIn(f"127.0.0.1:{port}", text)

    def test_the_peers_keep_the_same_limits(self) -> None:
        nginx, haproxy = (HERE / "nginx.conf").read_text(), (HERE / "haproxy.cfg").read_text()
        for name in ("X-Request-Id", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "Via"):
            self.assertIn(f"proxy_set_header {name} ", nginx)
            self.assertIn(f"set-header {name} ", haproxy)


class LackingTest(unittest.TestCase):
    def test_packages_are_named(self) -> None:
        with mock.patch("analysis.door_bench.peers.program_path", lambda program: None):
            self.assertIn("apt-get install nginx-light haproxy wrk", lacking(*PACKAGES))
            self.assertTrue(lacking("nginx", "wrk").endswith("nginx-light wrk"))

    def test_a_second_core_is_needed(self) -> None:
        with mock.patch("analysis.door_bench.peers.program_path", lambda program: "/bin/true"):
            with mock.patch("os.sched_getaffinity", lambda pid: {0, 1}):
                self.assertEqual(lacking(*PACKAGES), "")
            with mock.patch("os.sched_getaffinity", lambda pid: {1}):
                self.assertIn("second core", lacking(*PACKAGES))

    def test_a_program_that_nobody_has(self) -> None:
        self.assertIsNone(program_path("carousel-has-no-such-program"))


class PinningTest(unittest.TestCase):
    def test_the_caller_is_free_again(self) -> None:
        before = os.sched_getaffinity(0)
        with self.assertRaises(KeyError), pinned({min(before)}):
            self.assertEqual(os.sched_getaffinity(0), {min(before)})
            with self.assertRaises(ValueError):
                cores()  # there is none left for the front
            raise KeyError
        self.assertEqual(os.sched_getaffinity(0), before)
