"""`server.leader_epochs`: which epoch ended where."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from server.leader_epochs import EpochStart, LeaderEpochs, parse_epochs


class EpochsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.epochs = LeaderEpochs()
        for epoch, start in ((1, 0), (3, 10), (6, 20)):
            self.epochs.begin(epoch, start)

    def test_ends_as_offset_for_leader_epoch_answers(self) -> None:
        ends = {epoch: self.epochs.end_of(epoch, 30) for epoch in (0, 1, 2, 3, 5, 6, 7)}
        self.assertEqual(ends, {0: (0, 0), 1: (1, 10), 2: (1, 10), 3: (3, 20), 5: (3, 20), 6: (6, 30), 7: (-1, -1)})
        self.assertEqual(LeaderEpochs().end_of(0, 5), (-1, -1))

    def test_an_epoch_without_records_is_replaced(self) -> None:
        self.epochs.begin(8, 30)
        self.epochs.begin(9, 30)
        self.assertEqual(self.epochs.starts[-1], EpochStart(9, 30))
        self.assertFalse(self.epochs.begin(9, 40))

    def test_both_ends_cut(self) -> None:
        self.epochs.cut_start(15)
        self.assertEqual(self.epochs.starts, ((3, 15), (6, 20)))
        self.epochs.cut_end(20)
        self.assertEqual((self.epochs.starts, self.epochs.latest), (((3, 15),), 3))
        self.epochs.cut_end(0)
        self.assertEqual((self.epochs.starts, self.epochs.latest), ((), -1))

    @given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3)), max_size=12), st.integers(0, 40))
    def test_as_a_list_of_each_offset(self, appended: list[tuple[int, int]], cut: int) -> None:
        epochs, of = LeaderEpochs(), list[int]()
        for epoch, count in appended:
            epoch = max([epoch, *of])
            epochs.begin(epoch, len(of))
            of += [epoch] * count
        epochs.cut_end(cut)
        of = of[:cut]
        self.assertEqual([epochs.at(offset) for offset in range(len(of))], of)
        self.assertEqual(parse_epochs(epochs.to_text()).starts, epochs.starts)

    def test_text_as_kafka_writes_it_and_nothing_else(self) -> None:
        self.assertEqual(self.epochs.to_text(), "0\n3\n1 0\n3 10\n6 20\n")
        for wrong in ("", "1\n0\n", "0\n2\n1 0\n", "0\n2\n3 0\n1 5\n", "0\n1\nx y\n", "0\n1\n1 2 3\n"):
            with self.assertRaises(ValueError):
                parse_epochs(wrong)
