import json
import shutil
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from loadbalancer.settings import Paths, Settings
from loadbalancer.spawn import queue_env as module
from loadbalancer.spawn.queue_env import front_door, queue_env, told_to_clients

HTTP = {"CONTROL_HTTP", "QUEUE_CLIENT_BOOTSTRAP"}


class Environment(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.paths = Paths(self.directory)

    def env(self, **settings: Any) -> dict[str, str]:
        return queue_env(Settings(state_dir=self.directory, cluster_id="c", **settings), self.paths)

    def publish(self, **ports: Any) -> None:
        self.paths.ports.write_text(json.dumps({"url": "http://127.0.0.1:5000", **ports}))

    def test_our_own_engine(self) -> None:
        self.publish(queue=9092, main=5000)
        env = self.env()
        self.assertEqual(env["CONTROL"], f"unix:{self.paths.queue_socket}")
        self.assertEqual(Path(env["CLUSTER_SECRET_FILE"]).stat().st_mode & 0o777, 0o600)
        self.assertEqual(env["QUEUE_CLIENT_BOOTSTRAP"], "127.0.0.1:9092")
        self.assertEqual(env["CONTROL_HTTP"], f"unix:{self.paths.loop_socket}")

    def test_without_a_front_door_for_the_queue_each_server_asks_itself(self) -> None:
        self.assertNotIn("QUEUE_CLIENT_BOOTSTRAP", self.env())
        self.publish(queue=None, main=5000)
        self.assertNotIn("QUEUE_CLIENT_BOOTSTRAP", self.env())

    def test_another_cluster(self) -> None:
        env = self.env(queue_bootstrap=("k1:9092", "k2:9092"))
        self.assertEqual(set(env), HTTP, "no CONTROL, no secret: it holds no shards")
        self.assertEqual(env["QUEUE_CLIENT_BOOTSTRAP"], "k1:9092,k2:9092")
        self.assertFalse(self.paths.secret.exists())

    def test_containers(self) -> None:
        for beside, host in ((True, "here"), (False, "host.docker.internal")):
            with (
                mock.patch.object(module, "is_beside_replicas", return_value=beside),
                mock.patch.object(module.socket, "gethostname", return_value="here"),
            ):
                env = self.env(runtime="docker")
                self.assertEqual(env["CONTROL"], f"{host}:5010")
                self.assertEqual(env["CONTROL_HTTP"], f"http://{host}:5000")
                self.assertEqual(env["QUEUE_CLIENT_BOOTSTRAP"], "c-queue:9092")
        self.publish(main=5000, admin=6000, queue=9092)
        env = self.env(runtime="docker", link_host="loadbalancer", queue_bootstrap=("k:9092",))
        self.assertEqual(
            env, {"CONTROL_HTTP": "http://loadbalancer:6000", "QUEUE_CLIENT_BOOTSTRAP": "k:9092"}
        )  # fmt: skip

    def test_nothing_for_other_applications(self) -> None:
        for other in ({"server_command": "serve"}, {"queue": False}, {"runtime": "static", "backends": ("a:1",)}):
            self.assertEqual(self.env(**other), {})
            self.assertEqual(self.env(**other, queue_bootstrap=("k:1",)), {})

    def test_the_front_door_s_port(self) -> None:
        self.assertIsNone(front_door(self.paths.ports))
        for text in ("", "[]", "{}", "nonsense"):
            self.paths.ports.write_text(text)
            self.assertIsNone(front_door(self.paths.ports))
        self.paths.ports.write_text(json.dumps({"url": "http://[::1]:5000", "queue": 9092}))
        self.assertEqual(front_door(self.paths.ports), "[::1]:9092")

    def test_as_clients_on_other_machines_reach_it(self) -> None:
        def told(**settings: Any) -> str | None:
            return told_to_clients(Settings(state_dir=self.directory, **settings), self.paths)

        self.assertIsNone(told(runtime="docker", queue_advertised_host="box"))
        self.publish(queue=9092, main=5000)
        self.assertEqual(told(runtime="docker", queue_advertised_host="box"), "box:9092")
        self.assertEqual(told(runtime="docker"), "127.0.0.1:9092")
        self.assertEqual(told(queue_advertised_host="box"), "127.0.0.1:9092")


if __name__ == "__main__":
    unittest.main()
