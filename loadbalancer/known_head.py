"""What a connection remembers of its last request, so that the next one need not be read anew.

The problem: a client tends to send the same head again and again but for its X-Request-Id, and reading a head and
making the replica's costs more than all the rest that is done for a small request. So what was read once is kept as
what stands before the id and what stands behind it, on both sides. Does the next request begin with the one and end
with the other, and is between them nothing but an id, then it says what the last one said, and the replica's head is
put together from three pieces.

What holds: a head that is recognised is, byte for byte but the id, one that was read strictly; an id holds no white
space and no control character, so it can't hide a line or the head's end. The request is whole: its body, of the
same length, is there too.

The road not taken: remembering by a hash of the head, or several heads. The id differs each time, and whoever mixes
requests on one connection pays for the search.
"""

import re

from loadbalancer.forwarding import ID_LIMIT_BYTES
from loadbalancer.retry import REPLAY_LIMIT_BYTES
from wire.http1 import RequestHead

LIMIT_BYTES = 1024
"""Longer heads are not remembered: ten thousand clients may have one each."""
DRAWN = -1
"""In a key's place: it is drawn anew, or made from the id. Keys are not negative."""
PATIENCE = 8
"""Heads of one connection that were remembered in a row for nothing; then it is given up."""

_ID = re.compile(rb"[!-~]{1,%d}" % ID_LIMIT_BYTES)
_ID_VALUE = re.compile(rb"\n(?i:x-request-id):[ \t]*+([!-~]++)[ \t]*+\r")


class KnownHead:
    """`head` is what was read; `key` is the request's key, DRAWN if each request has its own. `address` is the
    client's, as text."""

    __slots__ = (
        "_body_bytes",
        "_id_at",
        "_lead",
        "_prefix",
        "_suffix",
        "_suffix_bytes",
        "_tail",
        "address",
        "head",
        "key",
    )

    def __init__(
        self, head: RequestHead, address: bytes, key: int, received: tuple[bytes, bytes], sent: tuple[bytes, bytes]
    ) -> None:
        self.head = head
        self.address = address
        self.key = key
        self._prefix, self._suffix = received
        self._lead, self._tail = sent
        self._id_at = len(self._prefix)
        self._suffix_bytes = len(self._suffix)
        self._body_bytes = head.content_length or 0

    def id_in(self, data: bytes) -> bytes | None:
        """If `data` is one whole request with this head: its X-Request-Id, empty where it has none. Else None."""
        if not data.startswith(self._prefix):
            return None
        end = len(data) - self._body_bytes
        if not self._suffix_bytes:
            return b"" if end == self._id_at else None
        if end <= self._id_at:
            return None
        if not (data.endswith(self._suffix, 0, end) if self._body_bytes else data.endswith(self._suffix)):
            return None
        request_id = data[self._id_at : end - self._suffix_bytes]
        plain = request_id.isalnum() and len(request_id) <= ID_LIMIT_BYTES  # a quarter of the expression's price
        return request_id if plain or _ID.fullmatch(request_id) is not None else None

    def to_replica(self, request_id: bytes, data: bytes) -> bytes:
        """The replica's request in the place of `data`, in which `id_in` has found this head."""
        if self._body_bytes:
            return b"%b%b%b%b" % (self._lead, request_id, self._tail, data[-self._body_bytes :])
        return b"%b%b%b" % (self._lead, request_id, self._tail)


def known_head(head: RequestHead, raw: bytes, kept: bytes, address: bytes, key: int) -> KnownHead | None:
    """What can be remembered of the request `raw` (its head alone), of which the replica gets the head `kept`.

    None if it is not to be recognised by its bytes alone: it is long, or has a body of a length not known or too large
    to be kept for another try, or it concerns more than itself (Expect, Upgrade).
    """
    if len(raw) > LIMIT_BYTES or head.chunked or head.expect_continue or head.upgrade is not None:
        return None
    if (head.content_length or 0) > REPLAY_LIMIT_BYTES:
        return None
    received, sent = _ID_VALUE.search(raw), _ID_VALUE.search(kept)
    if sent is None:
        return None
    if received is None:
        return (
            None if b"x-request-id" in raw.lower() else KnownHead(head, address, key, (raw, b""), _around(kept, sent))
        )
    if received[1] != sent[1]:
        return None
    return KnownHead(head, address, key, _around(raw, received), _around(kept, sent))


def _around(head: bytes, match: re.Match[bytes]) -> tuple[bytes, bytes]:
    return head[: match.start(1)], head[match.end(1) :]
