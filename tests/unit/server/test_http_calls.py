"""`server.http_calls`: what is taken, and what the caller is told otherwise."""

import json
import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from server.http_calls import (
    NOTHING,
    BadCall,
    Consume,
    ListTopics,
    Produce,
    RegisterConsumer,
    RegisterProducer,
    Size,
    failure,
    read_call,
    refused,
    success,
)
from server.http_paths import PATHS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(["topic", "part", "producer_id", "consumer_id", "message", "ack", "other"])

BODIES = st.binary() | st.dictionaries(NAMES, JSON).map(lambda told: json.dumps(told).encode())
QUERIES = st.text(st.characters(max_codepoint=127), max_size=60)


def post(path: str, **told: object) -> object:
    return read_call("POST", path, "", json.dumps(told).encode())


class ReadingTest(unittest.TestCase):
    def test_what_is_asked(self) -> None:
        self.assertEqual(read_call("GET", "/topics", "", b""), ListTopics())
        self.assertEqual(post("/producer/register", topic="T1"), RegisterProducer("T1", None))
        self.assertEqual(post("/producer/register", topic="T1", part="P1"), RegisterProducer("T1", "P1"))
        self.assertEqual(post("/consumer/register", topic="T1", part=None), RegisterConsumer("T1", None))
        self.assertEqual(post("/consumer/register", topic="T1", part="*"), RegisterConsumer("T1", None))
        self.assertEqual(post("/producer/produce", producer_id=0, message="é"), Produce(0, "é".encode()))
        self.assertEqual(post("/producer/produce", producer_id="007", message=""), Produce(7, b""))
        self.assertEqual(read_call("GET", "/consumer/consume", "consumer_id=3", b""), Consume(3, None))
        self.assertEqual(read_call("GET", "/consumer/consume", "ack=-1&consumer_id=3", b""), Consume(3, NOTHING))
        self.assertEqual(read_call("GET", "/consumer/consume", "consumer_id=3&ack=12", b""), Consume(3, 12))
        self.assertEqual(read_call("GET", "/size", "consumer_id=%33&x=y", b""), Size(3))

    def test_numbers_that_are_none(self) -> None:
        for number in (True, -1, 1.0, "", "-1", "1.0", "٣", " 1", "1_0", None, [], 10**18, "1" * 19):
            with self.subTest(number=number), self.assertRaises(BadCall) as caught:
                post("/producer/produce", producer_id=number, message="x")
            self.assertEqual(caught.exception.status, 400)
            self.assertIn("producer_id must be a whole number", caught.exception.message)

    def test_reasons(self) -> None:
        for told, reason in (
            ({"topic": "T"}, "producer_id is missing"),
            ({"producer_id": 1}, "message is missing"),
            ({"producer_id": 1, "message": 2}, "message must be a string"),
            ({"producer_id": 1, "message": "\ud800"}, "message has half of a surrogate pair, which is no text"),
            ({"producer_id": "x" * 1000, "message": ""}, f'producer_id must be a whole number, not "{"x" * 99}…'),
        ):
            with self.assertRaises(BadCall) as caught:
                post("/producer/produce", **told)
            self.assertEqual(caught.exception.message, reason)

    def test_a_value_as_deep_as_can_be_read(self) -> None:
        """What can just be read may be too deep to be shown."""
        for depth in range(800, 1100):
            body = b'{"message": "x", "producer_id": ' + b"[" * depth + b"]" * depth + b"}"
            with self.subTest(depth=depth), self.assertRaises(BadCall):
                read_call("POST", "/producer/produce", "", body)

    def test_a_name_that_comes_twice(self) -> None:
        for body, name in (
            (b'{"producer_id": 0, "message": "x", "producer_id": 1}', "producer_id"),
            (b'{"producer_id": 0, "message": "x", "more": {"a": 1, "a": 1}}', "a"),
        ):
            with self.assertRaises(BadCall) as caught:
                read_call("POST", "/producer/produce", "", body)
            self.assertEqual((caught.exception.status, caught.exception.message), (400, f"{name} comes twice"))

    def test_queries(self) -> None:
        for query, reason in (
            ("", "consumer_id is missing"),
            ("consumer_id=1&consumer_id=2", "consumer_id comes twice"),
            ("&".join(f"a{at}=1" for at in range(30)), "a query has at most 20 parameters"),
        ):
            with self.assertRaises(BadCall) as caught:
                read_call("GET", "/size", query, b"")
            self.assertEqual(caught.exception.message, reason)

    def test_another_method_is_405(self) -> None:
        with self.assertRaises(BadCall) as caught:
            read_call("GET", "/producer/produce", "", b"")
        response = refused("/producer/produce", caught.exception)
        self.assertEqual((response.status, response.headers), (405, (("Allow", "POST"),)))
        self.assertEqual(refused("/topics", BadCall(400, "x")), failure(400, "x"))

    @settings(deadline=None)
    @given(st.sampled_from(sorted(PATHS)), st.sampled_from(["GET", "POST"]), BODIES, QUERIES)
    def test_law_whatever_comes_is_a_call_or_a_reason(self, path: str, method: str, body: bytes, query: str) -> None:
        try:
            read_call(method, path, query, body)
        except BadCall as error:
            answer = json.loads(refused(path, error).body)
            self.assertEqual(answer, {"message": error.message, "status": "failure"})
            self.assertIn(error.status, (400, 405))


class AnswersTest(unittest.TestCase):
    def test_shapes(self) -> None:
        self.assertEqual(success(0).body, b'{"message": 0, "status": "success"}')
        answer = failure(400, "no", topic="T1:P1")
        self.assertEqual(answer.body, b'{"message": "no", "topic": "T1:P1", "status": "failure"}')
        self.assertEqual((answer.status, answer.content_type), (400, "application/json"))


if __name__ == "__main__":
    unittest.main()
