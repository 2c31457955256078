import json
import re
import unittest

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer import queue_calls as c
from loadbalancer.commands import BadCommand
from loadbalancer.rest.queue_openapi import queue_schemas
from wire.http_queue import why_not_a_partition

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


class Parsing(unittest.TestCase):
    def refused(self, body: object, content_type: str = JSON) -> str:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        with self.assertRaises(BadCommand) as caught:
            c.parse_add_partition(raw, content_type)
        return caught.exception.message

    def test_topics_add(self) -> None:
        call = c.AddPartition("T1", "P1")
        self.assertEqual(c.parse_add_partition(b'{"topic": "T1", "part": "P1"}', JSON), call)
        self.assertEqual(c.parse_add_partition(b'{"topic": "T1", "part": "P1", "more": 1}', ""), call)
        self.assertEqual(c.parse_add_partition(b"topic=T1&part=P1", FORM), call)

    def test_what_is_no_call_is_told_in_bare_words(self) -> None:
        self.assertEqual(self.refused(b"nonsense"), "the body is not JSON")
        self.assertEqual(self.refused([]), "the body must be a JSON object")
        self.assertEqual(self.refused({"part": "P1"}), "topic is missing")
        self.assertEqual(self.refused({"topic": "T1"}), "part is missing")
        self.assertEqual(self.refused({"topic": "T1", "part": 1}), "part must be a string")
        self.assertEqual(self.refused({"topic": None, "part": "P1"}), "topic must be a string")
        self.assertIn("reserved characters", self.refused({"topic": "T1", "part": "*"}))
        self.assertIn("Topic name is invalid", self.refused({"topic": "T 1", "part": "P1"}))
        self.assertIn("is not for clients", self.refused({"topic": "__carousel_names", "part": "P1"}))
        self.assertIn("is not for clients", self.refused({"topic": "__consumer_offsets", "part": "P1"}))

    def test_brokers(self) -> None:
        self.assertEqual(c.parse_broker("add", ["b1"]), c.AddBroker("b1"))
        self.assertEqual(c.parse_broker("rm", ["all"]), c.RemoveBroker("all"))
        self.assertEqual(c.parse_broker("test", ["no such\nname"]), c.CheckBroker("no such\nname"))
        for values, text in (([], "is missing"), ([""], "is missing"), (["a", "b"], "is repeated")):
            for action in ("add", "rm", "test"):
                with self.assertRaisesRegex(BadCommand, text):
                    c.parse_broker(action, values)
        for name, text in (("a b", "not of the form"), ("All", "means every server")):
            with self.assertRaisesRegex(BadCommand, text):
                c.parse_broker("add", [name])


class Words(unittest.TestCase):
    def test_they_are_the_field_s(self) -> None:
        done = {"message": {"N": 4}, "status": "successful"}
        self.assertEqual(
            c.in_queue_words(c.AddBroker("b1"), 200, done, there=True),
            (200, {"message": "successfully added b1", "status": "success"}),
        )
        self.assertEqual(
            c.in_queue_words(c.RemoveBroker("all"), 200, done, there=False),
            (200, {"message": "Removed all", "status": "success"}),
        )

    def test_faults(self) -> None:
        refused = {"message": "<Error> 'b1' is in use", "status": "failure"}
        self.assertEqual(
            c.in_queue_words(c.AddBroker("b1"), 400, refused, there=True),
            (400, {"message": "b1 already exist", "status": "failure"}),
        )
        self.assertEqual(
            c.in_queue_words(c.AddBroker("b1"), 400, refused, there=False),
            (400, {"message": "'b1' is in use", "status": "failure"}),
        )
        gone = c.in_queue_words(c.RemoveBroker("b1"), 400, refused, there=False)
        self.assertEqual(gone, (400, {"message": "b1 does not exist", "status": "failure"}))
        last = c.in_queue_words(
            c.RemoveBroker("b1"), 400, {"message": "<Error> the last", "status": "failure"}, there=True
        )
        self.assertEqual(last, (400, {"message": "the last", "status": "failure"}))
        busy = {"message": "<Error> busy", "status": "failure"}
        self.assertEqual(c.in_queue_words(c.AddBroker("b1"), 503, busy, there=False), (503, busy))


class Document(unittest.TestCase):
    @given(st.text(st.characters(codec="ascii"), max_size=5))
    def test_its_partitions_are_those_that_are_taken(self, name: str) -> None:
        pattern = queue_schemas()["QueuePart"]["properties"]["part"]["pattern"]
        self.assertEqual(re.search(pattern, name) is not None and "\n" not in name, why_not_a_partition(name) is None)


if __name__ == "__main__":
    unittest.main()
