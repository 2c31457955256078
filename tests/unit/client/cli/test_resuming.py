import unittest
from typing import Any
from unittest import mock

from support.queue_admin import FakeAdmin

from client.cli.resuming import ends_of, found_in_log, starts_of
from client.cli.sending import BadState, Found, State
from client.cli.terms import Cluster
from client.errors import TopicNotFound
from client.produce_log import HEADER, mark
from client.values import Message, Offsets


def message(partition: int, offset: int, run: str, number: int) -> Message:
    return Message("T1", partition, offset, None, b"", ((HEADER, mark(run, number)),), 0)


class FakeConsumer:
    """Partition 0 holds lines 2 and 4 of the run, and one of another's; line 3 comes late."""

    def __init__(self, bootstrap: str, topic: str, **how: Any) -> None:
        self.start = how["start"]
        self.batches = [[message(0, 5, "run", 2), message(0, 6, "other", 9)], [message(0, 7, "run", 4)], [],
                        [message(1, 0, "run", 3)]]  # fmt: skip

    def __enter__(self) -> "FakeConsumer":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ends(self) -> dict[tuple[str, int], int]:
        return {("T1", 0): 8, ("T1", 1): 0}

    def reached(self) -> dict[tuple[str, int], int]:
        return {}

    def batch(self, count: int, timeout_s: float) -> list[Message]:
        CLOCK[0] += timeout_s
        return self.batches.pop(0) if self.batches else []


CLOCK = [0.0]


class ResumingTest(unittest.TestCase):
    def test_the_lines_beyond_the_prefix_and_those_that_come_late(self) -> None:
        admin = FakeAdmin({"T1": [Offsets(0, 8), Offsets(0, 0)]})
        state = State("T1", "run", {0: 5}, 1, 0)
        with (
            mock.patch("client.Admin", admin),
            mock.patch("client.Consumer", FakeConsumer),
            mock.patch("client.cli.resuming.time.monotonic", lambda: CLOCK[0]),
        ):
            self.assertEqual(ends_of(Cluster("here:1"), "T1"), {0: 8, 1: 0})
            found = found_in_log(Cluster("here:1"), state)
        self.assertEqual(found, {2: Found(0, 5), 4: Found(0, 7), 3: Found(1, 0)})
        self.assertGreaterEqual(CLOCK[0], 1.0)

    def test_a_topic_that_is_yet_to_be_made(self) -> None:
        """Sending makes it, as without a state file; a run that was killed before that has nothing there."""
        with mock.patch("client.Admin", FakeAdmin({})):
            self.assertEqual(ends_of(Cluster("here:1"), "T1"), {})
            self.assertEqual(found_in_log(Cluster("here:1"), State("T1", "run", {})), {})
            with self.assertRaises(TopicNotFound):  # it was there: nobody knows what is missing
                found_in_log(Cluster("here:1"), State("T1", "run", {0: 5}, 5, 0))

    def test_a_topic_that_was_made_by_the_killed_run(self) -> None:
        with (
            mock.patch("client.Admin", FakeAdmin({"T1": [Offsets(0, 8), Offsets(0, 0)]})),
            mock.patch("client.Consumer", FakeConsumer),
            mock.patch("client.cli.resuming.time.monotonic", lambda: CLOCK[0]),
        ):
            found = found_in_log(Cluster("here:1"), State("T1", "run", {}))
        self.assertEqual(sorted(found), [2, 3, 4])

    def test_a_log_that_lost_what_was_sent_can_t_tell(self) -> None:
        for state in (State("T1", "run", {0: 4}), State("T1", "run", {0: 9}), State("T1", "run", {7: 0})):
            with (
                mock.patch("client.Admin", FakeAdmin({"T1": [Offsets(5, 8), Offsets(0, 0)]})),
                self.assertRaisesRegex(BadState, "no longer holds"),
            ):
                starts_of(Cluster("here:1"), state)


if __name__ == "__main__":
    unittest.main()
