import os
import shutil
import ssl
import tempfile
import unittest
from pathlib import Path

from support.certificates import encrypted, needs_openssl, write_pair

from loadbalancer.disk.certificate import CIPHERS, BadPair, Certificate, make_context


@needs_openssl
class Files(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.pair = write_pair(self.directory)
        self.cert, self.key = map(str, self.pair)

    def refused(self, fault: str) -> None:
        with self.assertRaisesRegex(BadPair, fault) as caught:
            make_context(self.cert, self.key)
        text = str(caught.exception)
        self.assertEqual(len(text.splitlines()), 1)
        self.assertNotIn("BEGIN", text)


class Making(Files):
    def test_only_what_is_sane_is_spoken(self) -> None:
        context = make_context(self.cert, self.key)
        self.assertEqual(context.minimum_version, ssl.TLSVersion.TLSv1_2)
        for option in (ssl.OP_NO_COMPRESSION, ssl.OP_NO_RENEGOTIATION):
            self.assertTrue(context.options & option)
        names = {cipher["name"] for cipher in context.get_ciphers()}
        self.assertLessEqual(set(CIPHERS.split(":")), names)
        self.assertFalse([name for name in names if "CBC" in name or not name.startswith(("TLS_", "ECDHE-"))])

    def test_an_rsa_key_will_do(self) -> None:
        make_context(*map(str, write_pair(self.directory, rsa=True)))

    def test_a_missing_file_is_named_with_its_setting(self) -> None:
        self.pair.key.unlink()
        self.refused("^--tls-key: No such file.*key.pem$")
        self.pair.cert.unlink()
        self.refused("^--tls-cert: No such file.*cert.pem$")

    def test_a_directory_and_a_file_that_is_no_pem(self) -> None:
        self.key = str(self.directory)
        self.refused("^--tls-key: Is a directory")
        self.key = self.cert
        self.refused("^--tls-key: .*cert.pem has no private key in PEM$")
        self.key, self.cert = str(self.pair.key), str(self.pair.key)
        self.refused("^--tls-cert: .*key.pem has no certificate in PEM$")

    def test_a_key_that_belongs_to_another_certificate(self) -> None:
        for rsa in (False, True):
            with self.subTest(rsa=rsa):
                other = write_pair(self.directory, "second", rsa)
                theirs = other.key.read_bytes()
                write_pair(self.directory, "first", rsa=True)
                self.pair.key.write_bytes(theirs)
                self.refused("^--tls-key: .*key.pem does not belong to .*cert.pem$")

    def test_an_encrypted_key_asks_nobody(self) -> None:
        self.pair.key.write_bytes(encrypted(self.pair.key))
        self.refused("^--tls-key: .*key.pem is encrypted")

    def test_a_torn_file(self) -> None:
        for path in self.pair:
            with self.subTest(path.name):
                whole = path.read_bytes()
                path.write_bytes(whole[: len(whole) // 2] + whole[-30:])
                self.refused("can't be read: ")
                path.write_bytes(whole)

    def test_a_file_that_may_not_be_read(self) -> None:
        self.pair.key.chmod(0)
        if os.access(self.pair.key, os.R_OK):
            self.skipTest("root reads everything")
        self.refused("^--tls-key: Permission denied")


class Renewing(Files):
    def setUp(self) -> None:
        super().setUp()
        self.certificate = Certificate(self.cert, self.key)

    def test_files_that_stay_are_read_once(self) -> None:
        self.assertTrue(self.certificate.refresh())
        first = self.certificate.context
        self.assertFalse(self.certificate.refresh())
        self.assertIs(self.certificate.context, first)

    def test_a_new_pair_makes_a_new_context(self) -> None:
        self.certificate.refresh()
        first = self.certificate.context
        write_pair(self.directory, "second")
        self.assertTrue(self.certificate.refresh())
        self.assertIsNot(self.certificate.context, first)

    def test_a_link_that_points_elsewhere_is_a_change(self) -> None:
        others = self.directory / "others"
        others.mkdir()
        write_pair(others, "second")
        link = self.directory / "now"
        link.symlink_to(self.directory)
        certificate = Certificate(str(link / "cert.pem"), str(link / "key.pem"))
        self.assertTrue(certificate.refresh())
        link.unlink()
        link.symlink_to(others)
        self.assertTrue(certificate.refresh())

    def test_a_change_for_the_worse_is_told_once_and_changes_nothing(self) -> None:
        self.certificate.refresh()
        first = self.certificate.context
        key = self.pair.key.read_bytes()
        for harm in (lambda: self.pair.key.write_bytes(b"x"), self.pair.key.unlink):
            harm()
            with self.assertRaises(BadPair):
                self.certificate.refresh()
            self.assertFalse(self.certificate.refresh())
            self.assertIs(self.certificate.context, first)
        self.pair.key.write_bytes(key)
        self.assertTrue(self.certificate.refresh())

    def test_one_file_after_the_other(self) -> None:
        """As most tools renew: in between, the two don't belong together."""
        self.certificate.refresh()
        old = self.pair.key.read_bytes()
        write_pair(self.directory, "second")
        new = self.pair.key.read_bytes()
        self.pair.key.write_bytes(old)
        with self.assertRaises(BadPair):
            self.certificate.refresh()
        self.pair.key.write_bytes(new + b"\n")
        self.assertTrue(self.certificate.refresh())

    def test_broken_from_the_start_and_mended(self) -> None:
        key = self.pair.key.read_bytes()
        self.pair.key.unlink()
        with self.assertRaises(BadPair):
            self.certificate.refresh()
        self.assertIsNone(self.certificate.context)
        self.pair.key.write_bytes(key)
        self.assertTrue(self.certificate.refresh())
        self.assertIsNotNone(self.certificate.context)

    def test_without_tls_there_is_nothing_to_read(self) -> None:
        none = Certificate("", "")
        self.assertFalse(none.refresh())
        self.assertIsNone(none.context)
