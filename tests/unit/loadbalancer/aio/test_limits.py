import unittest

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.aio.limits import OWN, Limits, limits_for


class Descriptors(unittest.TestCase):
    @given(st.integers(256, 1 << 20), st.integers(1, 100_000))
    def test_both_sides_fit_and_upstreams_serve_all_clients(self, descriptors: int, wanted: int) -> None:
        limits = limits_for(descriptors, wanted)
        self.assertLessEqual(limits.clients + limits.upstreams + 2 * limits.burst + OWN, descriptors)
        self.assertTrue(1 <= limits.clients <= wanted)
        self.assertGreaterEqual(limits.upstreams, limits.clients)

    @given(st.integers(256, 1 << 20), st.integers(1, 100_000), st.integers(1, 100_000))
    def test_the_queue_gets_a_quarter_at_most(self, descriptors: int, wanted: int, queue: int) -> None:
        limits = limits_for(descriptors, wanted, queue)
        held = limits.clients + limits.upstreams + 2 * limits.queue
        self.assertLessEqual(held + 2 * limits.burst + OWN, descriptors)
        self.assertTrue(1 <= limits.queue <= min(queue, descriptors // 8))

    def test_usual_numbers(self) -> None:
        self.assertEqual(limits_for(1 << 20, 8192).clients, 8192)
        self.assertEqual(limits_for(20_000, 8192), Limits(7468, 7468, 2500))
        self.assertEqual(limits_for(1024, 8192), Limits(352, 352, 128))
