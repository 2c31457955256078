"""`server.exposition`: what Prometheus's own parser makes of it."""

import unittest

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from server.exposition import family, gauge, labels


class ExpositionTest(unittest.TestCase):
    def test_a_family(self) -> None:
        text = family("a_total", "counter", "How many.", [("", 3), (labels({"b": "c", "d": 1}), 2.5)])
        (found,) = text_string_to_metric_families(text)
        self.assertEqual((found.name, found.type, found.documentation), ("a", "counter", "How many."))
        self.assertEqual([(one.labels, one.value) for one in found.samples], [({}, 3), ({"b": "c", "d": "1"}, 2.5)])

    def test_none_without_samples(self) -> None:
        self.assertEqual(family("a", "gauge", "None.", []), "")
        self.assertEqual(labels({}), "")

    def test_a_gauge(self) -> None:
        self.assertEqual(gauge("a", "One.", 7), "# HELP a One.\n# TYPE a gauge\na 7\n")

    @given(st.text(st.characters(exclude_categories=["Cs"])))
    def test_any_label_survives(self, value: str) -> None:
        (found,) = text_string_to_metric_families(family("a", "gauge", "One.", [(labels({"b": value}), 1)]))
        self.assertEqual(found.samples[0].labels, {"b": value})
