import json
import unittest
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer import names
from loadbalancer.commands import BadCommand
from loadbalancer.requests import (
    FORM,
    MAX_COUNT,
    Add,
    Recover,
    Remove,
    SetWeight,
    parse_add,
    parse_recover,
    parse_remove,
    parse_since,
    parse_weight,
)

JSON = "application/json"
TOO_MANY_TO_ADD = "<Error> Length of hostname list is more than newly added instances"
TOO_MANY_TO_REMOVE = "<Error> Length of hostname list is more than removable instances"
NAMES = st.from_regex(names.NAME, fullmatch=True)


def add(body: Any, content_type: str = JSON, *, backends: bool = False) -> Add:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_add(raw, content_type, backends=backends)


def fault(call: Callable[[], Any]) -> str:
    try:
        found = call()
    except BadCommand as error:
        return error.message
    raise AssertionError(f"accepted: {found}")


class JsonBodyTest(unittest.TestCase):
    def test_hostnames_may_be_absent_null_or_shorter_than_n(self) -> None:
        self.assertEqual(Add(4, ("S5", "S4")), add({"n": 4, "hostnames": ["S5", "S4"]}))
        self.assertEqual(Add(2), add({"n": 2}))
        self.assertEqual(Add(2), add({"n": 2, "hostnames": None}))

    def test_remove_has_the_same_shape(self) -> None:
        body = b'{"n": 3, "hostnames": ["S5"]}'
        self.assertEqual(Remove(3, ("S5",)), parse_remove(body, JSON, backends=False))

    def test_more_names_than_n_has_the_spec_s_text_before_any_fault_of_a_name(self) -> None:
        body = {"n": 1, "hostnames": ["not a name", "not a name"]}
        self.assertEqual(TOO_MANY_TO_ADD, fault(lambda: add(body)))
        raw = json.dumps(body).encode()
        self.assertEqual(TOO_MANY_TO_REMOVE, fault(lambda: parse_remove(raw, JSON, backends=False)))

    def test_each_fault_is_named(self) -> None:
        cases: list[tuple[Any, str]] = [
            ({}, "n is missing"),
            ({"hostnames": ["a", "b"]}, "n is missing"),
            ({"n": "3"}, "n must be an integer"),
            ({"n": True}, "n must be an integer"),
            ({"n": 3.0}, "n must be an integer"),
            ({"n": None}, "n must be an integer"),
            ({"n": 0}, "n must be at least 1"),
            ({"n": -1}, "n must be at least 1"),
            ({"n": MAX_COUNT + 1}, f"n must be at most {MAX_COUNT}"),
            ({"n": 1, "hostnames": "S1"}, "hostnames must be a list of names"),
            ({"n": 1, "hostnames": [1]}, "hostnames must be a list of names"),
            ({"n": 1, "hostnames": ["-a"]}, "'-a' is not of the form"),
            ({"n": 1, "hostnames": ["a\n"]}, "is not of the form"),
            ({"n": 2, "hostnames": ["S5", "s5"]}, "'s5' is repeated"),
            ([1], "the body must be a JSON object"),
            (b"", "the body is not JSON"),
            (b"{", "the body is not JSON"),
            (b'{"n": NaN}', "the body is not JSON"),
            (b'{"n": ' + b"9" * 5000 + b"}", "the body is not JSON"),
            (b"[" * 60_000, "the body is not JSON"),
            (b'\xff{"n": 1}', "the body is not JSON"),
            (b'{"n": 1, "n": 2}', "a key of the body is repeated"),
        ]
        for body, text in cases:
            with self.subTest(body=str(body)[:60]):
                message = fault(lambda body=body: add(body))
                self.assertTrue(message.startswith("<Error> "), message)
                self.assertIn(text, message)
                self.assertLess(len(message), 300)

    def test_static_backends_are_called_by_their_address(self) -> None:
        body = {"n": 1, "hostnames": ["127.0.0.1:8080"]}
        self.assertEqual(Add(1, ("127.0.0.1:8080",)), add(body, backends=True))
        self.assertIn("HOST:PORT", fault(lambda: add({"n": 1, "hostnames": ["S5"]}, backends=True)))
        self.assertIn("not of the form", fault(lambda: add(body)))

    @given(st.binary(max_size=64), st.sampled_from([JSON, FORM, ""]))
    def test_any_bytes_are_a_command_or_a_named_fault(self, body: bytes, content_type: str) -> None:
        try:
            parse_add(body, content_type, backends=False)
        except BadCommand as error:
            self.assertTrue(error.message.startswith("<Error> "))


class FormBodyTest(unittest.TestCase):
    def test_server_id_stands_for_one_named_replica(self) -> None:
        self.assertEqual(Add(1, ("S9",)), add(b"server_id=S9", FORM))
        self.assertEqual(Remove(1, ("S9",)), parse_remove(b"server_id=S9", f"{FORM}; charset=utf-8", backends=False))
        self.assertEqual(Add(2, ("S8", "S9")), add(b"server_id=S8&server_id=S9", FORM))

    def test_n_and_repeated_hostnames(self) -> None:
        self.assertEqual(Add(3, ("a", "b")), add(b"n=3&hostnames=a&hostnames=b", FORM))
        self.assertEqual(TOO_MANY_TO_ADD, fault(lambda: add(b"n=1&hostnames=a&hostnames=b", FORM)))

    def test_each_fault_is_named(self) -> None:
        cases = [
            (b"", "n is missing"),
            (b"hostnames=a", "n is missing"),
            (b"n=", "n must be an integer"),
            (b"n=one", "n must be an integer"),
            ("n=\u0663".encode(), "the body is not a form"),
            (b"n=%D9%A3", "n must be an integer"),
            (b"n=0", "n must be at least 1"),
            (b"n=-4", "n must be at least 1"),
            (b"n=1&n=2", "n is repeated"),
            (b"server_id=", "is not of the form"),
            (b"nonsense", "the body is not a form"),
            (b"n=%FF", "the body is not a form"),
            (b"a=1&" * 2000 + b"n=1", "the body is not a form"),
        ]
        for body, text in cases:
            with self.subTest(body=body[:40]):
                self.assertIn(text, fault(lambda body=body: add(body, FORM)))

    def test_json_that_curl_calls_a_form_is_json(self) -> None:
        self.assertEqual(Add(2), add(b'{"n": 2}', FORM))

    @given(st.integers(1, 50), st.lists(NAMES, max_size=5, unique_by=names.fold))
    def test_a_form_says_what_json_says(self, n: int, hostnames: list[str]) -> None:
        n = max(n, len(hostnames))
        form = urlencode({"n": n, "hostnames": hostnames}, doseq=True).encode()
        self.assertEqual(add({"n": n, "hostnames": hostnames}), add(form, FORM))


class WeightTest(unittest.TestCase):
    def test_a_weight_is_an_integer_from_1_to_100(self) -> None:
        self.assertEqual(SetWeight("S1", 2), parse_weight("S1", b'{"weight": 2}', JSON))
        self.assertEqual(SetWeight("S1", 2), parse_weight("S1", b"weight=2", FORM))
        for body in (b"{}", b'{"weight": 0}', b'{"weight": 101}', b'{"weight": 1.5}', b'{"weight": true}'):
            with self.subTest(body=body):
                self.assertIn("weight", fault(lambda body=body: parse_weight("S1", body, JSON)))


class RecoverTest(unittest.TestCase):
    def test_nodes_in_both_shapes(self) -> None:
        self.assertEqual(Recover(frozenset({2, 3})), parse_recover(b'{"absent": [2, 3]}', JSON))
        self.assertEqual(Recover(frozenset({2, 3})), parse_recover(b"absent=2&absent=3", FORM))
        for body in (b"{}", b'{"absent": null}', b'{"absent": []}'):
            self.assertEqual(Recover(), parse_recover(body, JSON))

    def test_what_is_no_node(self) -> None:
        for absent in (b"3", b"[0]", b"[-1]", b"[true]", b'["3"]', b"[2147483648]"):
            with self.subTest(absent):
                self.assertIn("node ids", fault(lambda a=absent: parse_recover(b'{"absent": ' + a + b"}", JSON)))


class SinceTest(unittest.TestCase):
    def test_an_event_s_id_fits_into_64_bits(self) -> None:
        self.assertEqual(0, parse_since("0"))
        self.assertEqual(10**18 - 1, parse_since("9" * 18))
        for text in ("", "-1", "1.0", "x", "9" * 19, "\u0663"):
            with self.subTest(text=text):
                self.assertIn("since", fault(lambda text=text: parse_since(text)))


if __name__ == "__main__":
    unittest.main()
