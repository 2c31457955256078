"""`server.topic_rules`: whose word counts."""

import unittest

from server.log_settings import LogSettings
from server.topic_rules import topic_rules


class TopicRulesTest(unittest.TestCase):
    def test_defaults_are_kafkas_and_the_logs_own(self) -> None:
        rules = topic_rules({}, {})
        self.assertEqual(rules.log, LogSettings())
        self.assertEqual((rules.max_message_bytes, rules.min_insync_replicas), (1_048_588, 1))
        self.assertEqual(
            (rules.has_append_time, rules.max_ahead_ms, rules.max_behind_ms), (False, 3_600_000, 2**63 - 1)
        )

    def test_a_topics_own_goes_before_the_brokers(self) -> None:
        broker = {"log.retention.ms": "5", "log.segment.bytes": "2000000", "message.max.bytes": "9"}
        rules = topic_rules({"retention.ms": "7"}, broker)
        self.assertEqual((rules.log.retention_ms, rules.log.segment_bytes, rules.max_message_bytes), (7, 2_000_000, 9))

    def test_what_is_done_with_old_records(self) -> None:
        for policy, deletes, compacts in (("delete", True, False), ("compact", False, True), ("compact, delete", 1, 1)):
            log = topic_rules({"cleanup.policy": policy}, {}).log
            self.assertEqual((log.deletes, log.compacts), (deletes, compacts))

    def test_what_cannot_be_read_has_the_default(self) -> None:
        rules = topic_rules({"retention.ms": "soon", "min.cleanable.dirty.ratio": "half", "unknown": "x"}, {})
        self.assertEqual((rules.log.retention_ms, rules.log.min_dirty_ratio), (7 * 86_400_000, 0.5))


if __name__ == "__main__":
    unittest.main()
