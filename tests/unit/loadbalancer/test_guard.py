import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.guard import Caller, Guard, has_token, is_foreign_page, is_local, is_our_host, refusal

OPEN = Guard(frozenset(("Door.Example", "myhost")))
LOCKED = Guard(token="s3cret")


def status(guard: Guard, **changes: Any) -> int | None:
    caller = Caller(**{"host": "localhost:5000", "client": "127.0.0.1", **changes})
    refused = refusal(guard, caller)
    return None if refused is None else refused.status


class ForeignPageTest(unittest.TestCase):
    def test_a_program_sends_neither_header(self) -> None:
        self.assertFalse(is_foreign_page(Caller("localhost:5000")))

    def test_origin_must_be_our_own_address(self) -> None:
        for host, origin in [
            ("localhost:5000", "http://localhost:5000"),
            ("LOCALHOST:5000", "http://localhost:5000"),
            ("door.example", "https://door.example"),
            ("door.example:80", "http://door.example"),
            ("[::1]:5000", "http://[::1]:5000"),
        ]:
            with self.subTest(origin=origin):
                self.assertFalse(is_foreign_page(Caller(host, origin)))

    def test_any_other_origin_is_foreign(self) -> None:
        for origin in (
            "null",
            "",
            "http://localhost:3000",
            "http://127.0.0.1:5000",
            "http://localhost:5000.evil.example",
            "http://evil.example",
            "file://localhost:5000",
            "http://evil@localhost:5000",
            "http://localhost:5000/x",
        ):
            with self.subTest(origin=origin):
                self.assertTrue(is_foreign_page(Caller("localhost:5000", origin)))

    def test_an_origin_without_a_host_is_foreign(self) -> None:
        self.assertTrue(is_foreign_page(Caller(None, "http://localhost:5000")))

    def test_sec_fetch_site(self) -> None:
        for value, foreign in [
            ("none", False),
            ("same-origin", False),
            ("same-site", True),
            ("cross-site", True),
            ("odd", True),
        ]:
            with self.subTest(value=value):
                self.assertEqual(foreign, is_foreign_page(Caller("localhost", fetch_site=value)))

    def test_it_is_refused_even_with_the_token(self) -> None:
        self.assertEqual(403, status(LOCKED, authorization="Bearer s3cret", origin="http://evil.example"))


class HostTest(unittest.TestCase):
    def test_literals_localhost_and_what_is_allowed_are_ours(self) -> None:
        for host in (
            "127.0.0.1:5000",
            "10.1.2.3",
            "[::1]:5000",
            "[2001:db8::1]",
            "localhost",
            "localhost:5000",
            "localhost.:5000",
            "a.localhost",
            "door.example:8443",
            "DOOR.EXAMPLE",
            "myhost",
        ):
            with self.subTest(host=host):
                self.assertTrue(is_our_host(OPEN, host))

    def test_nobody_else_is(self) -> None:
        for host in (
            None,
            "",
            "evil.example",
            "evil.example:5000",
            "localhost.evil.example",
            "notlocalhost",
            "127.0.0.1.evil.example",
            "a@localhost",
            "localhost:x",
            "localhost:5000:5000",
            "localhost/x",
            "[::1",
            "evil.example#localhost",
            "door.example.evil",
        ):
            with self.subTest(host=host):
                self.assertFalse(is_our_host(OPEN, host))

    def test_a_rebound_name_is_refused(self) -> None:
        self.assertEqual(403, status(OPEN, host="evil.example:5000", origin="http://evil.example:5000"))

    @given(st.text(max_size=40))
    def test_any_text_is_judged(self, host: str) -> None:
        self.assertIsInstance(is_our_host(OPEN, host), bool)


class OperatorTest(unittest.TestCase):
    def test_without_a_token_changes_come_from_this_machine(self) -> None:
        for client in (None, "127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"):
            with self.subTest(client=client):
                self.assertIsNone(status(OPEN, client=client))
        for client in ("10.0.0.5", "2001:db8::1", "::ffff:10.0.0.5", "", "127.0.0.1, 10.0.0.5", "localhost", "unknown"):
            with self.subTest(client=client):
                self.assertEqual(403, status(OPEN, client=client))

    def test_who_is_behind_a_proxy_is_local_if_both_are(self) -> None:
        self.assertIsNone(status(OPEN, client="127.0.0.1", peer="::1"))
        self.assertEqual(403, status(OPEN, client="203.0.113.7", peer="127.0.0.1"))
        self.assertEqual(403, status(OPEN, client="127.0.0.1", peer="10.0.0.5"))

    def test_with_a_token_whoever_has_it_may(self) -> None:
        self.assertIsNone(status(LOCKED, authorization="Bearer s3cret", client="10.0.0.5"))
        self.assertIsNone(status(LOCKED, authorization="bearer  s3cret"))
        for authorization in (
            None,
            "",
            "Bearer",
            "Bearer ",
            "Bearer wrong",
            "Basic s3cret",
            "s3cret",
            "Bearer s3cret x",
        ):
            with self.subTest(authorization=authorization):
                self.assertEqual(401, status(LOCKED, authorization=authorization))

    def test_with_a_token_this_machine_needs_it_too(self) -> None:
        self.assertEqual(401, status(LOCKED, client=None))

    def test_a_token_beyond_ascii_is_compared_not_refused(self) -> None:
        self.assertTrue(has_token(Guard(token="schlüssel"), "Bearer schlüssel"))
        self.assertFalse(has_token(Guard(token="schlüssel"), "Bearer \udcff"))

    @given(st.text(max_size=40))
    def test_any_address_is_judged(self, client: str) -> None:
        self.assertIsInstance(is_local(client), bool)

    def test_the_token_is_not_in_what_a_log_would_print(self) -> None:
        self.assertNotIn("s3cret", repr(LOCKED))
        refused = refusal(LOCKED, Caller("localhost", authorization="Bearer wr0ng"))
        assert refused is not None
        self.assertNotIn("s3cret", refused.message)
        self.assertNotIn("wr0ng", refused.message)


if __name__ == "__main__":
    unittest.main()
