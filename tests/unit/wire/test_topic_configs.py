"""`wire.topic_configs`: every default is valid, and what is refused is what Kafka refuses."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from wire.topic_configs import (
    LONG_MAX,
    NOT_HONOURED,
    TOPIC_CONFIGS,
    TOPIC_DEFAULTS,
    list_of,
    why_not_config,
    why_not_configs,
    why_not_default,
    why_not_value,
)


class TopicConfigsTest(unittest.TestCase):
    def test_defaults_are_valid(self) -> None:
        for key in TOPIC_CONFIGS.values():
            self.assertIsNone(why_not_value(key, key.default), key.name)

    def test_the_table_is_in_order_and_says_what_is_not_done(self) -> None:
        self.assertEqual(list(TOPIC_CONFIGS), sorted(TOPIC_CONFIGS))
        for key in TOPIC_CONFIGS.values():
            self.assertEqual(key.documentation.endswith(NOT_HONOURED), not key.honoured)

    def test_good(self) -> None:
        for name, value in (
            ("cleanup.policy", "compact, delete"), ("retention.ms", "-1"), ("retention.ms", str(LONG_MAX)),
            ("min.cleanable.dirty.ratio", "0"), ("preallocate", "TRUE"), ("segment.bytes", "1048576"),
            ("message.timestamp.type", "LogAppendTime"), ("follower.replication.throttled.replicas", "*"),
            ("remote.storage.enable", "false"),
        ):  # fmt: skip
            self.assertIsNone(why_not_config(name, value), name)

    def test_bad(self) -> None:
        for name, value in (
            ("cleanup.policy", "shrink"), ("cleanup.policy", ""), ("retention.ms", "-2"), ("retention.ms", "1e3"),
            ("retention.ms", str(LONG_MAX + 1)), ("retention.ms", ""), ("retention.ms", "9" * 5000),
            ("segment.bytes", "1024"), ("segment.bytes", "1_000"), ("segment.bytes", "٣"),
            ("min.cleanable.dirty.ratio", "1.1"), ("min.cleanable.dirty.ratio", "nan"),
            ("min.cleanable.dirty.ratio", "x"),
            ("preallocate", "yes"), ("message.timestamp.type", "createtime"), ("min.insync.replicas", "0"),
            ("no.such.thing", "1"), ("retention.ms", None), ("remote.storage.enable", "true"),
        ):  # fmt: skip
            self.assertIsNotNone(why_not_config(name, value), name)

    def test_brokers_names(self) -> None:
        self.assertIsNone(why_not_default("log.retention.ms", "5"))
        for name, value in (("log.retention.ms", "x"), ("retention.ms", "5"), ("log.retention.ms", None)):
            self.assertIsNotNone(why_not_default(name, value), name)
        self.assertIs(TOPIC_DEFAULTS["message.max.bytes"], TOPIC_CONFIGS["max.message.bytes"])

    def test_the_first_fault_is_told(self) -> None:
        self.assertIsNone(why_not_configs([]))
        self.assertIn("Unknown", why_not_configs([("retention.ms", "1"), ("x", "1"), ("segment.ms", "0")]) or "")

    def test_lists(self) -> None:
        self.assertEqual((list_of("a, b"), list_of(" ")), (["a", "b"], []))

    @given(st.sampled_from(list(TOPIC_CONFIGS)), st.text())
    def test_any_text_is_judged(self, name: str, value: str) -> None:
        why_not_config(name, value)
