"""`server.broker_configs`: the table is sound."""

import unittest

from server.broker_configs import BROKER_CONFIGS
from wire.topic_configs import TOPIC_DEFAULTS, why_not_value


class BrokerConfigsTest(unittest.TestCase):
    def test_in_order_valid_and_no_topics_default(self) -> None:
        self.assertEqual(list(BROKER_CONFIGS), sorted(BROKER_CONFIGS))
        self.assertFalse(BROKER_CONFIGS.keys() & TOPIC_DEFAULTS.keys())
        for key in BROKER_CONFIGS.values():
            self.assertTrue(key.doc)
            self.assertTrue(not key.default or why_not_value(key, key.default) is None)
