"""`server.registration`: what a disk says of its last run."""

import unittest

from server.registration import NO_EPOCH, LastRun, directory_hex, parse_last_run
from wire.cluster_link import Stop


class LastRunTest(unittest.TestCase):
    def test_round_trip(self) -> None:
        for run in (LastRun(), LastRun(7, "boot", True), LastRun(2**40, "", False)):
            self.assertEqual(parse_last_run(run.to_text()), run)

    def test_what_makes_no_sense_knows_nothing(self) -> None:
        for text in (
            b"",
            b"[]",
            b"{}",
            b'{"epoch": true, "boot": "", "clean": false}',
            b"\xff",
            b'{"epoch": 1, "boot": 1}',
        ):
            self.assertEqual(parse_last_run(text), LastRun(NO_EPOCH, "", False))

    def test_how_it_ended(self) -> None:
        self.assertIs(LastRun(1, "a", True).stop("b"), Stop.CLEAN)
        self.assertIs(LastRun(1, "a").stop("a"), Stop.SAME_BOOT)
        self.assertIs(LastRun(1, "a").stop("b"), Stop.UNCLEAN)
        self.assertIs(LastRun(1, "").stop(""), Stop.UNCLEAN)


class DirectoryTest(unittest.TestCase):
    def test_kafkas_base64(self) -> None:
        self.assertEqual(directory_hex("AAAAAAAAAAAAAAAAAAAAAQ"), "0" * 31 + "1")
        self.assertEqual(directory_hex("_____________________w"), "f" * 32)

    def test_something_else(self) -> None:
        for wrong in ("", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAA"):
            with self.assertRaises(ValueError):
                directory_hex(wrong)
