"""SKIPPED.md: every API of Kafka's is either advertised or there, with a reason, and none is both."""

import re
import unittest
from pathlib import Path

from kio.schema.index import api_key_map
from support.kafka_python import BrokerVersionData

import server.api
from wire.versions import ADVERTISED

TEXT = (Path(server.api.__file__).parent / "SKIPPED.md").read_text()
REMOVED = {4, 5, 6, 7, 52, 53, 54, 58, 59, 70, 73, 82}
"""Of Kafka's own servers and controllers, or gone in 4.0: no client's."""


def skipped() -> dict[int, str]:
    found: dict[int, str] = {}
    for names, keys, why in re.findall(r"^\| ([A-Z][A-Za-z, ]+) \| ([\d, ]+) \| (.+) \|$", TEXT, re.M):
        for name, key in zip(names.split(", "), keys.split(", "), strict=True):
            assert why and int(key) not in found
            found[int(key)] = name
    return found


class SkippedTest(unittest.TestCase):
    def test_each_is_advertised_or_skipped(self) -> None:
        advertised = {key for key, _, _ in ADVERTISED}
        self.assertFalse(advertised & skipped().keys())
        self.assertFalse(set(api_key_map) - advertised - skipped().keys() - REMOVED)

    def test_names_belong_to_keys(self) -> None:
        for key, name in skipped().items():
            if key in api_key_map:
                self.assertEqual(api_key_map[key], re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower())

    def test_what_kafka_4_3_tells(self) -> None:
        theirs = BrokerVersionData((4, 3)).api_versions or {}
        self.assertFalse(set(theirs) - {key for key, _, _ in ADVERTISED} - skipped().keys())
