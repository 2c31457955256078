"""Messages that were read ahead, for consumers that ask for them one by one. Pure.

Readers of one partition may be at many offsets, each of them with a call for every message. What one read has brought
is a *window*: all that its partition holds from one offset to another. A message is looked up there first; the windows
of all partitions together are bounded, and the one that was used longest ago goes first. A reader at its partition's
end makes a window of each message, so there are ten thousands of them: a look-up doesn't go through all.

An offset may have no message (compaction, a transaction's markers): the next one is due then.
"""

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple

MAX_BYTES: Final = 32 * 1024 * 1024
"""Of all windows: librdkafka's own queue of one partition is 64 MB by default."""
MESSAGE_BYTES: Final = 200
"""What a message costs besides its value."""
WINDOW_BYTES: Final = 300
"""What a window costs besides its messages."""

Partition = tuple[str, int]
"""A topic and a partition's number."""


class Message(NamedTuple):
    """`value` None: a tombstone."""

    offset: int
    value: bytes | None


class Window(NamedTuple):
    """All messages of a partition from offset `start` up to `end`."""

    start: int
    end: int
    messages: Sequence[Message]

    @property
    def size_bytes(self) -> int:
        return WINDOW_BYTES + sum(MESSAGE_BYTES + len(message.value or b"") for message in self.messages)


class Windows:
    """Of all partitions. Those of one partition may overlap."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._size_bytes = 0
        self._windows: OrderedDict[tuple[Partition, int], Window] = OrderedDict()
        self._starts: dict[Partition, list[int]] = {}

    def add(self, partition: Partition, window: Window) -> None:
        """One without messages says nothing that will still be true later, and isn't kept."""
        if not window.messages:
            return
        self._drop(partition, window.start)
        self._windows[partition, window.start] = window
        starts = self._starts.setdefault(partition, [])
        starts.insert(bisect_left(starts, window.start), window.start)
        self._size_bytes += window.size_bytes
        while self._size_bytes > self._max_bytes and len(self._windows) > 1:
            oldest, start = next(iter(self._windows))
            self._drop(oldest, start)

    def find(self, partition: Partition, offset: int) -> Message | None:
        """The first message from `offset` on, if the window that begins last before it holds it: one that begins
        earlier and reaches as far is rare, and to read what it holds once more does no harm."""
        starts = self._starts.get(partition, ())
        at = bisect_right(starts, offset)
        if not at:
            return None
        start = starts[at - 1]
        window = self._windows[partition, start]
        if offset > window.messages[-1].offset:
            return None
        self._windows.move_to_end((partition, start))
        return window.messages[bisect_left(window.messages, (offset,))]

    def forget(self, topic: str) -> None:
        """Its logs may not be those that were read."""
        for partition in [partition for partition in self._starts if partition[0] == topic]:
            for start in self._starts.pop(partition):
                self._size_bytes -= self._windows.pop((partition, start)).size_bytes

    def _drop(self, partition: Partition, start: int) -> None:
        window = self._windows.pop((partition, start), None)
        if window is None:
            return
        self._size_bytes -= window.size_bytes
        starts = self._starts[partition]
        del starts[bisect_left(starts, start)]
        if not starts:
            del self._starts[partition]
