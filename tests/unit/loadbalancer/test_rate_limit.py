import unittest
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.rate_limit import LOOKS, RateLimit, client_key, limiter, parts_of, retry_after_s, value_key
from wire.http1 import RequestHead, parse_request


def head_of(target: bytes = b"/", lines: bytes = b"") -> RequestHead:
    parsed = parse_request(b"GET %b HTTP/1.1\r\nHost: h\r\n%b\r\n" % (target, lines))
    assert parsed is not None
    return parsed[0]


class Setting(unittest.TestCase):
    def test_each_worker_grants_its_part(self) -> None:
        self.assertEqual(parts_of("100", 1), (100, 100))
        self.assertEqual(parts_of("100+30", 2), (50, 15))
        self.assertEqual(parts_of("0.5", 4), (0.125, 1))
        self.assertEqual(parts_of("10+0", 1), (10, 1))

    def test_whole_seconds(self) -> None:
        self.assertEqual([retry_after_s(wait_s) for wait_s in (0.01, 1, 1.2, 60)], [1, 1, 2, 60])


class Bucket(unittest.TestCase):
    def test_a_burst_then_the_rate(self) -> None:
        limit = RateLimit(10, 3)
        self.assertEqual([limit.wait_s(7, 12345.6) for _ in range(3)], [0, 0, 0])
        self.assertAlmostEqual(limit.wait_s(7, 12345.6), 0.1, places=5)
        self.assertAlmostEqual(limit.wait_s(7, 12345.65), 0.05, places=5)
        self.assertEqual(limit.wait_s(7, 12345.7), 0)
        self.assertGreater(limit.wait_s(7, 12345.7), 0)
        self.assertEqual(limit.wait_s(8, 12345.7), 0)
        self.assertEqual([limit.wait_s(7, 12350) > 0 for _ in range(4)], [False, False, False, True])

    @given(
        st.floats(0.1, 1000),
        st.integers(1, 50),
        st.lists(st.tuples(st.integers(0, 3), st.floats(0, 0.5)), max_size=200),
    )
    def test_what_passes_is_what_a_bucket_of_tokens_lets_pass(
        self, rate: float, burst: int, calls: list[tuple[int, float]]
    ) -> None:
        """The second opinion: buckets with tokens in them."""
        limit, now = RateLimit(rate, burst), 1000.0
        tokens: dict[int, tuple[float, float]] = defaultdict(lambda: (float(burst), now))
        for key, pause_s in calls:
            now += pause_s
            level, at = tokens[key]
            level = min(burst, level + (now - at) * rate)
            passed = limit.wait_s(key, now) == 0
            if abs(level - 1) > 1e-5 * rate + 1e-6:
                self.assertEqual(passed, level >= 1)
            tokens[key] = (level - passed, now)

    def test_the_wait_that_is_told_suffices(self) -> None:
        limit = RateLimit(3, 1)
        limit.wait_s(1, 50)
        wait_s = limit.wait_s(1, 50.1)
        self.assertEqual(limit.wait_s(1, 50.1 + wait_s), 0)


class Table(unittest.TestCase):
    def test_full_buckets_make_room(self) -> None:
        limit = RateLimit(10, 1, capacity=100, shared=10)
        for key in range(10_000):
            self.assertEqual(limit.wait_s(key, key / 100), 0)  # ten of a hundred are not full
        self.assertLessEqual(len(limit), 100)

    def test_a_flood_of_new_keys_resets_nobody_and_grows_nothing(self) -> None:
        limit = RateLimit(1, 5, capacity=100, shared=10)
        for _ in range(5):
            limit.wait_s(-1, 0)  # an old key has used up its burst
        for key in range(100_000):
            limit.wait_s(key, 0.5)
        self.assertGreater(limit.wait_s(-1, 0.9), 0)
        self.assertEqual(limit.wait_s(-1, 1.1), 0)
        self.assertLessEqual(len(limit), 110)

    def test_the_flood_is_bounded_itself(self) -> None:
        limit = RateLimit(1, 5, capacity=100, shared=10)
        passed = sum(limit.wait_s(key, 0) == 0 for key in range(100_000))
        self.assertEqual(passed, 100 + 10 * 5)

    def test_it_leaves_when_its_buckets_are_full_again(self) -> None:
        limit = RateLimit(1, 5, capacity=100, shared=10)
        for key in range(1000):
            limit.wait_s(key, 0)
        self.assertEqual([limit.wait_s(5000 + key, 60) for key in range(90)], [0] * 90)
        self.assertLessEqual(len(limit), 110)

    def test_room_is_found_behind_buckets_in_use(self) -> None:
        limit = RateLimit(1, 50, capacity=4 * LOOKS, shared=1)
        for key in range(2 * LOOKS):
            for _ in range(40):
                limit.wait_s(key, 0)  # far from full for half a minute
        for key in range(2 * LOOKS, 4 * LOOKS):
            limit.wait_s(key, 0)  # full after a second
        for key in range(100, 100 + LOOKS):
            limit.wait_s(key, 2)
        self.assertEqual(limit._shared.keys(), {0})
        self.assertTrue({100 + LOOKS - 1, 0} <= limit._full_at.keys())


class Whose(unittest.TestCase):
    def test_ipv4_by_address_and_ipv6_by_its_64(self) -> None:
        self.assertNotEqual(client_key(b"10.0.0.1"), client_key(b"10.0.0.2"))
        self.assertEqual(client_key(b"2001:db8:1:2::1"), client_key(b"2001:db8:1:2:ffff::9"))
        self.assertNotEqual(client_key(b"2001:db8:1:2::1"), client_key(b"2001:db8:1:3::1"))
        self.assertEqual(client_key(b"::ffff:10.0.0.1"), client_key(b"10.0.0.1"))
        self.assertEqual(client_key(b"fe80::1%eth0"), client_key(b"fe80::2%eth0"))
        self.assertEqual(client_key(b"no:address"), client_key(b"no:address"))

    def test_a_value_is_no_client(self) -> None:
        self.assertNotEqual(value_key(b"10.0.0.1"), client_key(b"10.0.0.1"))

    def test_by_client(self) -> None:
        wait_s = limiter("1+1", "client", "header:X-Key", 1)
        assert wait_s is not None
        self.assertEqual(wait_s(head_of(lines=b"X-Key: a\r\n"), b"10.0.0.1", 0), 0)
        self.assertGreater(wait_s(head_of(lines=b"X-Key: b\r\n"), b"10.0.0.1", 0), 0)
        self.assertEqual(wait_s(head_of(), b"10.0.0.2", 0), 0)

    def test_by_key_and_by_client_where_there_is_none(self) -> None:
        for route, one, other in (
            ("header:X-Key", head_of(lines=b"X-Key: a\r\n"), head_of(lines=b"X-Key: b\r\n")),
            ("query:k", head_of(b"/?k=a"), head_of(b"/?k=b")),
            ("cookie:k", head_of(lines=b"Cookie: k=a\r\n"), head_of(lines=b"Cookie: k=b\r\n")),
            ("path", head_of(b"/a?x"), head_of(b"/b?x")),
        ):
            with self.subTest(route):
                wait_s = limiter("1+1", "key", route, 1)
                assert wait_s is not None
                self.assertEqual([wait_s(head, b"10.0.0.1", 0) for head in (one, other)], [0, 0])
                self.assertGreater(wait_s(one, b"10.0.0.2", 0), 0)
        for route in ("random", "client", "header:X-Key"):
            with self.subTest(route):
                wait_s = limiter("1+1", "key", route, 1)
                assert wait_s is not None
                self.assertEqual([wait_s(head_of(), client, 0) for client in (b"10.0.0.1", b"10.0.0.2")], [0, 0])
                self.assertGreater(wait_s(head_of(), b"10.0.0.1", 0), 0)

    def test_off(self) -> None:
        self.assertIsNone(limiter("", "client", "random", 1))
