"""What a replica process is given; the rest of the runtime is held to the contract in tests/system."""

import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from loadbalancer.instances import Instance, ReplicaSpec
from loadbalancer.spawn.process import ProcessOptions, instance_of, instances_of, order_of, rotate

SPEC = ReplicaSpec("server4", 107, 2)
CHILD = {
    "name": "server4",
    "role": "replica",
    "pid": 12,
    "start_time": 345,
    "node_id": 107,
    "index": 2,
    "host": "127.0.0.1",
    "port": 4000,
}


def options(**changes: Any) -> ProcessOptions:
    return ProcessOptions(Path("/r/supervisor.sock"), 1, Path("/s/nodes"), Path("/s/logs"), "c1", **changes)


class TestOrder(unittest.TestCase):
    def test_the_bundled_server(self) -> None:
        order = order_of(options(env={"EXTRA": "1"}), SPEC, 0)
        self.assertEqual((sys.executable, "-m", "server"), order["argv"])
        self.assertEqual("listen", order["socket"])
        self.assertEqual({"node_id": 107, "index": 2}, order["meta"])
        self.assertEqual(
            {
                "EXTRA": "1",
                "SERVER_ID": "server4",
                "NODE_ID": "107",
                "DATA_DIR": "/s/nodes/107",
                "HOME_FORMAT": "Hello from Server: {id}",
                "HOST": "127.0.0.1",
            },
            order["env"],
        )

    def test_the_index_can_be_the_id(self) -> None:
        self.assertEqual("2", order_of(options(id_kind="index"), SPEC, 0)["env"]["SERVER_ID"])

    def test_a_command_of_ones_own_gets_a_port(self) -> None:
        order = order_of(options(server_command=("app", "--x")), SPEC, 4000)
        self.assertEqual((("app", "--x"), "none", "4000"), (order["argv"], order["socket"], order["env"]["PORT"]))
        self.assertEqual(CHILD, {**CHILD, **order["meta"]})


class TestInstances(unittest.TestCase):
    def test_a_replica_of_the_listing(self) -> None:
        expected = Instance("server4", 107, 2, "127.0.0.1", 4000, "12:345", pid=12)
        self.assertEqual(expected, instance_of(CHILD))
        self.assertEqual([expected], instances_of([{"name": "control", "role": "control"}, CHILD]))


class TestRotate(unittest.TestCase):
    def test_only_a_long_log_is_moved(self) -> None:
        with tempfile.TemporaryDirectory(dir="/tmp") as folder:
            path, aside = Path(folder, "a.log"), Path(folder, "a.log.1")
            rotate(path, 3)
            path.write_text("abc")
            rotate(path, 3)
            self.assertFalse(aside.exists())
            for text in ("abcd", "efgh"):
                path.write_text(text)
                rotate(path, 3)
                self.assertEqual((text, False), (aside.read_text(), path.exists()))


if __name__ == "__main__":
    unittest.main()
