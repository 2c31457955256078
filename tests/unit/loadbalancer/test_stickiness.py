import unittest

from loadbalancer.hashes import key_of
from loadbalancer.routing import cookie_value, key_source
from loadbalancer.stickiness import Cookie, new_cookie, sticky_name
from wire.http1 import ResponseHead, parse_request, parse_response

LEAD = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"


def answer(lines: bytes = b"") -> ResponseHead:
    parsed = parse_response(b"HTTP/1.1 200 OK\r\n%b\r\n" % lines)
    assert parsed is not None
    return parsed[0]


class Stickiness(unittest.TestCase):
    def test_only_a_cookie_route_sticks(self) -> None:
        self.assertEqual(sticky_name("cookie:route"), b"route")
        for route in ("random", "path", "client", "header:cookie", "query:cookie"):
            self.assertEqual(sticky_name(route), b"")

    def test_the_cookie_leads_to_where_its_request_went(self) -> None:
        for key in (10**17, 10**18 - 1):
            cookie = new_cookie(b"route", False, lambda low, end: key)  # noqa: B023
            parsed = parse_request(b"GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1; route=%d\r\n\r\n" % cookie.key)
            assert parsed is not None
            self.assertEqual(key_source("cookie:route")(parsed[0], b""), key)
            self.assertEqual(key_of(cookie_value(parsed[0], b"route") or b""), key)

    def test_drawn_from_all_of_eighteen_digits(self) -> None:
        bounds: list[tuple[int, int]] = []

        def draw(low: int, end: int) -> int:
            bounds.append((low, end))
            return low

        new_cookie(b"route", False, draw)
        self.assertEqual(bounds, [(10**17, 10**18)])

    def test_the_line(self) -> None:
        added = Cookie(b"route", 7, secure=False).added(LEAD, answer())
        self.assertEqual(added, LEAD[:-2] + b"Set-Cookie: route=7; Path=/; HttpOnly; SameSite=Lax\r\n\r\n")
        added = Cookie(b"route", 7, secure=True).added(LEAD, answer(b"Set-Cookie: other=route=1\r\n"))
        self.assertTrue(added.endswith(b"SameSite=Lax; Secure\r\n\r\n"))

    def test_the_replica_s_own_has_precedence(self) -> None:
        for lines in (b"Set-Cookie: route=1\r\n", b"A: b\r\nset-cookie:\t ROUTE = x; Path=/\r\n"):
            self.assertEqual(Cookie(b"Route", 7, secure=False).added(LEAD, answer(lines)), LEAD)
