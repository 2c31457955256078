import json
import unittest

from support.queue_admin import FakeAdmin, command

from client.cli.lag import app
from client.values import Offsets


class LagTest(unittest.TestCase):
    def test_of_all_groups_or_some(self) -> None:
        admin = FakeAdmin({"T1": [Offsets(0, 5)]}, {"g1": {("T1", 0): 3}, "g2": {("T1", 0): 0}})
        g1 = {"group": "g1", "topic": "T1", "partition": 0, "committed": 3, "end": 5, "lag": 2}
        self.assertEqual(json.loads(command(app, "g1", "--json", Admin=admin)[1]), [g1])
        self.assertEqual([one["lag"] for one in json.loads(command(app, "--json", Admin=admin)[1])], [2, 5])
        self.assertIn("lag 7 together", command(app, Admin=admin)[1])
        code, _, err = command(app, "g9", Admin=admin)
        self.assertEqual((code, "carousel groups" in err), (1, True))


if __name__ == "__main__":
    unittest.main()
