import unittest

from client.cli.words import advice_for
from client.errors import CarouselError, Unreachable, error_of


class WordsTest(unittest.TestCase):
    def test_what_to_do_is_a_command(self) -> None:
        for code in (
            "UNKNOWN_TOPIC_OR_PART", "TOPIC_ALREADY_EXISTS", "GROUP_ID_NOT_FOUND", "_UNKNOWN_PARTITION",
            "INVALID_CONFIG",
        ):  # fmt: skip
            told = advice_for(error_of(code, "reason", "doing"))
            self.assertNotIn("Admin(", told)
            self.assertIn("doing: reason: ", told)

    def test_advice_of_the_client_s_own_stays(self) -> None:
        self.assertIn("end the members", advice_for(error_of("NON_EMPTY_GROUP", "reason", "doing")))

    def test_without_advice(self) -> None:
        self.assertEqual(advice_for(CarouselError("so it is.")), "so it is")
        self.assertIn("--bootstrap", advice_for(Unreachable("no answer")))


if __name__ == "__main__":
    unittest.main()
