import math
import unittest

from hypothesis import given
from hypothesis import strategies as st

from analysis.measures import agreement, chi_squared_tail, spread

# Critical values of the chi-squared distribution as every table of it prints them (NIST/SEMATECH e-Handbook 1.3.6.7.4):
# (degrees of freedom, upper-tail probability, value).
TABLE = (
    (1, 0.10, 2.706), (1, 0.05, 3.841), (1, 0.001, 10.828), (2, 0.05, 5.991), (2, 0.01, 9.210), (3, 0.05, 7.815),
    (3, 0.01, 11.345), (4, 0.10, 7.779), (5, 0.05, 11.070), (5, 0.001, 20.515), (10, 0.05, 18.307), (20, 0.01, 37.566),
    (63, 0.05, 82.529), (100, 0.05, 124.342),
)  # fmt: skip


class ChiSquaredTailTest(unittest.TestCase):
    def test_printed_critical_values(self) -> None:
        for freedom, probability, value in TABLE:
            with self.subTest(freedom=freedom, probability=probability):
                self.assertAlmostEqual(chi_squared_tail(value, freedom), probability, delta=0.0005 * probability + 2e-6)

    def test_closed_forms(self) -> None:
        for x in (0.01, 1.0, 7.5, 100.0):
            self.assertAlmostEqual(chi_squared_tail(x, 2), math.exp(-x / 2), places=14)
            self.assertAlmostEqual(chi_squared_tail(x, 4), math.exp(-x / 2) * (1 + x / 2), places=14)

    @given(st.integers(1, 63), st.floats(0.001, 500))
    def test_against_the_integral(self, freedom: int, x: float) -> None:
        """A slow twin: the density integrated by Simpson's rule over t = u², which smooths it at 0."""
        a, steps, end = freedom / 2, 2000, math.sqrt(x / 2)

        def density(u: float) -> float:
            return (
                2 * math.exp((freedom - 1) * math.log(u) - u * u - math.lgamma(a))
                if u
                else 2 / math.gamma(a) * (freedom == 1)
            )

        width = end / steps
        inner = sum((4 if i % 2 else 2) * density(i * width) for i in range(1, steps))
        below = (density(0) + inner + density(end)) * width / 3
        self.assertAlmostEqual(chi_squared_tail(x, freedom), 1 - below, places=7)

    def test_edges(self) -> None:
        self.assertEqual(chi_squared_tail(0, 3), 1)
        self.assertEqual(chi_squared_tail(5, 0), 1)
        self.assertEqual(chi_squared_tail(1e6, 3), 0)


class AgreementTest(unittest.TestCase):
    def test_a_known_example(self) -> None:
        """Mendel's peas (1866): 315, 101, 108, 32 against 9 : 3 : 3 : 1, χ² = 0.470, p = 0.925 (Fisher 1936)."""
        peas = {"round yellow": 315, "wrinkled yellow": 101, "round green": 108, "wrinkled green": 32}
        found = agreement(peas, dict(zip(peas, (9 / 16, 3 / 16, 3 / 16, 1 / 16), strict=True)))
        self.assertAlmostEqual(found.chi_squared, 0.470, places=3)
        self.assertEqual(found.freedom, 3)
        self.assertAlmostEqual(found.p_value, 0.925, places=3)

    def test_a_share_of_nothing(self) -> None:
        shares = {"a": 0.5, "b": 0.5, "c": 0.0}
        self.assertEqual(agreement({"a": 5, "b": 5, "c": 0}, shares).freedom, 1)
        self.assertEqual(agreement({"a": 5, "b": 5, "c": 1}, shares).p_value, 0)
        self.assertEqual(agreement({"a": 5, "b": 5, "stranger": 1}, shares).p_value, 0)

    def test_one_replica_has_everything(self) -> None:
        self.assertEqual(agreement({"a": 5}, {"a": 1.0}).p_value, 1)


class SpreadTest(unittest.TestCase):
    def test_of_a_few(self) -> None:
        found = spread([2, 4, 4, 4, 5, 5, 7, 9])
        self.assertEqual((found.mean, found.std, found.least, found.most, found.max_over_mean), (5, 2, 2, 9, 1.8))

    def test_of_nothing(self) -> None:
        self.assertEqual(spread([0, 0]).max_over_mean, 1)
        with self.assertRaises(ValueError):
            spread([])
