import os
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from loadbalancer.door_settings import DoorSettings
from loadbalancer.settings import BadSetting, Paths, Settings, cluster_id, door_settings, load_settings


class SettingsTest(unittest.TestCase):
    def setUp(self) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("CAROUSEL_", "QUEUE_"))}
        patched = mock.patch.dict(os.environ, clean, clear=True)
        patched.start()
        self.addCleanup(patched.stop)
        directory = tempfile.TemporaryDirectory(dir="/tmp")
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        before = Path.cwd()
        os.chdir(self.directory)  # .env is read from where one stands
        self.addCleanup(os.chdir, before)

    def test_flag_beats_variable_beats_dotenv_beats_default(self) -> None:
        self.assertEqual(load_settings().port, 5000)
        (self.directory / ".env").write_text("CAROUSEL_PORT=6000\n")
        self.assertEqual(load_settings().port, 6000)
        os.environ["CAROUSEL_PORT"] = "7000"
        self.assertEqual(load_settings().port, 7000)
        self.assertEqual(load_settings(port="8000").port, 8000)

    def test_three_variables_work_bare_too(self) -> None:
        os.environ |= {"RING_HASH": "alt", "RING_PROBE": "quadratic", "HOME_FORMAT": "[{id}]"}
        settings = load_settings()
        self.assertEqual(
            (settings.ring_hash, settings.ring_probe, settings.home_format), ("alt", "quadratic", "[{id}]")
        )
        os.environ["CAROUSEL_RING_HASH"] = "spec"
        self.assertEqual(load_settings().ring_hash, "spec")
        self.assertEqual(load_settings(ring_hash="linear").ring_hash, "linear")

    def test_another_cluster_is_the_queue(self) -> None:
        own = load_settings()
        self.assertEqual((own.has_queue, own.has_queue_http, own.outside_queue), (True, True, ""))
        os.environ["QUEUE_BOOTSTRAP"] = "k1:9092, [::1]:9093,"
        settings = load_settings(queue_port="9092", queue_server_ports="2")
        self.assertEqual(settings.outside_queue, "k1:9092,[::1]:9093")
        self.assertEqual((settings.has_queue, settings.has_queue_http), (False, True))
        self.assertEqual((settings.queue_ports, settings.queue_slots), ({}, 0))
        self.assertEqual(load_settings(queue_bootstrap="k2:1").outside_queue, "k2:1")
        again = Settings(**settings.model_dump(mode="json"))  # as control reads it
        self.assertEqual(again.queue_bootstrap, settings.queue_bootstrap)
        paths = Paths(self.directory)
        self.assertTrue(door_settings(settings, paths, "c").queue_http)
        static = load_settings(runtime="static", backends="a:1")
        self.assertEqual((static.outside_queue, static.has_queue_http), ("k1:9092,[::1]:9093", False))
        none = load_settings(queue="false")
        self.assertEqual((none.outside_queue, none.has_queue_http), ("", False))

    def test_a_bad_setting_is_named_on_one_line(self) -> None:
        cases: list[tuple[dict[str, Any], str]] = [
            ({"port": "x"}, "--port"),
            ({"port": "70000"}, "--port"),
            ({"replicas": "65"}, "--replicas"),
            ({"replicas": "57", "ring_hash": "spec"}, "--replicas"),
            ({"ring_hash": "md5"}, "--ring-hash"),
            ({"ring_hash": "no.such.module:f"}, "--ring-hash: ring hash 'no.such.module:f': ModuleNotFoundError"),
            ({"ring_hash": "builtins:repr"}, "must return an integer"),
            ({"ring_probe": "cubic"}, "--ring-probe"),
            ({"policy": "best"}, "--policy: 'best' is none of ring, bounded"),
            ({"policy": "no.such.module:Policy"}, "--policy: policy 'no.such.module:Policy': ModuleNotFoundError"),
            ({"policy": "fractions:Fraction"}, "has no method choose"),
            ({"route_by": "header:"}, "--route-by"),
            ({"home_format": "hello"}, "--home-format"),
            ({"backends": "a:1"}, "--backends"),
            ({"queue_bootstrap": "kafka"}, "--queue-bootstrap: 'kafka' is not HOST:PORT"),
            ({"queue_bootstrap": "kafka:0"}, "--queue-bootstrap: 'kafka:0' is not HOST:PORT"),
            ({"queue_bootstrap": "kafka:65536"}, "is not HOST:PORT"),
            ({"queue_bootstrap": "PLAINTEXT://kafka:9092"}, "is not HOST:PORT"),
            ({"queue_bootstrap": "a b:1"}, "is not HOST:PORT"),
            ({"queue_bootstrap": ",".join(f"k{i}:1" for i in range(65))}, "at most 64 addresses, not 65"),
            ({"runtime": "static"}, "--runtime static needs --backends"),
            ({"runtime": "static", "backends": "a:99999"}, "--backends"),
            ({"runtime": "static", "backends": "a:80*0"}, "--backends"),
            ({"health_path": "no"}, "--health-path"),
            ({"tls_cert": "a", "tls_key": "b", "accept_proxy_protocol": "true"}, "--accept-proxy-protocol"),
            ({"drain_timeout": "0"}, "--drain-timeout"),
        ]
        for flags, named in cases:
            with self.subTest(flags), self.assertRaises(BadSetting) as raised:
                load_settings(**flags)
            self.assertIn(named, str(raised.exception))
            self.assertNotIn("\n", str(raised.exception))

    def test_a_policy_of_ones_own_is_taken_from_where_one_stands(self) -> None:
        (self.directory / "carousel_test_policy.py").write_text(
            "class Mine:\n    def choose(self, key, view, tried=()):\n        return None\n"
        )
        path = list(sys.path)
        self.addCleanup(sys.path.__setitem__, slice(None), path)
        self.addCleanup(sys.modules.pop, "carousel_test_policy", None)
        self.assertEqual(load_settings(policy="carousel_test_policy:Mine").policy, "carousel_test_policy:Mine")
        self.assertEqual(load_settings(policy="rendezvous").policy, "rendezvous")

    def test_backends_are_split_and_kept(self) -> None:
        settings = load_settings(runtime="static", backends="a:80*2, [::1]:81,b:82")
        self.assertEqual(settings.backends, ("a:80*2", "[::1]:81", "b:82"))

    def test_unknown_path_is_course_for_the_bundled_server_only(self) -> None:
        self.assertEqual(load_settings().chosen_unknown_path, "course")
        self.assertEqual(load_settings(server_command="x").chosen_unknown_path, "pass")
        self.assertEqual(load_settings(runtime="static", backends="a:1").chosen_unknown_path, "pass")
        self.assertEqual(load_settings(unknown_path="pass").chosen_unknown_path, "pass")

    def test_the_token_is_in_no_representation(self) -> None:
        self.assertNotIn("hunter2", repr(load_settings(admin_token="hunter2")))

    def test_settings_go_through_their_file(self) -> None:
        settings = load_settings(runtime="static", backends="a:80*2", admin_token="t", allowed_hosts="x,y")
        self.assertEqual(Settings.model_validate_json(settings.model_dump_json()), settings)

    def test_a_course_preset_holds_56(self) -> None:
        self.assertEqual(load_settings(ring_hash="spec").replica_limit, 56)
        self.assertEqual(load_settings(ring_hash="spec", max_replicas=10).replica_limit, 10)
        self.assertEqual(load_settings(ring_hash="zlib:crc32").replica_limit, 64)
        self.assertEqual(load_settings().replica_limit, 64)

    def test_the_door_gets_what_it_needs(self) -> None:
        paths = Paths(self.directory / "var")
        paths.make()
        door = door_settings(load_settings(route_by="path", policy="p2c"), paths, "c1")
        self.assertEqual((door.route_by, door.policy, door.cluster_id), ("path", "p2c", "c1"))
        paths.door.write_text(door.dump())
        self.assertEqual(DoorSettings.load(paths.door), door)

    def test_a_cluster_id_is_made_once(self) -> None:
        paths = Paths(self.directory / "var")
        paths.make()
        made = cluster_id(load_settings(), paths)
        self.assertEqual(cluster_id(load_settings(), paths), made)
        self.assertEqual(cluster_id(load_settings(cluster_id=made), paths), made)
        with self.assertRaises(BadSetting):
            cluster_id(load_settings(cluster_id="other"), paths)

    def test_directories_are_their_owners(self) -> None:
        paths = Paths(self.directory / "var")
        paths.make()
        self.assertEqual(paths.run.stat().st_mode & 0o777, 0o700)
        self.assertEqual(paths.state.stat().st_mode & 0o777, 0o700)

    def test_a_path_too_long_for_a_socket_is_named(self) -> None:
        with self.assertRaisesRegex(BadSetting, "--state-dir"):
            Paths(self.directory / ("x" * 120)).make()
        (self.directory / "file").write_text("")
        with self.assertRaisesRegex(BadSetting, "--state-dir"):
            Paths(self.directory / "file").make()
