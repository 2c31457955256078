"""What was promised to clients, and whether a log keeps it. Knows nothing of who asked for what, or of the server.

The law: every acknowledged message is there exactly once, at its offset, with those of its producer before it; what a
reader has seen stays as it was; a committed offset never goes back.
"""

from collections import defaultdict
from collections.abc import Iterable

Place = tuple[int, int]
"""(partition, offset)"""


class Broken(AssertionError):
    """A promise was broken."""


class Ledger:
    """Values are `<producer>:<number>`; a producer numbers its messages from 0, for one partition."""

    def __init__(self) -> None:
        self.acknowledged: dict[Place, bytes] = {}
        self.seen: dict[Place, bytes] = {}
        self._asked_starts: dict[int, int] = defaultdict(int)
        self._asked_offsets: dict[str, set[int]] = defaultdict(lambda: {-1})
        self._least_offset: dict[str, int] = defaultdict(lambda: -1)
        self._producer_ids: set[int] = set()

    # --- what clients did and were told ----------------------------------------------------------------------------

    def given_producer_id(self, number: int) -> None:
        if number in self._producer_ids:
            raise Broken(f"producer id {number} was given twice")
        self._producer_ids.add(number)

    def acknowledge(self, partition: int, base_offset: int, values: Iterable[bytes]) -> None:
        for at, value in enumerate(values, base_offset):
            before = self.acknowledged.setdefault((partition, at), value)
            if before != value:
                raise Broken(f"{before!r} and {value!r} were both acknowledged at {partition}/{at}")

    def ask_start(self, partition: int, offset: int) -> None:
        """Records below may be gone from now on."""
        self._asked_starts[partition] = max(self._asked_starts[partition], offset)

    def ask_offset(self, group: str, offset: int) -> None:
        self._asked_offsets[group].add(offset)

    def commit_offset(self, group: str, offset: int) -> None:
        """It was acknowledged, or told to somebody: nothing smaller may be told any more."""
        self._least_offset[group] = max(self._least_offset[group], offset)

    def read_offset(self, group: str, offset: int) -> None:
        if offset < self._least_offset[group]:
            raise Broken(f"{group} has gone back from {self._least_offset[group]} to {offset}")
        if offset not in self._asked_offsets[group]:
            raise Broken(f"{group} never committed {offset}")
        self.commit_offset(group, offset)

    # --- what the log says -------------------------------------------------------------------------------------------

    def see(self, partition: int, records: Iterable[tuple[int, bytes]]) -> None:
        """A reader was given these, some of a partition."""
        for offset, value in records:
            for known in (self.seen, self.acknowledged):
                if known.get((partition, offset), value) != value:
                    raise Broken(f"{partition}/{offset} was {known[partition, offset]!r} and is {value!r}")
            self.seen[partition, offset] = value

    def check(self, partition: int, start: int, records: list[tuple[int, bytes]]) -> None:
        """These are all of the partition, whose first offset is `start`."""
        if start > self._asked_starts[partition]:
            raise Broken(f"{partition} begins at {start}, asked for was {self._asked_starts[partition]}")
        offsets = [offset for offset, _ in records]
        if offsets != list(range(start, start + len(records))):
            raise Broken(f"{partition} from {start} on has the offsets {offsets}")
        self.see(partition, records)
        for known in (self.acknowledged, self.seen):
            for (number, offset), value in known.items():
                if number == partition and offset >= start + len(records):
                    raise Broken(f"{value!r} at {partition}/{offset} is lost: the end is {start + len(records)}")
        _check_order(partition, start, records)

    def check_ascending(self, offsets: list[int]) -> None:
        """These are all of a compacted partition."""
        if sorted(set(offsets)) != offsets:
            raise Broken(f"a compacted log has the offsets {offsets}")


def _check_order(partition: int, start: int, records: list[tuple[int, bytes]]) -> None:
    """Each producer's messages are there once, in order, without a gap; the first ones may be deleted."""
    following: dict[bytes, int] = {}
    for offset, value in records:
        producer, _, number = value.partition(b":")
        expected = following.get(producer, int(number) if start else 0)
        if int(number) != expected:
            raise Broken(f"{partition}/{offset} is {value!r}, after number {expected - 1} of its producer")
        following[producer] = expected + 1
