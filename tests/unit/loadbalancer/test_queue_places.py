import unittest

from loadbalancer.queue_places import NO_SLOT, QueuePlaces
from loadbalancer.snapshot import Member


def members(*nodes: int) -> list[Member]:
    return [Member(node, node, f"server{node}", "127.0.0.1", 1000 + node) for node in nodes]


def slots(places: QueuePlaces, *nodes: int) -> list[int]:
    return [member.queue_slot for member in places.settle(members(*nodes))]


class SlotsTest(unittest.TestCase):
    def test_each_gets_the_lowest_free_one_and_keeps_it(self) -> None:
        places = QueuePlaces(3)
        self.assertEqual(slots(places, 1, 2, 3), [0, 1, 2])
        self.assertEqual(slots(places, 1, 3), [0, 2])
        self.assertEqual(slots(places, 1, 3, 9), [0, 2, 1])

    def test_beyond_the_ports_there_is_none_until_one_is_free(self) -> None:
        places = QueuePlaces(1)
        self.assertEqual(slots(places, 1, 2), [0, NO_SLOT])
        self.assertEqual(slots(places, 2), [0])
        self.assertEqual(places.slot(1), NO_SLOT)

    def test_what_was_kept_holds_after_a_restart_but_for_ports_that_are_no_more(self) -> None:
        places = QueuePlaces(4)
        slots(places, 1, 2, 3, 4)
        slots(places, 2, 4)
        self.assertEqual(slots(QueuePlaces(4, places.dump()), 2, 4), [1, 3])
        self.assertEqual(slots(QueuePlaces(2, places.dump()), 2, 4), [1, 0])


class ListenersTest(unittest.TestCase):
    def test_a_member_without_a_listener_leads_nowhere(self) -> None:
        places = QueuePlaces(0)
        places.listeners = {2: ("127.0.0.1", 9092)}
        self.assertEqual([m.queue for m in places.settle(members(1, 2))], [None, ("127.0.0.1", 9092)])
