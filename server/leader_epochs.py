"""Which leader wrote what: the start offset of each leader epoch (Kafka's LeaderEpochFileCache, KIP-101 and KIP-279).

The problem: after a change of leader, two replicas may hold different batches at the same offset. The high watermark
can't tell where they part, epochs can: both logs agree up to the end of the last epoch that both know. So a log keeps
(epoch, start offset) for each epoch in which something was appended or a leader began, and answers where an epoch
ended.

What holds: epochs and start offsets ascend strictly, but for the start of an epoch in which nothing was written, which
the next one replaces. The file is Kafka's leader-epoch-checkpoint. It is written before the recovery point passes its
entries; newer ones are found again in the batches.
"""

from bisect import bisect_right
from typing import NamedTuple

NO_EPOCH = -1


class EpochStart(NamedTuple):
    epoch: int
    start_offset: int


class LeaderEpochs:
    """The epochs of one log. `latest` is -1 while there are none."""

    __slots__ = ("_starts", "latest")

    def __init__(self, starts: tuple[EpochStart, ...] = ()) -> None:
        self._starts = list(starts)
        self.latest = starts[-1].epoch if starts else NO_EPOCH

    @property
    def starts(self) -> tuple[EpochStart, ...]:
        return tuple(self._starts)

    def begin(self, epoch: int, start_offset: int) -> bool:
        """From `start_offset` on it is `epoch`. False, and nothing changes, if that is no newer than the latest."""
        if epoch <= self.latest:
            return False
        while self._starts and self._starts[-1].start_offset >= start_offset:
            self._starts.pop()
        self._starts.append(EpochStart(epoch, start_offset))
        self.latest = epoch
        return True

    def end_of(self, epoch: int, log_end: int) -> tuple[int, int]:
        """(largest known epoch that is at most `epoch`, its end offset), as OffsetForLeaderEpoch answers.

        (-1, -1) if `epoch` is newer than all; (`epoch`, start of the first) if it is older than all.
        """
        if not self._starts or epoch > self.latest:
            return NO_EPOCH, -1
        place = bisect_right(self._starts, epoch, key=_epoch) - 1
        if place < 0:
            return epoch, self._starts[0].start_offset
        after = place + 1
        end = self._starts[after].start_offset if after < len(self._starts) else log_end
        return self._starts[place].epoch, end

    def at(self, offset: int) -> int:
        """The epoch in which `offset` was, or would be, written; -1 before the first."""
        place = bisect_right(self._starts, offset, key=_start) - 1
        return self._starts[place].epoch if place >= 0 else NO_EPOCH

    def cut_end(self, end_offset: int) -> None:
        """Forget the epochs that began at or after `end_offset`: the log was truncated to it."""
        while self._starts and self._starts[-1].start_offset >= end_offset:
            self._starts.pop()
        self.latest = self._starts[-1].epoch if self._starts else NO_EPOCH

    def cut_start(self, start_offset: int) -> None:
        """Forget the epochs that ended before `start_offset`; the one that holds it now begins there."""
        if not self._starts or self._starts[0].start_offset >= start_offset:
            return
        place = bisect_right(self._starts, start_offset, key=_start) - 1
        self._starts[: place + 1] = [EpochStart(self._starts[place].epoch, start_offset)]

    def to_text(self) -> str:
        lines = [f"{start.epoch} {start.start_offset}\n" for start in self._starts]
        return f"0\n{len(lines)}\n" + "".join(lines)


def parse_epochs(text: str) -> LeaderEpochs:
    """What `to_text` wrote. Raises ValueError."""
    version, count, *lines = text.splitlines()
    starts = tuple(EpochStart(int(epoch), int(start)) for epoch, _, start in (line.partition(" ") for line in lines))
    epochs, offsets = [start.epoch for start in starts], [start.start_offset for start in starts]
    if version != "0" or int(count) != len(starts) or epochs != sorted(set(epochs)) or offsets != sorted(set(offsets)):
        raise ValueError("not a leader-epoch file of version 0")
    return LeaderEpochs(starts)


def _epoch(start: EpochStart) -> int:
    return start.epoch


def _start(start: EpochStart) -> int:
    return start.start_offset
