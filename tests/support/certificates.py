"""Certificates for tests, made by the `openssl` command; none is kept in the repository."""

import functools
import shutil
import ssl
import subprocess
import unittest
from pathlib import Path
from typing import NamedTuple

needs_openssl = unittest.skipUnless(shutil.which("openssl"), "there is no openssl command to make certificates with")


class Pair(NamedTuple):
    cert: Path
    key: Path


@functools.cache
def _made(name: str, rsa: bool) -> tuple[bytes, bytes]:
    """(certificate, key) in PEM, self-signed, for localhost and 127.0.0.1; one for each name and kind of key."""
    kind = ("-newkey", "rsa:2048") if rsa else ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    names = ("-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    argv = ("openssl", "req", "-x509", *kind, "-nodes", "-days", "2", *names, "-keyout", "/dev/stdout")
    text = subprocess.run(argv, capture_output=True, check=True).stdout
    at = text.index(b"-----BEGIN CERTIFICATE-----")
    return text[at:], text[:at]


def write_pair(directory: Path, name: str = "first", rsa: bool = False) -> Pair:
    """The pair of that name as cert.pem and key.pem in the directory, in the place of those that are there."""
    pair = Pair(directory / "cert.pem", directory / "key.pem")
    for path, text in zip(pair, _made(name, rsa), strict=True):
        path.write_bytes(text)
    return pair


def encrypted(key: Path) -> bytes:
    """The key with a passphrase around it."""
    argv = ("openssl", "pkcs8", "-topk8", "-in", str(key), "-passout", "pass:secret")
    return subprocess.run(argv, capture_output=True, check=True).stdout


def client_context(cert: Path | None = None) -> ssl.SSLContext:
    """Of a client that trusts this certificate; None: that trusts anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if cert is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(cert)
    return context


def common_name(der: bytes | None) -> str:
    """The subject's name in a certificate as the peer showed it."""
    text = subprocess.run(
        ("openssl", "x509", "-inform", "DER", "-noout", "-subject"), input=der, capture_output=True, check=True
    ).stdout.decode()
    return text.rpartition("=")[2].strip()
