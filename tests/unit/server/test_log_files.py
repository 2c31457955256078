"""`server.log_files`: names and small texts, as they are written and as nobody wrote them."""

import unittest
from uuid import UUID

from server.log_files import (
    INDEX,
    LOG,
    Checkpoint,
    file_name,
    metadata_text,
    offset_in,
    parse_checkpoint,
    parse_metadata,
)


class TextsTest(unittest.TestCase):
    def test_names_of_segments(self) -> None:
        self.assertEqual(file_name(42, LOG), "00000000000000000042.log")
        self.assertEqual(offset_in("00000000000000000042.log", LOG), 42)
        for wrong in ("42.log", "00000000000000000042.index", "0000000000000000004x.log", "00000000000000000042"):
            self.assertIsNone(offset_in(wrong, LOG))
        self.assertIsNone(offset_in("00000000000000000042.timeindex", INDEX))

    def test_the_checkpoint(self) -> None:
        stored = Checkpoint(100, 80, 5000, 16, 24, 3, 7, 9)
        self.assertEqual(parse_checkpoint(stored.to_text()), stored)
        self.assertEqual(stored.lowered(101), stored)
        self.assertEqual(stored.lowered(90), Checkpoint(90, producers=-1, log_start=7, cleaned=9))
        for wrong in ("", "version=1\n", "version=0\n", "x", stored.to_text().replace("100", "y")):
            with self.assertRaises(ValueError):
                parse_checkpoint(wrong)

    def test_the_topic_id_as_kafka_writes_it(self) -> None:
        topic_id = UUID("9f5cb2ff-1a52-41c9-8f70-6cb2c1b6bb3e")
        self.assertEqual(metadata_text(topic_id), "version: 0\ntopic_id: n1yy_xpSQcmPcGyywba7Pg\n")
        self.assertEqual(parse_metadata(metadata_text(topic_id)), topic_id)
        for wrong in ("", "version: 1\ntopic_id: x\n", "version: 0\n", "version: 0\ntopic_id: abc\n"):
            with self.assertRaises(ValueError):
                parse_metadata(wrong)
