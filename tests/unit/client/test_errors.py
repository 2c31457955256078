import unittest

from confluent_kafka import KafkaError

from client import errors
from client.errors import TABLE, TRANSIENT, CarouselError, error_of


class ErrorsTest(unittest.TestCase):
    def test_every_name_in_the_table_is_one_of_librdkafkas(self) -> None:
        known = {name for name in dir(KafkaError) if name.isupper()}
        self.assertEqual(set(TABLE) - known, set())
        self.assertEqual(TRANSIENT - known, set())

    def test_the_tables_names_are_those_that_an_error_tells(self) -> None:
        for name in TABLE:
            with self.subTest(name):
                self.assertEqual(KafkaError(getattr(KafkaError, name)).name(), name)

    def test_an_error_says_what_happened_and_what_to_do(self) -> None:
        error = error_of("TOPIC_ALREADY_EXISTS", "Topic 'T1' already exists.", "creating T1")
        self.assertIsInstance(error, errors.TopicExists)
        self.assertEqual(error.code, "TOPIC_ALREADY_EXISTS")
        self.assertEqual(
            str(error),
            "creating T1: Topic 'T1' already exists. What to do: choose another name, or use the topic as it is",
        )

    def test_what_is_not_in_the_table_keeps_its_reason_and_code(self) -> None:
        error = error_of("STALE_CTRL_EPOCH", "old controller", "deleting T1")
        self.assertIs(type(error), CarouselError)
        self.assertEqual(str(error), "deleting T1: old controller (STALE_CTRL_EPOCH)")
        self.assertEqual(error.code, "STALE_CTRL_EPOCH")

    def test_pythons_own_kinds_catch_ours(self) -> None:
        for kind, ours in {
            TimeoutError: errors.TimedOut,
            ValueError: errors.ConfigError,
            LookupError: errors.TopicNotFound,
            PermissionError: errors.NotAllowed,
        }.items():
            self.assertTrue(issubclass(ours, kind))

    def test_every_class_says_whose_fault_it_is_and_whether_to_try_again(self) -> None:
        classes = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CarouselError)]
        self.assertGreater(len(classes), 10)
        for kind in classes:
            self.assertIn(kind.fault, ("caller", "server", "network"))
            self.assertFalse(kind.retry and kind.fault == "caller", kind)
            self.assertTrue(kind.__doc__)
