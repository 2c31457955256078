"""The certificate that the TLS port shows: two PEM files, made into a context, and made anew when they change.

A certificate is renewed while the system runs, by tools that know nothing of it (certbot's renamed links,
Kubernetes' swapped directories, an editor that writes in place). So the files are looked at about once a second:
where their time, inode or size have changed, both are read again, and the next handshake gets the new context. No
connection notices. A pair that is broken, or whose second file is still to come, is reported once and the context
before it stays; the next change is the next try.

What holds: `context` is always one that can shake hands, or None while there never was one. No key and nothing of its
text is in any error: they name the file and the fault.

The road not taken: one context for ever, whose `sni_callback` puts another in its place. Who starts TLS by itself
(aio/tls.py) may use a new one for each connection, and then the old keys, those of its session tickets too, go with
the old context. Python's ssl can't share ticket keys between processes, so a session is resumed only where SO_REUSEPORT
takes the client to the same worker again; elsewhere it gets a full handshake, without noticing. Measured, CPU of the
worker for a connection: 0.55 ms with an ECDSA key, 0.50 resumed; 0.87 with RSA 2048, 0.55 resumed.
"""

import ssl
from pathlib import Path

CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
"""Those of TLS 1.2 in Mozilla's intermediate configuration, but for DHE, which would need parameters of its own and
makes a handshake dear for us and cheap for whoever floods us with them. TLS 1.3 brings its own five, all good."""
PROTOCOLS = ("http/1.1",)
"""What ALPN agrees on. To a client that offers others alone, OpenSSL under Python says nothing and goes on."""

_ENCRYPTED = "is encrypted, and there is nobody to ask for its passphrase"
_FOREIGN = frozenset(("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"))
"""OpenSSL's reasons when certificate and key don't belong together; the last when they are not of one type."""

Signature = tuple[tuple[int, int, int] | None, ...]


class BadPair(Exception):
    """The files can't be used; the text is one line for the operator and names the setting and the file."""


class _Encrypted(Exception):
    """The key asks for a passphrase."""


class Certificate:
    """The pair of files at these paths; `wanted` is False where there are none, in a front door without TLS."""

    def __init__(self, cert: str, key: str) -> None:
        self.context: ssl.SSLContext | None = None
        self.wanted = bool(cert)
        self._cert = cert
        self._key = key
        self._seen: Signature | None = None

    def refresh(self) -> bool:
        """Read the files if they are new or have changed; True if `context` is another now.

        Raises BadPair if they have changed for the worse: once for each change. Takes some 20 us when nothing has
        changed and 2 ms else, more on a slow disk: call it in a thread.
        """
        seen = (_signature(self._cert), _signature(self._key))
        if seen == self._seen or not self.wanted:
            return False
        self._seen = seen  # looked at before they are read: what is written meanwhile is the next change
        self.context = make_context(self._cert, self._key)
        return True


def make_context(cert: str, key: str) -> ssl.SSLContext:
    """A server's context from a chain and its key, both in PEM. Raises BadPair."""
    _require("--tls-cert", cert, b"CERTIFICATE-----", "has no certificate in PEM")
    _require("--tls-key", key, b"PRIVATE KEY-----", "has no private key in PEM")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE  # all are good: a phone without AES in hardware may choose
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(PROTOCOLS)
    try:
        context.load_cert_chain(cert, key, password=_refuse)
    except _Encrypted:
        raise BadPair(f"--tls-key: {key} {_ENCRYPTED}") from None
    except ssl.SSLError as error:
        foreign = error.reason in _FOREIGN
        fault = f"does not belong to {cert}" if foreign else f"or {cert} can't be read: {error.reason or 'bad PEM'}"
        raise BadPair(f"--tls-key: {key} {fault}") from None
    except OSError as error:
        raise BadPair(f"--tls-cert: {error.strerror}: {cert} or {key}") from None
    return context


def _require(setting: str, path: str, mark: bytes, fault: str) -> None:
    """OpenSSL does not say which of two files it can't read."""
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise BadPair(f"{setting}: {error.strerror}: {path}") from None
    if mark not in text:
        raise BadPair(f"{setting}: {path} {fault}")


def _refuse() -> str:
    """OpenSSL's own way to get a passphrase is to ask the terminal, and to wait."""
    raise _Encrypted


def _signature(path: str) -> tuple[int, int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
