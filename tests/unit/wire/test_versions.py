"""`wire.versions`: the table is Kafka 4.3's, and kio's schemas agree with it."""

import unittest

from kio.schema.index import api_key_map, schema_name_map
from support.kafka_python import BrokerVersionData

from wire import versions
from wire.schemas import message_class
from wire.versions import ADVERTISED, APIS, REQUEST_HEADERS, is_flexible, response_header


class VersionsTest(unittest.TestCase):
    def test_kio_has_every_api_and_version(self) -> None:
        for api in APIS.values():
            self.assertEqual(api_key_map[api.key], api.name)
            self.assertLessEqual(set(range(api.lowest, api.highest + 1)), set(schema_name_map[api.name]))
            self.assertEqual(min(schema_name_map[api.name]), api.lowest)

    def test_headers_are_kios(self) -> None:
        for (key, version), header in REQUEST_HEADERS.items():
            if key in (versions.METADATA_POLL, versions.STATE_OFFER):
                continue
            request, response = message_class(key, version, "request"), message_class(key, version, "response")
            self.assertEqual(request.__header_schema__.__version__, header)
            self.assertEqual(response.__header_schema__.__version__, response_header(key, version))
            self.assertEqual(request.__flexible__, is_flexible(key, version))

    def test_kafka_python_takes_it_for_kafka_4_3(self) -> None:
        ranges = {key: (lowest, highest) for key, lowest, highest in ADVERTISED}
        self.assertEqual(BrokerVersionData(api_versions=ranges).broker_version, (4, 3))

    def test_clients_are_told_of_their_apis_only(self) -> None:
        told = {key for key, _, _ in ADVERTISED}
        self.assertEqual(told, {api.key for api in versions.PUBLIC})
        self.assertFalse(told & {api.key for api in versions.INTERNAL})

    def test_produce_is_told_from_0_and_served_from_3(self) -> None:
        self.assertIn((0, 0, 13), ADVERTISED)
        self.assertNotIn((0, 2), REQUEST_HEADERS)

    def test_minima_that_clients_are_bound_to(self) -> None:
        lowest = {key: low for key, low, _ in ADVERTISED}
        self.assertEqual((lowest[versions.FETCH], lowest[versions.OFFSET_FOR_LEADER_EPOCH]), (4, 2))
