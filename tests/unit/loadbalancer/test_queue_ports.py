import unittest
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.queue_ports import ANY_SERVER, candidates, queue_name, slot_of
from loadbalancer.snapshot import Member


def member(node: int, slot: int = -1, **changes: object) -> Member:
    return Member(node, node, f"S{node}", "::1", 80, **{"queue": ("::1", 9000 + node), "queue_slot": slot, **changes})  # type: ignore[arg-type]


def nodes(found: list[Member]) -> list[int]:
    return [member.node_id for member in found]


class Names(unittest.TestCase):
    def test_a_name_says_its_slot_and_no_other_name_does(self) -> None:
        self.assertEqual([slot_of(queue_name(slot)) for slot in range(64)], list(range(64)))
        self.assertEqual(slot_of("queue"), ANY_SERVER)
        self.assertEqual([slot_of(name) for name in ("main", "queue-", "queue-x", "queue--1", "")], [None] * 5)


class Bootstrap(unittest.TestCase):
    def test_only_who_is_routable_and_has_a_queue(self) -> None:
        some = (member(1), member(2, routable=False), member(3, draining=True), member(4, queue=None))
        self.assertEqual(nodes(candidates(some, ANY_SERVER, (), {}, 0)), [1])
        self.assertEqual(candidates((), ANY_SERVER, (), {}, 5), [])

    def test_the_fewest_connections_first_and_the_ejected_last(self) -> None:
        some = (member(1), member(2), member(3))
        self.assertEqual(nodes(candidates(some, ANY_SERVER, {1}, {2: 5, 3: 4}, 0)), [3, 2, 1])

    @given(st.integers(1, 9), st.integers(1, 100), st.integers(0, 50))
    def test_connections_are_spread_evenly(self, servers: int, count: int, turn: int) -> None:
        some = tuple(member(node) for node in range(1, servers + 1))
        loads = Counter(dict.fromkeys(range(1, servers + 1), 0))
        for number in range(count):
            loads[candidates(some, ANY_SERVER, (), loads, turn + number)[0].node_id] += 1
        self.assertLessEqual(max(loads.values()) - min(loads.values()), 1)

    def test_equals_take_turns(self) -> None:
        some = (member(1), member(2), member(3))
        self.assertEqual([nodes(candidates(some, ANY_SERVER, (), {}, turn))[0] for turn in range(4)], [1, 2, 3, 1])


class OwnPorts(unittest.TestCase):
    def test_a_server_s_port_leads_there_and_nowhere_else(self) -> None:
        some = (member(1, 0), member(2, 1, routable=False, draining=True), member(3, 2, queue=None), member(4))
        found = [nodes(candidates(some, slot, {2}, {2: 9}, 7)) for slot in range(4)]
        self.assertEqual(found, [[1], [2], [], []])


if __name__ == "__main__":
    unittest.main()
