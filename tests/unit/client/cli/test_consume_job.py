import unittest
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from client.cli.consume_job import Job
from client.cli.formats import Seen, compiled
from client.cli.positions import Place
from client.errors import error_of
from client.values import Message


def message(offset: int, partition: int = 0) -> Message:
    return Message("T1", partition, offset, None, b"%d" % offset, (), 0)


@dataclass(slots=True)
class Log:
    """A consumer and an output, which write down in which order they are called."""

    messages: list[Message]
    partitions: int = 1
    marker: int = 0
    """Offsets at each end that belong to no message."""
    told: list[str] = field(default_factory=list[str])
    kept: dict[Place, int] = field(default_factory=dict[Place, int])
    text: bytes = b""
    full_after: int | None = None
    clock_s: float = 0.0
    handed: int = 0
    refuses: list[str] = field(default_factory=list[str])
    idle: bool = False

    def batch(self, count: int, timeout_s: float = 1.0) -> Sequence[Seen]:
        found = self.messages[self.handed : self.handed + count]
        self.handed += len(found)
        self.clock_s += 0 if found else timeout_s
        return found

    def commit(self) -> None:
        if self.refuses:
            self.told.append("refused")
            raise error_of(self.refuses.pop(), "no", "committing")
        self.told.append(f"commit {self.handed}")

    def assignment(self) -> tuple[Place, ...]:
        return tuple(("T1", partition) for partition in range(self.partitions)) if self.clock_s or self.handed else ()

    def ends(self) -> Mapping[Place, int]:
        found = dict.fromkeys(self.assignment(), 0)
        for one in self.messages:
            found[one.topic, one.partition] = one.offset + 1 + self.marker
        return found

    def reached(self) -> Mapping[Place, int]:
        return self.ends() if self.handed == len(self.messages) and self.clock_s else {}

    def write(self, data: bytes) -> None:
        if self.full_after is not None and len(self.text) >= self.full_after:
            raise BrokenPipeError
        self.text += data
        self.told.append(f"write {len(data)}")

    def keep(self, following: Mapping[Place, int]) -> None:
        self.kept = dict(following)
        self.told.append("keep")

    def begin_anew(self, place: Place) -> None:
        self.told.append(f"anew {place[1]}")


def job(log: Log, **more: Any) -> Job:
    more.setdefault("following", {})
    return Job(log, log, compiled("%s,"), now_s=lambda: log.clock_s, **more)


class ConsumeJobTest(unittest.TestCase):
    def test_written_then_kept_then_committed(self) -> None:
        log = Log([message(0), message(1)])
        self.assertTrue(job(log, count=2, commits=True).run())
        self.assertEqual((log.text, log.told), (b"0,1,", ["write 4", "keep", "commit 2"]))
        self.assertEqual(log.kept, {("T1", 0): 2})

    def test_not_one_more_than_asked_for(self) -> None:
        log = Log([message(offset) for offset in range(9)])
        self.assertTrue(job(log, count=5).run())
        self.assertEqual((log.text, log.handed), (b"0,1,2,3,4,", 5))

    def test_what_the_file_holds_is_passed_over_and_not_counted(self) -> None:
        log = Log([message(0), message(1), message(2)])
        self.assertTrue(job(log, count=1, following={("T1", 0): 2}, commits=True).run())
        self.assertEqual(log.text, b"2,")
        self.assertEqual(log.told.count("keep"), 1)

    def test_a_log_that_was_made_anew_is_read_from_its_beginning(self) -> None:
        for commits in (False, True):
            log = Log([*map(message, range(4)), message(0), message(1)])
            with mock.patch("client.cli.consume_job.BATCH", 4):
                self.assertTrue(job(log, count=6, commits=commits).run())
            self.assertEqual((log.text, log.told.count("anew 0")), (b"0,1,2,3,0,1,", 1))
            self.assertEqual(log.kept, {("T1", 0): 2})

    def test_what_a_group_hands_out_again_is_of_the_same_log(self) -> None:
        log = Log([message(0), message(1), message(2), message(1), message(2), message(3)])
        with mock.patch("client.cli.consume_job.BATCH", 3):
            self.assertTrue(job(log, until_end=True, commits=True).run())
        self.assertEqual((log.text, log.told.count("anew 0")), (b"0,1,2,3,", 0))

    def test_until_the_end_of_every_partition_even_if_no_message_is_the_last(self) -> None:
        for partitions, marker in ((1, 0), (2, 0), (1, 1)):
            log = Log([message(0), message(1)], partitions, marker)
            self.assertTrue(job(log, until_end=True).run())
            self.assertEqual(log.text, b"0,1,")

    def test_an_empty_topic_ends_too(self) -> None:
        log = Log([])
        self.assertTrue(job(log, until_end=True).run())
        self.assertEqual(log.told, [])

    def test_a_member_that_is_left_nothing_to_read_ends(self) -> None:
        log = Log([], partitions=0, idle=True)
        self.assertTrue(job(log, until_end=True, commits=True).run())
        self.assertLess(10, log.clock_s)
        self.assertLess(log.clock_s, 11)

    def test_a_member_that_waits_for_the_group_does_not(self) -> None:
        """It is not idle while the group is rearranged, however long that takes."""
        log = Log([], partitions=0)
        self.assertTrue(job(log, until_end=True, commits=True, quiet_s=30.0).run())
        self.assertLess(30, log.clock_s)

    def test_silence_is_an_end_but_not_the_one_that_a_count_asked_for(self) -> None:
        for count, well in ((None, True), (3, False)):
            log = Log([message(0)])
            self.assertEqual(job(log, count=count, quiet_s=1.0).run(), well)
            self.assertEqual(log.kept, {("T1", 0): 1})

    def test_after_a_write_that_broke_nothing_is_kept_or_committed(self) -> None:
        log = Log([message(offset) for offset in range(4)], full_after=2)
        work = job(log, commits=True)
        with mock.patch("client.cli.consume_job.BATCH", 1), self.assertRaises(BrokenPipeError):
            work.run()
        self.assertEqual(log.told, ["write 2", "keep", "commit 1"])

    def test_a_group_that_moved_on_is_told_when_it_has_come_again(self) -> None:
        log = Log([message(0), message(1), message(0), message(1)], refuses=["UNKNOWN_MEMBER_ID"])
        with mock.patch("client.cli.consume_job.BATCH", 2):
            self.assertTrue(job(log, until_end=True, commits=True).run())
        self.assertEqual(log.text, b"0,1,")
        self.assertEqual(log.told, ["write 4", "keep", "refused", "commit 4"])

    def test_a_group_that_can_t_be_told_is_left_after_a_silence(self) -> None:
        log = Log([message(0)], refuses=["ILLEGAL_GENERATION"])
        self.assertTrue(job(log, until_end=True, commits=True).run())
        self.assertGreater(log.clock_s, 9.0)

    def test_without_a_group_it_is_kept_now_and_then_and_at_the_end(self) -> None:
        log = Log([message(0)])
        job(log, quiet_s=5.0).run()
        self.assertEqual(log.told, ["write 2", "keep"])


if __name__ == "__main__":
    unittest.main()
