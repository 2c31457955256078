"""`server.image`: never back; kept lines give what was acted on, wherever they are cut or harmed."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from server.image import StaleUpdate, advanced, line_of, position_of, read_lines, snapshot_of
from wire.cluster import Image, Record
from wire.cluster_link import Position, Update


def topic(number: int) -> Record:
    return {"type": "topic", "name": f"t{number}", "id": f"{number:032x}"}


def update(version: int, generation: int = 1) -> Update:
    return Update(Position(generation, version), [topic(version)])


class AdvancedTest(unittest.TestCase):
    def setUp(self) -> None:
        self.image = advanced(Image(), Update(Position(1, 1), [], [topic(1)]))

    def test_records_are_applied(self) -> None:
        image = advanced(self.image, update(2))
        self.assertEqual((position_of(image), set(image.topics)), ((1, 2), {"t1", "t2"}))

    def test_a_snapshot_replaces_everything(self) -> None:
        image = advanced(self.image, Update(Position(2, 9), [topic(4)], [topic(3)]))
        self.assertEqual((position_of(image), set(image.topics)), ((2, 9), {"t3", "t4"}))

    def test_nothing_new(self) -> None:
        self.assertIs(advanced(self.image, Update(Position(1, 1))), self.image)

    def test_never_back(self) -> None:
        image = advanced(self.image, update(5, generation=3))
        for stale in (update(4, 3), update(9, 2), Update(Position(2, 100), [], [])):
            with self.assertRaises(StaleUpdate):
                advanced(image, stale)

    def test_records_that_make_no_sense(self) -> None:
        with self.assertRaises(ValueError):
            advanced(self.image, Update(Position(1, 2), [{"type": "topic"}]))


class LinesTest(unittest.TestCase):
    def setUp(self) -> None:
        self.images = [advanced(Image(), Update(Position(1, 1), [], [topic(1)]))]
        self.lines = [line_of(snapshot_of(self.images[0]))]
        for version in range(2, 5):
            self.images.append(advanced(self.images[-1], update(version)))
            self.lines.append(line_of(update(version)))
        self.text = b"".join(self.lines)

    def test_round_trip(self) -> None:
        self.assertEqual(read_lines(self.text), (self.images[-1], len(self.text)))
        self.assertEqual(read_lines(b""), (Image(), 0))

    def test_any_cut_leaves_the_whole_lines(self) -> None:
        for cut in range(len(self.text)):
            image, size = read_lines(self.text[:cut])
            whole = sum(1 for end in range(1, 5) if sum(map(len, self.lines[:end])) <= cut)
            self.assertEqual(image, self.images[whole - 1] if whole else Image())
            self.assertEqual(size, sum(map(len, self.lines[:whole])))

    @given(st.data())
    def test_harm_leaves_a_prefix(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(self.text) - 1))
        harmed = bytearray(self.text)
        harmed[at] ^= data.draw(st.integers(1, 255))
        self.assertIn(read_lines(bytes(harmed))[0], [Image(), *self.images])

    def test_without_its_snapshot_it_is_nothing(self) -> None:
        self.assertEqual(read_lines(self.lines[1]), (Image(), 0))

    def test_a_line_twice(self) -> None:
        self.assertEqual(read_lines(self.text + self.lines[-1])[0], self.images[-1])
