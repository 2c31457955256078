"""DescribeConfigs: every setting with its source; which value goes before which."""

import unittest
from typing import Any

from support.cluster_world import Asking, ClusterWorld

from server.api import k32_describe_configs
from server.broker_configs import BROKER_CONFIGS
from wire.topic_configs import TOPIC_CONFIGS, TOPIC_DEFAULTS

TOPIC, BROKER = 2, 4


def ask(world: ClusterWorld, kind: int, name: str, version: int = 4, **more: Any) -> Any:
    resource = {"resource_type": kind, "resource_name": name, "configuration_keys": more.pop("keys", None)}
    request = {"resources": [resource], "include_synonyms": True, "include_documentation": True}
    (result,) = Asking(k32_describe_configs, version, request | more, world).answer.results
    return result


def values(result: Any) -> dict[str, tuple[str | None, int]]:
    return {config.name: (config.value, config.config_source) for config in result.configs}


class DescribeConfigsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.world = ClusterWorld()

    def set(self, node_id: int | None, **configs: str) -> None:
        named = {name.replace("_", "."): value for name, value in configs.items()}
        record = {"type": "configs", "node_id": node_id, "configs": named}
        self.world.image = self.world.image.with_records([record], 1, self.world.image.version + 1)

    def test_named_twice_it_is_told_once(self) -> None:
        resource = {"resource_type": TOPIC, "resource_name": "orders", "configuration_keys": None}
        self.assertEqual(len(ask(self.world, TOPIC, "orders", resources=[resource] * 3).configs), len(TOPIC_CONFIGS))

    def test_every_setting_of_a_topic(self) -> None:
        result = ask(self.world, TOPIC, "orders")
        self.assertEqual([config.name for config in result.configs], list(TOPIC_CONFIGS))
        for config in result.configs:
            self.assertTrue(config.documentation, config.name)
            self.assertEqual(config.config_type, TOPIC_CONFIGS[config.name].kind)
            self.assertFalse(config.read_only)

    def test_sources_of_a_topics_settings(self) -> None:
        self.assertEqual(values(ask(self.world, TOPIC, "orders"))["retention.ms"], ("1000", 1))
        self.assertEqual(values(ask(self.world, TOPIC, "down"))["retention.ms"], ("77", 4))
        self.assertEqual(values(ask(self.world, TOPIC, "down"))["segment.ms"], ("604800000", 5))
        self.set(None, log_retention_ms="88")
        self.assertEqual(values(ask(self.world, TOPIC, "down"))["retention.ms"], ("88", 3))
        self.set(1, log_retention_ms="99")
        self.set(2, log_retention_ms="1")
        self.assertEqual(values(ask(self.world, TOPIC, "down"))["retention.ms"], ("99", 2))
        (config,) = ask(self.world, TOPIC, "orders", keys=["retention.ms"]).configs
        self.assertEqual(
            [(synonym.name, synonym.value, synonym.source) for synonym in config.synonyms],
            [("retention.ms", "1000", 1), ("log.retention.ms", "99", 2), ("log.retention.ms", "88", 3),
             ("log.retention.ms", "77", 4), ("log.retention.ms", "604800000", 5)],
        )  # fmt: skip

    def test_every_setting_of_a_broker(self) -> None:
        result = ask(self.world, BROKER, "1")
        names = [config.name for config in result.configs]
        known = {name for name, key in BROKER_CONFIGS.items() if key.default} | {"log.dirs"} | TOPIC_DEFAULTS.keys()
        self.assertEqual(names, sorted(known))
        told = values(result)
        self.assertEqual((told["log.dirs"], told["log.retention.ms"]), (("/data", 4), ("77", 4)))
        self.assertEqual(told["auto.create.topics.enable"], ("true", 5))
        self.assertEqual({c.name for c in result.configs if not c.read_only}, TOPIC_DEFAULTS.keys())

    def test_what_was_set_for_all_brokers(self) -> None:
        self.assertEqual(ask(self.world, BROKER, "").configs, ())
        self.set(None, log_retention_ms="88")
        self.assertEqual(values(ask(self.world, BROKER, "")), {"log.retention.ms": ("88", 3)})

    def test_refusals(self) -> None:
        for kind, name, code in (
            (TOPIC, "nobody", 3),
            (TOPIC, "a b", 17),
            (BROKER, "2", 42),
            (BROKER, "x", 42),
            (8, "1", 42),
        ):
            result = ask(self.world, kind, name)
            self.assertEqual((result.error_code, result.configs), (code, ()))
            self.assertTrue(result.error_message)

    def test_what_was_not_asked_is_not_told(self) -> None:
        self.assertEqual(ask(self.world, TOPIC, "orders", keys=[]).configs, ())
        self.assertEqual(ask(self.world, TOPIC, "orders", keys=["x"]).configs, ())
        (config,) = ask(
            self.world, TOPIC, "orders", keys=["segment.ms"], include_synonyms=False, include_documentation=False
        ).configs
        self.assertEqual((config.synonyms, config.documentation), ((), None))

    def test_every_version(self) -> None:
        for version in range(1, 5):
            self.assertEqual(len(ask(self.world, TOPIC, "orders", version).configs), len(TOPIC_CONFIGS))
