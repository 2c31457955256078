import unittest

from loadbalancer.hashes import key_of
from loadbalancer.routing import (
    QUEUE_STARTS,
    cookie_value,
    is_admin,
    is_queue_admin,
    is_queue_call,
    key_source,
    lasting_key,
    path_of,
    query_value,
)
from wire.http1 import RequestHead, parse_request

CLIENT = b"192.0.2.7"


def head(target: bytes = b"/", lines: bytes = b"") -> RequestHead:
    parsed = parse_request(b"GET %b HTTP/1.1\r\nHost: h\r\n%b\r\n" % (target, lines))
    assert parsed is not None
    return parsed[0]


class Keys(unittest.TestCase):
    def test_random_ids_have_six_digits(self) -> None:
        source = key_source("random")
        keys = {source(head(), CLIENT) for _ in range(1000)}
        self.assertTrue(all(100_000 <= key <= 999_999 for key in keys))
        self.assertGreater(len(keys), 900)

    def test_digits_are_that_number(self) -> None:
        request = head(b"/p?id=132574", b"X-Id: 132574\r\nCookie: a=1; id=132574\r\n")
        for route in ("header:X-Id", "header:x-id", "query:id", "cookie:id"):
            self.assertEqual(key_source(route)(request, CLIENT), 132574)

    def test_path_goes_without_its_query(self) -> None:
        source = key_source("path")
        self.assertEqual(source(head(b"/a?x=1"), CLIENT), source(head(b"/a"), CLIENT))
        self.assertEqual(source(head(b"/a"), CLIENT), key_of(b"/a"))

    def test_client_is_its_address(self) -> None:
        self.assertEqual(key_source("client")(head(), CLIENT), key_of(CLIENT))

    def test_where_it_is_missing_an_id_takes_its_place(self) -> None:
        for route in ("header:X-Id", "query:id", "cookie:id"):
            self.assertTrue(100_000 <= key_source(route)(head(), CLIENT) <= 999_999)

    def test_a_key_lasts_if_the_head_says_it(self) -> None:
        named = head(b"/a?q=1&e=", b"X-User: u\r\nX-Request-Id: r\r\nCookie: c=1; e=\r\n")
        for route, expected in (
            *(("path", True), ("client", True), ("random", False)),
            *(("header:x-user", True), ("query:q", True), ("cookie:c", True)),
            *(("header:x-other", False), ("query:e", False), ("cookie:e", False), ("header:X-Request-ID", False)),
        ):
            self.assertIs(lasting_key(route)(named), expected, route)

    def test_unknown_routes(self) -> None:
        for route in ("", "header:", "body:x", "randomly"):
            with self.assertRaises(ValueError):
                key_source(route)

    def test_names_match_whole(self) -> None:
        self.assertIsNone(query_value(head(b"/?xid=1&i=2"), b"id"))
        self.assertEqual(query_value(head(b"/?a&id=3&id=4"), b"id"), b"3")
        self.assertIsNone(cookie_value(head(lines=b"Cookie: xid=1\r\n"), b"id"))

    def test_a_cookie_is_found_in_any_line(self) -> None:
        lines = b"Cookie: a=1;b=2 ; id= \r\nX-Cookie: id=3\r\ncookie:id=4; id=5\r\n"
        self.assertEqual(cookie_value(head(lines=lines), b"id"), b"4")
        self.assertEqual(cookie_value(head(lines=lines), b"b"), b"2")
        for absent in (b"", b"Cookie:\r\n", b"Cookie: id\r\n", b"Cookie: id=\r\n", b"Cookie: ID=4\r\n"):
            self.assertIsNone(cookie_value(head(lines=absent), b"id"))


class Paths(unittest.TestCase):
    ADMIN = (b"/rep", b"/rep?x", b"/add", b"/rm", b"/admin/live", b"/admin/replicas/S1/drain", b"/metrics", b"/admin")
    REPLICAS = (
        b"/",
        b"/home",
        b"/report",
        b"/rep/x",
        b"/address",
        b"/rmx",
        b"/administrator",
        b"/metrics2",
        b"//rep",
        b"*",
    )

    def test_control_s_paths_and_no_others(self) -> None:
        self.assertEqual([target for target in self.ADMIN if not is_admin(target)], [])
        self.assertEqual([target for target in self.REPLICAS if is_admin(target)], [])

    def test_the_queue_s_paths(self) -> None:
        calls = (b"/size?consumer_id=1", b"/topics", b"/producer/x", b"/consumer/consume?consumer_id=1")
        control = (b"/topics/add", b"/brokers", b"/brokers?x", b"/brokers/rm?broker_name=all")
        others = (b"/", b"/home", b"/topics/x", b"/sizes", b"/producer", b"/brokersx", b"/rep")
        self.assertEqual([target for target in (*calls, *control, *others) if is_queue_call(target)], [*calls])
        self.assertEqual([target for target in (*calls, *control, *others) if is_queue_admin(target)], [*control])
        self.assertTrue(all(target.startswith(QUEUE_STARTS) for target in (*calls, *control)))

    def test_path_of(self) -> None:
        self.assertEqual(path_of(b"/a?b?c"), b"/a")
