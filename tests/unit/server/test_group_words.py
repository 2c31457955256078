"""`server.group_words`: Kafka's names and defaults."""

import unittest

from server.group_words import Commit, GroupSettings, GroupState, NewOffset
from wire.errors import ErrorCode


class WordsTest(unittest.TestCase):
    def test_states_by_the_names_that_tools_show(self) -> None:
        names = ["Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"]
        self.assertEqual([state.value for state in GroupState], names)

    def test_kafkas_defaults(self) -> None:
        settings = GroupSettings()
        self.assertEqual(settings.offsets_retention_ms, 10_080 * 60_000)
        self.assertEqual((settings.min_session_timeout_ms, settings.max_session_timeout_ms), (6_000, 1_800_000))

    def test_a_commit_is_refused_partition_by_partition(self) -> None:
        refused = Commit(1, "g", 1, "m", None, (NewOffset("t", 0, 1, -1, ""),) * 2).refused(ErrorCode.NOT_COORDINATOR)
        self.assertEqual(refused.codes, (ErrorCode.NOT_COORDINATOR,) * 2)
