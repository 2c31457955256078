import unittest

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer import names


class TestForm(unittest.TestCase):
    def test_names(self) -> None:
        for good in ("S5", "a", "0", "server-1_x", "x" * 63):
            self.assertIsNone(names.fault_of(good, backend=False), good)
        for bad in ("", "-a", "_a", "a.b", "a b", "a\n", "x" * 64, "ä", "a:1"):
            self.assertIsNotNone(names.fault_of(bad, backend=False), bad)

    def test_backends(self) -> None:
        for text, parsed in {
            "a:1": ("a", 1),
            "10.0.0.1:65535": ("10.0.0.1", 65535),
            "[::1]:80": ("::1", 80),
            "x-y.example.org:8080": ("x-y.example.org", 8080),
        }.items():
            self.assertEqual(names.parse_backend(text), parsed)
        for bad in ("", "a", "a:", ":1", "a:0", "a:65536", "a:01", "::1:80", "a:1\n", "a/b:1", "a.:1", "u@a:1"):
            self.assertIsNotNone(names.fault_of(bad, backend=True), bad)

    def test_an_absurd_name_is_not_quoted_in_full(self) -> None:
        self.assertLess(len(names.fault_of("x" * 10**6, backend=False) or ""), 200)


class TestSameness(unittest.TestCase):
    def test_case_makes_no_difference(self) -> None:
        self.assertEqual(names.repeated(("S5", "a", "s5")), "s5")
        self.assertIsNone(names.repeated(("S5", "S4")))


class TestGenerate(unittest.TestCase):
    def test_counts_on_and_passes_over(self) -> None:
        self.assertEqual(names.generate(1, {"server1", "server2"}), ("server3", 4))

    @given(st.integers(1, 50), st.sets(st.integers(1, 60)))
    def test_is_free_of_the_right_form_and_never_goes_back(self, number: int, taken: set[int]) -> None:
        name, following = names.generate(number, {f"server{it}" for it in taken})
        self.assertIsNone(names.fault_of(name, backend=False))
        self.assertNotIn(int(name.removeprefix("server")), taken)
        self.assertEqual(name, f"server{following - 1}")
        self.assertGreater(following, number)
