"""`server.meta`: whose a data directory is."""

import unittest

from server.meta import Meta, MetaError, check_meta, parse_meta

META = Meta("c1", 7, "abc")


class Text(unittest.TestCase):
    def test_there_and_back(self) -> None:
        self.assertEqual(META.to_text(), "version=1\ncluster.id=c1\nnode.id=7\ndirectory.id=abc\n")
        self.assertEqual(parse_meta(META.to_text()), META)

    def test_kafka_s_own_comments_and_further_keys_pass(self) -> None:
        self.assertEqual(parse_meta("#\n#Sat Nov 21\n" + META.to_text() + "\nmore=x=y\n"), META)

    def test_what_is_broken_is_named(self) -> None:
        for broken, word in (
            ("", "lacks version"),
            ("version=1\ncluster.id=\nnode.id=1\ndirectory.id=a", "lacks cluster.id"),
            (META.to_text().replace("version=1", "version=2"), "version 2"),
            (META.to_text().replace("=7", "=seven"), "node.id=seven"),
        ):
            with self.assertRaisesRegex(MetaError, word):
                parse_meta(broken)


class Checks(unittest.TestCase):
    def test_another_cluster_or_node_is_refused(self) -> None:
        check_meta(META, "c1", 7)
        check_meta(META, None, None)
        with self.assertRaisesRegex(MetaError, "cluster c1, not to c2"):
            check_meta(META, "c2", 7)
        with self.assertRaisesRegex(MetaError, "node 7, not to 8"):
            check_meta(META, "c1", 8)
