"""ApiVersions: as kio writes it, and what clients trip over."""

import unittest
from typing import Any

from support.cluster_world import Asking, ClusterWorld
from support.kafka_python import BrokerVersionData

from server.api import k18_api_versions
from wire import messages
from wire.versions import ADVERTISED

KAFKA_4_3 = {0: (0, 13), 1: (4, 18), 3: (0, 13), 18: (0, 4), 19: (2, 7), 22: (0, 5), 35: (1, 5)}
NOT_DONE = {24, 25, 26, 28, 29, 48, 68, 71, 72, 76, 78}


def ask(version: int, name: str = "tool", release: str = "1.0") -> Any:
    request = {"client_software_name": name, "client_software_version": release}
    return Asking(k18_api_versions, version, request, ClusterWorld())


class ApiVersionsTest(unittest.TestCase):
    def test_bytes_are_kios(self) -> None:
        keys = [{"api_key": key, "min_version": low, "max_version": high} for key, low, high in ADVERTISED]
        for version in range(5):
            values = {"error_code": 0, "api_keys": keys, "throttle_time": 0}
            theirs = messages.answer(42, messages.build(18, version, values))
            self.assertEqual(ask(version).frame, theirs, version)

    def test_an_unknown_version_is_answered_in_version_0_with_the_list(self) -> None:
        frame = memoryview(k18_api_versions.unsupported(7))[4:]
        answer = messages.decode_response(18, 0, frame, 4)
        self.assertEqual(
            (int.from_bytes(frame[:4], "big"), answer.error_code, len(answer.api_keys)), (7, 35, len(ADVERTISED))
        )

    def test_the_mix(self) -> None:
        answer = ask(4).answer
        ranges = {api.api_key: (api.min_version, api.max_version) for api in answer.api_keys}
        self.assertEqual({key: ranges[key] for key in KAFKA_4_3}, KAFKA_4_3)
        self.assertFalse(NOT_DONE & ranges.keys())
        self.assertEqual(BrokerVersionData(api_versions=ranges).broker_version, (4, 3))

    def test_a_name_that_looks_like_none(self) -> None:
        for name in ("", "-a", "a b", "a-", "é"):
            answer = ask(3, name).answer
            self.assertEqual((answer.error_code, len(answer.api_keys)), (42, 0), name)
            self.assertEqual(ask(2, name).answer.error_code, 0)
        self.assertEqual(ask(3, "apache-kafka.java", "4.3.0").answer.error_code, 0)
