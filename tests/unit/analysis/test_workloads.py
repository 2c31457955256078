import unittest

from analysis.workloads import six_digit_keys


class SixDigitKeysTest(unittest.TestCase):
    def test_the_same_for_the_same_seed_on_every_machine(self) -> None:
        self.assertEqual(six_digit_keys(1, 3), [813829, 499804, 560789])
        self.assertNotEqual(six_digit_keys(1, 3), six_digit_keys(1, 3, stream=1))
        self.assertEqual(six_digit_keys(1, 5)[:3], six_digit_keys(1, 3))

    def test_six_digits(self) -> None:
        keys = six_digit_keys(1, 10_000)
        self.assertTrue(100_000 <= min(keys) < max(keys) <= 999_999)
