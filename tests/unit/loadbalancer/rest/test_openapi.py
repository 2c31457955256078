import json
import re
import unittest
from collections.abc import Iterator
from typing import Any

from loadbalancer import names
from loadbalancer.rest.openapi import document


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from ([value["$ref"]] if "$ref" in value else [])
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from references(item)


class DocumentTest(unittest.TestCase):
    def test_every_reference_leads_somewhere(self) -> None:
        whole = document(backends=False, queue=True)
        for reference in set(references(whole)):
            found: Any = whole
            for part in reference.removeprefix("#/").split("/"):
                found = found[part]
            self.assertIsInstance(found, dict)

    def test_operation_ids_are_unique(self) -> None:
        paths = document(backends=False, queue=True)["paths"]
        ids = [item[method]["operationId"] for item in paths.values() for method in item if method != "parameters"]
        self.assertEqual(len(ids), len(set(ids)))

    def test_it_is_json(self) -> None:
        self.assertEqual("3.1.0", json.loads(json.dumps(document(backends=True)))["openapi"])

    def test_its_names_are_those_that_are_taken(self) -> None:
        for backends in (False, True):
            schema = document(backends=backends)["components"]["schemas"]["Name"]
            for name in ("server1", "S_5-a", "-a", "", "a" * 64, "127.0.0.1:80", "[::1]:80", "host:", "a b"):
                with self.subTest(name=name, backends=backends):
                    taken = names.fault_of(name, backend=backends) is None
                    matched = re.search(schema["pattern"], name) is not None and len(name) <= schema["maxLength"]
                    self.assertEqual(taken, matched)


if __name__ == "__main__":
    unittest.main()
