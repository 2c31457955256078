import io
import unittest
from typing import Any

from rich.console import Console

from loadbalancer.cli.tables import cluster_table, duration, event_line, ring_table

CLUSTER: dict[str, Any] = {
    "target": 3,
    "version": 7,
    "ring": {"hash": "mmh3", "slots": 262144, "virtual_nodes": 8192},
    "replicas": [
        {"name": "server1", "node_id": 1, "index": 1, "state": "healthy", "address": "127.0.0.1:41001", "pid": 77,
         "container": None, "since": 100.0, "weight": 1},
        {"name": "server4", "node_id": 2, "index": 2, "state": "dead", "address": None, "pid": None,
         "container": None, "since": 190.0, "weight": 2},
    ],
}  # fmt: skip


def drawn(table: Any) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined]


class TablesTest(unittest.TestCase):
    def test_a_cluster(self) -> None:
        text = drawn(cluster_table(CLUSTER, 190.0))
        for word in ("2 of 3 replicas", "server1", "healthy", "1 min", "127.0.0.1:41001", "77", "dead", "262144"):
            self.assertIn(word, text)

    def test_durations(self) -> None:
        for seconds, text in ((-1, "0 s"), (59.9, "59 s"), (60, "1 min"), (7300, "2 h"), (200000, "2 d")):
            self.assertEqual(duration(seconds), text)

    def test_an_event_is_one_line(self) -> None:
        line = event_line({"id": 3, "time": 1000.25, "kind": "dead", "replica": "server1", "reason": "exit 9"})
        self.assertRegex(line, r"^\d\d:\d\d:\d\d\.250  dead +server1 +exit 9$")
        self.assertTrue(event_line({"id": 1, "time": 0.0, "kind": "x", "replica": "", "reason": ""}).endswith("-"))

    def test_a_ring_answer(self) -> None:
        order = [
            {"name": "server4", "node_id": 2, "state": "dead"},
            {"name": "server1", "node_id": 1, "state": "healthy"},
        ]
        text = drawn(ring_table("alice", {"slot": 81, "slots": 512, "order": order}))
        self.assertIn("key alice: slot 81 of 512", text)
        self.assertLess(text.index("server4"), text.index("server1"))
