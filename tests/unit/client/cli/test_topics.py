import json
import unittest
from typing import Any

from support.queue_admin import FakeAdmin, command

from client.cli.topics import app
from client.values import Offsets


class TopicsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.admin = FakeAdmin({"T1": [Offsets(0, 5), Offsets(2, 4)], "T2": [Offsets(0, 0)], "__own": [Offsets(0, 1)]})

    def run_with(self, *arguments: str) -> tuple[int, str, str]:
        return command(app, *arguments, Admin=self.admin)

    def json_of(self, *arguments: str) -> Any:
        code, out, err = self.run_with(*arguments, "--json")
        self.assertEqual((code, err), (0, ""))
        return json.loads(out)

    def test_all_of_them(self) -> None:
        t1 = {"topic": "T1", "partitions": 2, "replicas": 2, "messages": 7, "internal": False}
        self.assertEqual(self.json_of()[0], t1)
        self.assertEqual([one["topic"] for one in self.json_of("list")], ["T1", "T2"])
        self.assertEqual([one["topic"] for one in self.json_of("list", "--all")], ["T1", "T2", "__own"])
        code, out, _ = self.run_with()
        self.assertEqual((code, "T1" in out, "2 topics" in out), (0, True, True))
        self.assertEqual(self.admin.done[0], ("connected", "here:1", {}))

    def test_properties_of_librdkafka_are_passed_on(self) -> None:
        self.run_with("list", "-X", "security.protocol=SSL", "-b", "there:2")
        self.assertEqual(self.admin.done[-1], ("connected", "there:2", {"security_protocol": "SSL"}))

    def test_made_once(self) -> None:
        self.assertEqual(self.run_with("create", "T3", "-p", "4", "-c", "a=b"), (0, "T3 has 4 partitions\n", ""))
        self.assertEqual(self.admin.done[-1], ("created", "T3", 4, -1, {"a": "b"}))
        code, out, err = self.run_with("create", "T3")
        self.assertEqual((code, out), (1, ""))
        self.assertRegex(err, r"^carousel: T3: there already: choose another name.*\n$")
        self.assertEqual(self.json_of("create", "T3", "--if-not-exists"), {"topic": "T3", "created": False})

    def test_one_of_them(self) -> None:
        found = self.json_of("describe", "T1")
        first = {"partition": 0, "leader": 1, "replicas": [1, 2], "isr": [1, 2], "first": 0, "next": 5}
        self.assertEqual((found["messages"], found["partitions"][0]), (7, first))
        self.assertIn("retention.ms=5", self.run_with("describe", "T1")[1])
        self.assertNotIn("retention.ms=5", self.run_with("describe", "T2")[1])
        self.assertEqual(self.run_with("describe", "T9")[0], 1)

    def test_deleted_only_if_it_is_said(self) -> None:
        self.assertEqual(self.run_with("delete", "T1", "T2")[0], 2)
        self.assertIn("T1", self.admin.logs)
        self.assertEqual(self.run_with("delete", "T1", "T2", "--yes"), (0, "deleted T1, T2\n", ""))
        self.assertEqual(list(self.admin.logs), ["__own"])

    def test_set(self) -> None:
        self.assertEqual(self.run_with("set", "T1", "-c", "a=1", "-u", "b", "-p", "3"),
                         (0, "T1: a=1, b is its default again, 3 partitions\n", ""))  # fmt: skip
        self.assertEqual(self.admin.done[-2:], [("set", "T1", {"a": "1", "b": None}), ("grown", "T1", 3)])
        for arguments in (("set", "T1"), ("set", "T1", "-c", "a")):
            self.assertEqual(self.run_with(*arguments)[0], 2)


if __name__ == "__main__":
    unittest.main()
