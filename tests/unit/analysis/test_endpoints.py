import json
import unittest

from analysis.endpoints import shape, shown


class ShownTest(unittest.TestCase):
    def test_messages_are_shown_other_json_by_its_shape(self) -> None:
        told = b'{"message": "<Error> n is missing", "status": "failure"}'
        self.assertEqual(shown("application/json", told), told.decode())
        listed = b'{"message": {"N": 1, "replicas": ["a"]}, "status": "successful"}'
        self.assertEqual(
            shown("application/json", listed), '{"message": {"N": int, "replicas": [text, …]}, "status": text}'
        )
        self.assertEqual(shown("application/json", b'[{"id": 1}]'), '[{"id": int}, …]')
        self.assertEqual(shown("text/plain", b"x 1"), "text/plain text")
        self.assertEqual(shown("text/plain", b""), "empty")

    def test_shapes_of_all_kinds(self) -> None:
        value = json.loads('{"a": null, "b": true, "c": 1.5, "d": [], "e": {"f": {"g": 1}}}')
        self.assertEqual(shape(value), '{"a": null, "b": bool, "c": number, "d": [], "e": {"f": {…}}}')
