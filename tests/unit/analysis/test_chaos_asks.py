import itertools
import unittest

from analysis.chaos.asks import KIB, MIX, UPLOADS, Ask, bytes_of, checksum, draw


class DrawTest(unittest.TestCase):
    def test_the_same_for_the_same_seed(self) -> None:
        self.assertEqual(list(itertools.islice(draw(7), 50)), list(itertools.islice(draw(7), 50)))
        self.assertNotEqual(next(draw(7)).id, next(draw(8)).id)

    def test_ids_are_unique_and_every_share_of_the_mix_comes(self) -> None:
        asks = list(itertools.islice(draw(1), 5000))
        self.assertEqual(len({ask.id for ask in asks}), 5000)
        for share in MIX:
            found = [
                ask
                for ask in asks
                if (ask.method, ask.chunked, ask.slow, ask.leaves)
                == (share.method, share.chunked, share.slow, share.leaves)
                and share.least <= ask.size <= share.most
            ]
            with self.subTest(share=share):
                self.assertGreater(len(found), 5000 * share.weight / 100 * 0.7)

    def test_the_mix_is_whole(self) -> None:
        self.assertEqual(sum(share.weight for share in MIX), 100)


class AskTest(unittest.TestCase):
    def test_what_may_be_repeated(self) -> None:
        self.assertTrue(Ask("a", "GET", 256 * KIB).repeatable)
        self.assertTrue(Ask("a", "HEAD", 256 * KIB).repeatable)
        self.assertTrue(Ask("a", "PUT", 64 * KIB).repeatable)
        self.assertFalse(Ask("a", "PUT", 64 * KIB + 1).repeatable)
        self.assertFalse(Ask("a", "POST", 1).repeatable)

    def test_paths_and_bodies(self) -> None:
        for ask, path in (
            (Ask("a", "GET", 5), "/bytes/5"),
            (Ask("a", "HEAD", 5), "/bytes/5"),
            (Ask("a", "GET", 5, chunked=True), "/chunks/5"),
            (Ask("a", "GET", 5, chunked=True, slow=True), "/trickle/5"),
            (Ask("a", "POST", 5, chunked=True), "/keep"),
            (Ask("a", "PUT", 5, slow=True), "/keep/slowly"),
        ):
            with self.subTest(ask=ask):
                self.assertEqual(ask.path, path)
                self.assertEqual(len(ask.upload), 5 if ask.method in UPLOADS else 0)

    def test_the_answer_follows_from_the_id(self) -> None:
        self.assertEqual(Ask("a", "GET", 5).answer, bytes_of("a", 5))
        self.assertEqual(Ask("a", "HEAD", 5).answer, b"")
        self.assertEqual(Ask("a", "POST", 5).answer, checksum(bytes_of("a/up", 5)).encode())
        self.assertNotEqual(Ask("a", "GET", 5).answer, Ask("b", "GET", 5).answer)

    def test_a_known_answer(self) -> None:
        """SHAKE-128 of the empty text, as NIST's examples print it."""
        self.assertEqual(bytes_of("", 16).hex(), "7f9c2ba4e88f827d616045507605853e")
