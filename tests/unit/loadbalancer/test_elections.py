import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer import elections as e
from wire.cluster import Partition


def partition(**fields: Any) -> Partition:
    return Partition("t" * 32, 0, **{"replicas": (1, 2, 3), "isr": (1, 2, 3), "leader": 1, "last_leader": 1, **fields})


def live(*nodes: int) -> e.IsLive:
    return frozenset(nodes).__contains__


NODES = st.integers(1, 5)
MEMBERS = st.lists(NODES, unique=True, min_size=1, max_size=4).map(tuple)


@st.composite
def partitions(draw: Any) -> Partition:
    replicas = draw(MEMBERS)
    isr = tuple(m for m in replicas if draw(st.booleans()))
    elr = tuple(m for m in replicas if m not in isr and draw(st.booleans()))
    leader = draw(st.sampled_from((*isr, -1)))
    return partition(replicas=replicas, isr=isr, elr=elr, leader=leader, leader_epoch=draw(st.integers(0, 9)))


class TestElect(unittest.TestCase):
    def test_in_order_of_placement(self) -> None:
        found = e.elect(partition(isr=(3, 2), leader=-1), live(2, 3))
        self.assertEqual((found.leader, found.leader_epoch, found.partition_epoch), (2, 1, 1))

    def test_then_from_the_elr_then_nobody_unless_unclean(self) -> None:
        left = partition(isr=(), elr=(3,), leader=-1, last_leader=2)
        self.assertEqual((e.elect(left, live(1, 3)).leader, e.elect(left, live(1, 3)).isr), (3, (3,)))
        self.assertIs(e.elect(left, live(1)), left)
        self.assertEqual(e.elect(left, live(1, 2), unclean=True).leader, 2)
        self.assertEqual(e.elect(left, live(1), unclean=True).isr, (1,))

    def test_one_that_may_lead_goes_on(self) -> None:
        led = partition(leader=3)
        self.assertIs(e.elect(led, live(1, 3)), led)
        self.assertEqual(e.prefer(led, live(1, 3)).leader, 1)
        self.assertIs(e.prefer(led, live(3)), led)

    @given(partitions(), st.frozensets(NODES))
    def test_a_leader_lives_and_is_in_sync_or_there_is_none_to_be_had(self, before: Partition, alive: Any) -> None:
        after = e.elect(before, alive.__contains__)
        if after.leader == -1:
            self.assertFalse(alive & {*after.isr, *after.elr})
        else:
            self.assertTrue(after.leader in after.isr and after.leader in alive)
        self.assertEqual(after.leader_epoch, before.leader_epoch + (after.leader != before.leader))


class TestIsr(unittest.TestCase):
    def test_the_last_member_stays_where_one_is_enough(self) -> None:
        alone = partition(replicas=(1,), isr=(1,))
        self.assertIs(e.without(alone, 1, 1), alone)
        self.assertEqual(e.without(alone, 1, 1, lost=True).isr, ())

    def test_below_min_isr_it_becomes_eligible_and_enough_empty_the_elr(self) -> None:
        self.assertEqual(e.without(partition(isr=(1, 2)), 2, 2).elr, (2,))
        self.assertEqual(e.without(partition(isr=(1,), elr=(2,)), 1, 2).elr, (2, 1))
        self.assertEqual(e.with_isr(partition(isr=(1,), elr=(2,)), (1, 3), 2).elr, ())
        self.assertEqual(e.with_isr(partition(isr=(1, 2)), (1,), 2).elr, (2,))

    def test_min_isr_is_no_more_than_there_are_replicas(self) -> None:
        self.assertEqual(e.min_isr_of(partition(), {e.MIN_ISR: "2"}, {e.MIN_ISR: "3"}), 2)
        self.assertEqual(e.min_isr_of(partition(replicas=(1,)), {e.MIN_ISR: "2"}), 1)
        self.assertEqual(e.min_isr_of(partition(), {}, {}), 1)
        self.assertEqual(e.min_isr_of(partition(replicas=(2, 1), adding=(2,), removing=(1,)), {e.MIN_ISR: "2"}), 1)


class TestMove(unittest.TestCase):
    def test_there_and_back(self) -> None:
        before = partition(replicas=(1,), isr=(1,))
        moving = e.begin_move(before, (2,))
        self.assertEqual((moving.replicas, moving.adding, moving.removing, moving.leader), ((2, 1), (2,), (1,), 1))
        self.assertFalse(e.is_caught_up(moving, live(1, 2)))
        back = e.call_off(moving)
        self.assertEqual((back.replicas, back.isr, back.adding, back.removing), ((1,), (1,), (), ()))
        elsewhere = partition(replicas=(2, 3, 1), isr=(2,), leader=2, adding=(2, 3), removing=(1,))
        back = e.elect(e.call_off(elsewhere), live(2))
        self.assertEqual((back.replicas, back.isr, back.leader), ((2, 1), (2,), 2), "what only node 2 has stays")
        fallen = e.call_off(partition(replicas=(2, 3, 1), isr=(), elr=(2,), leader=-1, adding=(2, 3), removing=(1,)))
        self.assertEqual((fallen.replicas, fallen.elr), ((2, 1), (2,)))
        followed = e.with_isr(moving, (1, 2), 1)
        self.assertFalse(e.is_caught_up(followed, live(1)), "who is to lead must live")
        ended = e.end_move(followed, live(1, 2))
        self.assertEqual((ended.replicas, ended.isr, ended.leader, ended.leader_epoch), ((2,), (2,), 2, 1))


if __name__ == "__main__":
    unittest.main()
