import unittest

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.hashes import MAX_DIGITS, PRESETS, PROBES, byte_hash, key_of, murmur3


class KeyTest(unittest.TestCase):
    def test_digits_are_that_number(self) -> None:
        self.assertEqual(key_of(b"132574"), 132574)
        self.assertEqual(key_of(b"007"), 7)
        self.assertEqual(key_of(b"9" * MAX_DIGITS), 10**MAX_DIGITS - 1)

    def test_anything_else_is_hashed(self) -> None:
        for raw in (b"", b"-1", b"1.5", b" 7", b"alice", "٣".encode(), b"9" * (MAX_DIGITS + 1)):
            self.assertEqual(key_of(raw), murmur3(raw), raw)

    @given(st.binary(max_size=40))
    def test_a_key_is_a_bounded_natural_number(self, raw: bytes) -> None:
        self.assertTrue(0 <= key_of(raw) < 10**MAX_DIGITS)


class PresetTest(unittest.TestCase):
    def test_the_texts_say_what_the_functions_do(self) -> None:
        """The formulas shown to people, evaluated, against those that run."""
        for name, preset in PRESETS.items():
            for i, j in ((1, 0), (3, 8), (132574, 5)):
                self.assertEqual(preset.request(i), evaluated(preset.request_text, i, j), name)
                self.assertEqual(preset.virtual(i, j), evaluated(preset.virtual_text, i, j), name)

    def test_the_formulas_of_the_specification(self) -> None:
        texts = {name: (preset.request_text, preset.virtual_text) for name, preset in PRESETS.items()}
        self.assertEqual(texts["spec"], ("i² + 2i + 17", "i² + j² + 2j + 25"))
        self.assertEqual(texts["alt"], ("i + 2i² + 17", "i + j + 2j² + 25"))
        self.assertEqual(texts["linear"], ("i + 2i + 17", "i + j + 2j + 25"))


def evaluated(text: str, i: int, j: int) -> int:
    python = text.replace("²", "**2").replace("2i", "2*i").replace("2j", "2*j")
    return eval(python, {"i": i, "j": j})


class ProbeTest(unittest.TestCase):
    def test_every_probe_reaches_every_slot(self) -> None:
        for name, distance in PROBES.items():
            self.assertEqual({distance(step) % 512 for step in range(512)}, set(range(512)), name)

    def test_plain_squares_would_not(self) -> None:
        self.assertEqual(len({step * step % 512 for step in range(512)}), 87)


class ByteHashTest(unittest.TestCase):
    def test_murmur_known_answers(self) -> None:
        """The reference implementation's (SMHasher, MurmurHash3_x86_32, seed 0)."""
        for data, wanted in ((b"", 0), (b"hello", 0x248BFA47), (b"hello, world", 0x149BBB7F)):
            self.assertEqual(byte_hash("mmh3")(data), wanted)

    def test_one_of_the_users_own(self) -> None:
        self.assertEqual(byte_hash("zlib:crc32")(b"123456789"), 0xCBF43926)

    def test_the_users_integers_are_kept_to_32_bits(self) -> None:
        self.assertEqual(byte_hash("operator:length_hint")(b"abc"), 3)
        self.assertTrue(0 <= byte_hash("builtins:hash")(b"abc") < 1 << 32)

    def test_what_is_no_hash_is_named_in_one_line(self) -> None:
        for name in ("nosuchmodule:f", "zlib:nosuch", "zlib:ZLIB_VERSION", "builtins:repr", "zlib", "json:loads"):
            with self.subTest(name), self.assertRaisesRegex(ValueError, f"^ring hash '{name}': .+") as caught:
                byte_hash(name)
            self.assertNotIn("\n", str(caught.exception))
