"""`server.topic_configs`: what isn't known isn't shown. The order of sources is tested by DescribeConfigs."""

import unittest

from support.cluster_world import small_image

from server.topic_configs import Source, broker_settings, default_settings, topic_settings
from wire.topic_configs import TOPIC_CONFIGS


class TopicConfigsTest(unittest.TestCase):
    def test_settings_without_a_broker_name_have_kafkas_default(self) -> None:
        for described in topic_settings(small_image(), 1, {}, "down"):
            if TOPIC_CONFIGS[described.name].broker_name is None:
                self.assertEqual([synonym.source for synonym in described.synonyms], [Source.DEFAULT])

    def test_what_is_not_known_is_not_shown(self) -> None:
        names = {described.name for described in broker_settings(small_image(), 1, {})}
        self.assertNotIn("log.dirs", names)
        told = {described.name for described in broker_settings(small_image(), 1, {"log.dirs": "/d"})}
        self.assertEqual(told - names, {"log.dirs"})

    def test_unknown_defaults_are_skipped(self) -> None:
        record = {"type": "configs", "node_id": None, "configs": {"of.a.newer.version": "1"}}
        self.assertEqual(default_settings(small_image().with_records([record], 1, 8)), [])
