import json
import os
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from support.certificates import needs_openssl, write_pair

from loadbalancer.cli.up import settle
from loadbalancer.settings import BadSetting
from loadbalancer.spawn.supervise import ready_line


class Settling(unittest.TestCase):
    def setUp(self) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CAROUSEL_")}
        patched = mock.patch.dict(os.environ, clean, clear=True)
        patched.start()
        self.addCleanup(patched.stop)
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.flags = {"state_dir": str(self.directory / "var")}

    def test_ports_are_those_that_are_wanted(self) -> None:
        self.assertEqual(settle(self.flags).ports, {"main": 5000, "second": 5001})
        self.assertEqual(settle({**self.flags, "admin_port": "0"}).ports, {"main": 5000, "second": 5001, "admin": 0})

    def test_a_queue_port_is_needed_only_if_asked_for(self) -> None:
        startup = settle(self.flags)
        self.assertEqual(startup.optional_ports, {"queue": 9092})
        asked = settle({**self.flags, "queue_port": "9092", "queue_server_ports": "2"})
        self.assertEqual((asked.ports["queue"], asked.ports["queue-1"]), (9092, 9094))
        self.assertEqual(asked.optional_ports, {})

    def test_no_queue_port_without_a_queue(self) -> None:
        for without in ({"queue_port": "0"}, {"server_command": "serve"}, {"runtime": "fake"},
                        {"runtime": "static", "backends": "a:1"}):  # fmt: skip
            with self.subTest(without):
                startup = settle({**self.flags, **without})
                self.assertEqual((startup.ports, startup.optional_ports), ({"main": 5000, "second": 5001}, {}))
        with self.assertRaisesRegex(BadSetting, "leaves no room"):
            settle({**self.flags, "queue_port": "65535", "queue_server_ports": "1"})

    def test_servers_in_containers_that_can_not_ask_control(self) -> None:
        def said(**flags: str) -> str:
            return " ".join(settle({**self.flags, "runtime": "docker", "cluster_id": "c", **flags}).warnings)

        self.assertIn("--bind 127.0.0.1 is out of the containers' reach: a producer", said())
        self.assertEqual(said(queue="false"), "")
        beyond = {"bind": "0.0.0.0", "admin_token": "x" * 32}
        self.assertEqual(said(**beyond), "")
        self.assertIn("without --admin-port shuts the servers out", said(**beyond, accept_proxy_protocol="true"))
        self.assertEqual(said(**beyond, accept_proxy_protocol="true", admin_port="5002"), "")

    def test_another_cluster_is_the_queue(self) -> None:
        startup = settle({**self.flags, "queue_bootstrap": "k1:9092,k2:9092", "queue_port": "9092"})
        self.assertEqual((startup.ports, startup.optional_ports), ({"main": 5000, "second": 5001}, {}))
        plan = startup.plan()
        self.assertEqual(plan.queue, "k1:9092,k2:9092")
        line = ready_line(plan, {"main": 5000}, "", 3)
        self.assertRegex(
            line, r"^Carousel is ready: http://127.0.0.1:5000, queue k1:9092,k2:9092, 3 replicas, pid \d+$"
        )
        self.assertTrue(json.loads(startup.files["settings.json"])["queue_http"])
        self.assertTrue(json.loads(startup.files["door.json"])["queue_http"])

    @needs_openssl
    def test_a_certificate_opens_a_port(self) -> None:
        pair = write_pair(self.directory)
        tls = {**self.flags, "tls_cert": str(pair.cert), "tls_key": str(pair.key)}
        self.assertEqual(settle(tls).ports["tls"], 5443)
        pair.key.unlink()
        with self.assertRaisesRegex(BadSetting, "^--tls-key: No such file"):
            settle(tls)

    def test_an_access_log_must_be_possible(self) -> None:
        settle({**self.flags, "access_log": str(self.directory / "log")})
        settle({**self.flags, "access_log": "-"})
        with self.assertRaisesRegex(BadSetting, "^--access-log: Is a directory"):
            settle({**self.flags, "access_log": str(self.directory)})
