import io
import unittest
from typing import Any

from rich.console import Console

from loadbalancer.cli.tables import cluster_table, duration, event_line, process_table, ring_table

CLUSTER: dict[str, Any] = {
    "target": 3,
    "version": 7,
    "ring": {"hash": "mmh3", "slots": 262144, "virtual_nodes": 8192},
    "replicas": [
        {"name": "server1", "node_id": 1, "index": 1, "state": "healthy", "address": "127.0.0.1:41001", "pid": 77,
         "container": None, "since": 100.0, "weight": 1},
        {"name": "server4", "node_id": 2, "index": 2, "state": "dead", "reason": "crash loop: exit 3", "address": None,
         "pid": None, "container": None, "since": 190.0, "weight": 2},
    ],
}  # fmt: skip


def drawn(table: Any, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined]


class TablesTest(unittest.TestCase):
    def test_a_cluster(self) -> None:
        text = drawn(cluster_table(CLUSTER, 190.0))
        words = ("1 of 3 replicas healthy", "server1", "1 min", "127.0.0.1:41001", "77", "dead", "262144")
        for word in (*words, "server4: crash loop: exit 3"):
            self.assertIn(word, text)

    def test_a_cluster_fits_a_terminal_of_eighty_columns(self) -> None:
        widest = {**CLUSTER["replicas"][0], "name": "server12", "address": "127.0.0.1:65535", "pid": 4194303}
        text = drawn(cluster_table({**CLUSTER, "replicas": [widest]}, 190.0), 1000)
        self.assertLessEqual(max(map(len, text.splitlines())), 80)
        self.assertRegex(text, "server12 .* 127.0.0.1:65535 .* 4194303 ")

    def queue_line(self, **queue: Any) -> str:
        told = {"bootstrap": "127.0.0.1:9092", "topics": 2, "partitions": 8, "offline": 0, "under_replicated": 0,
                "moves": {"under_way": 0, "waiting": 0}, "lost": False}  # fmt: skip
        lines = drawn(cluster_table({**CLUSTER, "queue": told | queue}, 190.0), 1000).splitlines()
        return next(line.rstrip() for line in lines if line.startswith("queue"))

    def test_the_queue_is_one_line(self) -> None:
        self.assertEqual(self.queue_line(), "queue 127.0.0.1:9092: 2 topics, 8 partitions")
        self.assertTrue(self.queue_line(bootstrap="").startswith("queue -: "))
        moving = self.queue_line(offline=1, under_replicated=3, moves={"under_way": 8, "waiting": 40})
        self.assertTrue(moving.endswith(", 1 offline, 3 under-replicated, 8 moving, 40 to move"), moving)
        self.assertNotIn("queue ", drawn(cluster_table(CLUSTER, 190.0)))

    def test_another_cluster_is_named(self) -> None:
        lines = drawn(cluster_table({**CLUSTER, "queue": {"bootstrap": "k:9092", "outside": True}}, 190.0), 1000)
        self.assertIn("queue k:9092: a Kafka cluster of its own", lines)

    def test_a_lost_state_says_what_to_do(self) -> None:
        self.assertIn("see `carousel recover`", self.queue_line(lost=True))

    def test_a_long_name_is_not_cut(self) -> None:
        long = {**CLUSTER["replicas"][0], "name": "a" * 63, "address": "192.168.100.100:65535"}
        text = drawn(cluster_table({**CLUSTER, "replicas": [long]}, 190.0), 1000)
        self.assertRegex(text, "a{63} .* 192.168.100.100:65535 ")

    def test_containers_are_told_by_their_own_id(self) -> None:
        contained = {**CLUSTER["replicas"][0], "pid": None, "container": "0123456789ab"}
        text = drawn(cluster_table({**CLUSTER, "replicas": [contained]}, 190.0), 1000)
        self.assertIn("container", text)
        self.assertIn("0123456789ab", text)

    def test_a_name_is_no_markup(self) -> None:
        self.assertIn("key [red]", drawn(ring_table("[red]", {"slot": 1, "slots": 512, "order": []})))

    def test_processes_and_their_sum(self) -> None:
        command = "/x/bin/python -m loadbalancer.aio.worker --config /a/very/long/path/run/door.json --slot 0"
        found = [
            {"name": name, "pid": 7, "pss_bytes": 3 << 19, "command": command} for name in ("supervisor", "door-0")
        ]
        text = drawn(process_table(found), 1000)
        for word in ("2 processes", "door-0", "1.5 MiB", "3.0 MiB", "python -m loadbalancer.aio.worker"):
            self.assertIn(word, text)
        self.assertLessEqual(max(map(len, text.splitlines())), 80)

    def test_durations(self) -> None:
        for seconds, text in ((-1, "0 s"), (59.9, "59 s"), (60, "1 min"), (7300, "2 h"), (200000, "2 d")):
            self.assertEqual(duration(seconds), text)

    def test_an_event_is_one_line(self) -> None:
        line = event_line({"id": 3, "time": 1000.25, "kind": "dead", "replica": "server1", "reason": "exit 9"}, 1000.5)
        self.assertRegex(line, r"^\d\d:\d\d:\d\d\.250  dead +server1 +exit 9$")
        self.assertTrue(event_line({"id": 1, "time": 0.0, "kind": "x", "replica": "", "reason": ""}, 0.0).endswith("-"))

    def test_an_event_of_another_day_has_its_date(self) -> None:
        event = {"id": 3, "time": 1000.25, "kind": "dead", "replica": "server1", "reason": "exit 9"}
        self.assertRegex(event_line(event, 1000.0 + 3 * 86400), r"^19\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.250  dead")

    def test_a_ring_answer(self) -> None:
        order = [
            {"name": "server4", "node_id": 2, "state": "dead"},
            {"name": "server1", "node_id": 1, "state": "healthy"},
        ]
        text = drawn(ring_table("alice", {"slot": 81, "slots": 512, "order": order}))
        self.assertIn("key alice: slot 81 of 512", text)
        self.assertLess(text.index("server4"), text.index("server1"))
