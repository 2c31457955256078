import json
import unittest
from typing import Any

from support.queue_admin import FakeAdmin, command

from client.cli.groups import app
from client.values import Offsets


class GroupsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.admin = FakeAdmin({"T1": [Offsets(0, 5), Offsets(2, 4)]}, {"g1": {("T1", 0): 3, ("T1", 1): 4}})

    def run_with(self, *arguments: str) -> tuple[int, str, str]:
        return command(app, *arguments, Admin=self.admin)

    def json_of(self, *arguments: str) -> Any:
        code, out, err = self.run_with(*arguments, "--json")
        self.assertEqual((code, err), (0, ""))
        return json.loads(out)

    def test_all_and_one_of_them(self) -> None:
        self.assertEqual(self.json_of(), [{"group": "g1", "state": "stable", "members": 1, "lag": 2}])
        self.assertIn("1 group", self.run_with()[1])
        found = self.json_of("describe", "g1")
        self.assertEqual((found["lag"], found["members"][0]["reads"]), (2, ["T1:0", "T1:1"]))
        self.assertIn("g1: stable, 1 member, lag 2", self.run_with("describe", "g1")[1])
        self.assertEqual(self.run_with("describe", "g9")[0], 1)

    def test_put_elsewhere(self) -> None:
        for to, offsets in (("beginning", [0, 2]), ("end", [5, 4]), ("-1", [4, 3]), ("@4", [4, 4]), ("3", [3, 3])):
            moves = self.json_of("reset", "g1", "T1", "--to", to, "--dry-run")
            self.assertEqual([move["next"] for move in moves], offsets, to)
        self.assertEqual(self.admin.committed["g1"], {("T1", 0): 3, ("T1", 1): 4})
        self.assertEqual([move["committed"] for move in moves], [3, 4])
        self.assertEqual(self.run_with("reset", "g1", "T1", "--to", "end")[0], 2)
        self.json_of("reset", "g1", "T1", "--to", "beginning", "--yes")
        self.assertEqual(self.admin.committed["g1"], {("T1", 0): 0, ("T1", 1): 2})

    def test_a_group_that_is_not_there_is_made(self) -> None:
        self.assertIn("next", self.run_with("reset", "g2", "T1", "--to", "end", "--yes")[1])
        self.assertEqual(self.admin.committed["g2"], {("T1", 0): 5, ("T1", 1): 4})

    def test_where_nothing_is_is_refused(self) -> None:
        code, _, err = self.run_with("reset", "g1", "T1", "--to", "99", "--yes")
        self.assertEqual((code, "holds 0 to 5" in err), (2, True))

    def test_deleted_only_if_it_is_said(self) -> None:
        self.assertEqual(self.run_with("delete", "g1")[0], 2)
        self.assertEqual(self.run_with("delete", "g1", "-y"), (0, "deleted g1\n", ""))
        self.assertEqual(self.run_with("delete", "g1", "-y")[0], 1)


if __name__ == "__main__":
    unittest.main()
