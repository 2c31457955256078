import unittest

from loadbalancer.queue_places import with_listeners
from loadbalancer.snapshot import Member

MEMBERS = [Member(node, node, f"server{node}", f"10.0.0.{node}", 5000, queue_slot=node) for node in (1, 2, 3)]


class ListenersTest(unittest.TestCase):
    def test_where_the_ports_lead(self) -> None:
        found = with_listeners(MEMBERS, {2: ("127.0.0.1", 9092), 3: ("", 9094)})
        self.assertEqual([member.queue for member in found], [None, ("127.0.0.1", 9092), ("10.0.0.3", 9094)])
        self.assertEqual([member.queue_slot for member in found], [1, 2, 3], "the roster's")

    def test_nowhere_while_nobody_is_there(self) -> None:
        away = Member(1, 1, "server1", "", 0)
        self.assertEqual(with_listeners([away], {1: ("127.0.0.1", 9092)}), (away,))


if __name__ == "__main__":
    unittest.main()
