"""`server.recovery`: whatever a power cut leaves, a prefix of the log with all that was acknowledged (R8)."""

import unittest
from collections.abc import Callable
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.log_case import (
    NAME,
    SMALL,
    Fuse,
    PowerCut,
    Site,
    Story,
    append,
    batch,
    contents,
    new_log,
    reopened,
    survive,
    sync,
)

from server.disk.memory import MemoryDisk
from server.log_files import CHECKPOINT, INDEX, LOG, file_name
from server.log_settings import LogSettings
from server.recovery import open_log
from server.storage import StorageError


def growing(story: Story) -> None:
    """A log that rolls, syncs, is stopped in good order, and loses its oldest segments."""
    story.open()
    for number in range(4):
        story.append(2)
        story.append()
        story.sync()
        story.append()
        if number == 1:
            story.begin_epoch()
    story.stop_and_start()
    story.append(2)
    story.sync(checkpoint=True)
    story.append(2)
    story.advance_start(8)
    story.sync()
    story.append()
    story.append()
    story.advance_start(12)
    story.sync()


def following(story: Story) -> None:
    """A follower's log, cut back twice and emptied once."""
    story.open()
    for _ in range(4):
        story.append(2)
        story.append()
    story.sync()
    story.stop_and_start()
    story.append()
    story.append(2)
    story.truncate(10)
    story.append()
    story.append(2)
    story.sync()
    story.append(4)
    story.append(4)
    story.sync(checkpoint=True)
    story.truncate(3)
    story.append()
    story.sync(checkpoint=True)
    story.append()
    story.restart_at(40)
    story.append()
    story.sync()


def deleting(story: Story) -> None:
    """Some segments, and then all of them, go."""
    story.open()
    for _ in range(8):
        story.append(2, size=60)
    story.sync(checkpoint=True)
    story.advance_start(8)
    story.sync()
    story.advance_start(story.log.end_offset)
    story.sync()


class PowerCutTest(unittest.TestCase):
    def test_at_every_operation_of_the_disk(self) -> None:
        for play in (growing, following):
            survive(play, range(5))

    def test_again_while_recovering(self) -> None:
        for seed in range(150):
            random = Random(seed)
            fuse = Fuse(random.randrange(20, 120))
            story = Story(MemoryDisk(fuse))
            for _ in range(5):
                with suppress(PowerCut):
                    if not story.exists:
                        growing(story)
                    open_log(story.disk.make(NAME), SMALL)
                story.disk.kill(random.randrange)
                if not story.exists:
                    break
                story.disk.hook = Fuse(random.randrange(20))
            story.disk.hook = Fuse()
            story.check(story.disk.make(NAME) if story.exists else None)

    def test_an_index_that_the_power_has_brought_back(self) -> None:
        """A segment was cut away, its index's removal lost; the next one that begins there is too small for one."""
        log = new_log(LogSettings(index_interval_bytes=1))
        stale = log.directory.create(file_name(1, INDEX))
        stale.append(bytes(4) + b"\0\0\7\7")
        stale.sync()
        log.directory.sync()
        log = reopened(log)
        for _ in range(2):
            append(log, batch())
            log.roll()
            sync(log)
        append(log, batch())
        sync(log, checkpoint=True)
        self.assertEqual(contents(reopened(log)), contents(log))

    def test_after_a_kill_that_the_page_cache_survives(self) -> None:
        """Then the power is cut while recovering: nothing may be gone because of what was never on the disk."""
        fuse = Fuse()
        deleting(Story(MemoryDisk(fuse)))
        for at in range(fuse.count):
            for then in range(1, 7):
                for seed in range(3):
                    story = Story(MemoryDisk(Fuse(at)))
                    with suppress(PowerCut):
                        deleting(story)
                    if not story.exists:
                        continue
                    story.disk.hook = Fuse(then)
                    with suppress(PowerCut):
                        open_log(story.disk.make(NAME), SMALL)
                    story.disk.kill(Random(f"{at} {then} {seed}").randrange)
                    story.check(story.disk.make(NAME))


@pytest.mark.slow
def test_every_sync_is_needed() -> None:
    """Take out any one of them, and some power cut breaks the law in one of the stories. (Every day the simulation in
    tests/sim does so for some.)"""
    sites = survive(growing, ()) | survive(following, ())
    assert len(sites) > 10
    for site in sorted(sites):
        assert _is_needed(growing, site) or _is_needed(following, site), f"nobody missed {site}"


def _is_needed(play: Callable[[Story], None], site: Site) -> bool:
    try:
        survive(play, range(12), lie=site)
    except (AssertionError, StorageError):
        return True
    return False


STEPS: dict[str, Callable[[Story], None]] = {
    "append": Story.append,
    "append more": lambda story: story.append(3, size=60),
    "sync": Story.sync,
    "checkpoint": lambda story: story.sync(checkpoint=True),
    "stop": Story.stop_and_start,
    "epoch": Story.begin_epoch,
    "delete half": lambda story: story.advance_start((story.log.log_start + story.acknowledged) // 2),
    "delete all": lambda story: story.advance_start(story.acknowledged),
    "cut half": lambda story: story.truncate((story.log.log_start + story.log.end_offset) // 2),
    "cut": lambda story: story.truncate(story.log.end_offset - 1),
    "restart": lambda story: story.restart_at(story.log.end_offset + 5),
}


class Law(unittest.TestCase):
    @settings(deadline=None)
    @given(
        st.lists(st.sampled_from(sorted(STEPS)), max_size=40), st.integers(0, 200), st.randoms(use_true_random=False)
    )
    def test_a_prefix_with_all_that_was_acknowledged(self, steps: list[str], cut_at: int, random: Random) -> None:
        story = Story(MemoryDisk(Fuse(cut_at)))
        with suppress(PowerCut):
            story.open()
            for step in steps:
                STEPS[step](story)
        story.disk.kill(random.randrange)
        story.check(story.disk.make(NAME) if NAME in story.disk.names() else None)

    @settings(deadline=None)
    @given(st.integers(0, 3000), st.integers(0, 255), st.booleans())
    def test_any_byte_changed(self, place: int, value: int, checkpoint: bool) -> None:
        """Above the recovery point the log ends before it; below, the log is refused if it is looked at, never cut."""
        log = new_log(LogSettings(index_interval_bytes=100))
        for number in range(8):
            append(log, batch(2, time_ms=number, size=20))
        sync(log, checkpoint)
        append(log)
        sync(log)
        before, name = contents(log), file_name(0, LOG)
        file = log.directory.open(name)
        data = bytearray(file.read(0, file.size))
        place %= len(data)
        changed, data[place] = data[place] != value, value
        file.truncate(0)
        file.append(data)
        sizes = [len(one) for one in before]
        hit = next(number for number in range(len(sizes)) if place < sum(sizes[: number + 1]))
        unchecked = place - sum(sizes[:hit]) < 8 or 12 <= place - sum(sizes[:hit]) < 16  # offset and epoch: no CRC
        try:
            after = contents(reopened(log))
        except StorageError as error:
            self.assertTrue(changed and checkpoint and hit < 8 and error.final)
            self.assertEqual(file.size, len(data), "cut, though it was sure")
            return
        if not unchecked:
            self.assertEqual(after, before[:hit] if changed else before)


def failing_syncs(operation: str, name: str) -> bool:
    """A hook: logs can't be synced, small files can, as when one sector is bad."""
    if operation == "sync" and name.endswith(".log"):
        raise StorageError("I/O error", final=True)
    return False


class OpenTest(unittest.TestCase):
    def test_a_segment_of_just_the_size_of_the_one_before(self) -> None:
        """The stored size is that of another segment: nothing may be believed for it."""
        log = new_log(LogSettings(segment_bytes=2 * len(batch())))
        append(log)
        append(log)
        sync(log, checkpoint=True)
        append(log)
        append(log)
        for file in (log.segments[1].file,):
            file.sync()
        log.directory.sync()
        self.assertEqual(len(contents(reopened(log))), 4)

    def test_above_the_recovery_point_nothing_if_distrusted(self) -> None:
        log = new_log()
        for number in range(20):
            append(log, batch(2))
            sync(log, checkpoint=number == 5)
            if log.segments[-1].base_offset > 12:
                break
        point, before = log.checkpoint.recovery_point, contents(log)
        again = open_log(log.directory, log.settings, distrust=True)
        self.assertEqual((again.end_offset, contents(again)), (point, before[: point // 2]))

    def test_after_a_failed_sync_what_was_synced_before_and_nothing_else(self) -> None:
        """The page cache has all of it, and the kernel calls it clean: a restart would believe it (R8)."""
        for synced in (0, 3, 10):
            with self.subTest(synced):
                disk = MemoryDisk()
                log = new_log(disk=disk)
                for at in range(14):
                    append(log)
                    if at < synced:
                        sync(log)
                disk.hook = failing_syncs
                with self.assertRaises(StorageError):
                    sync(log)
                disk.hook = lambda operation, name: False
                again = reopened(log)
                self.assertEqual((again.end_offset, again.synced_end), (synced, synced))
                append(again)
                sync(again)
                self.assertEqual(reopened(log).end_offset, synced + 1, "the next one believes again")

    def test_a_sync_that_fails_again_while_recovering(self) -> None:
        disk = MemoryDisk()
        log = new_log(disk=disk)
        append(log)
        sync(log)
        append(log)
        disk.hook = failing_syncs
        with self.assertRaises(StorageError):
            sync(log)
        with self.assertRaises(StorageError):
            reopened(log)
        disk.hook = lambda operation, name: False
        self.assertEqual(reopened(log).end_offset, 1, "what was acknowledged stays")

    def test_a_file_that_lost_its_end_below_the_recovery_point(self) -> None:
        log = new_log()
        append(log)
        append(log)
        sync(log, checkpoint=True)
        log.directory.open(file_name(0, LOG)).truncate(len(batch()))
        for _ in range(2):
            with self.assertRaises(StorageError) as caught:
                reopened(log)
            self.assertTrue(caught.exception.final)

    def test_a_lost_segment_or_a_checkpoint_that_is_none(self) -> None:
        log = new_log()
        for _ in range(30):
            append(log)
        sync(log, checkpoint=True)
        log.directory.remove(file_name(0, LOG))
        with self.assertRaises(StorageError):
            reopened(log)
        log.directory.create(CHECKPOINT).append(b"version=0\n")
        with self.assertRaises(StorageError):
            reopened(log)

    def test_indexes_that_are_missing_are_made_again(self) -> None:
        log = new_log()
        for number in range(40):
            append(log, batch(time_ms=number))
        sync(log, checkpoint=True)
        for name in log.directory.names():
            if name.endswith("index"):
                log.directory.remove(name)
        again = reopened(log)
        self.assertEqual(contents(again), contents(log))
        self.assertEqual(
            [again.find_by_time(number) for number in range(40)], [(number, number) for number in range(40)]
        )

    def test_old_batches_are_not_read_where_no_producers_were(self) -> None:
        log = new_log()
        for _ in range(40):
            append(log)
        sync(log, checkpoint=True)
        self.assertEqual(log.checkpoint.producers, 0)
        self.assertEqual([name for name in log.directory.names() if name.endswith(".snapshot")], [])
        self.assertEqual(len(reopened(log).producers), 0)
