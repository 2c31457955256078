"""Which topics a member of a `consumer` group subscribes to: the one thing a broker ever reads in a member's metadata.

Everything else in it is between the clients. Only version 0's fields are read, which every later version begins with
(ConsumerProtocolSubscription.json): it serves OffsetDelete and the expiry of offsets that nobody reads any more.
"""

from collections.abc import Iterable
from typing import Final

from wire.primitives import Reader, WireError, present

CONSUMER: Final = "consumer"
"""The protocol type of consumers; Connect and schema registries have others."""


def subscribed_topics(metadata: Iterable[bytes]) -> frozenset[str] | None:
    """All topics that members of these metadata subscribe to; None when one can't be read."""
    try:
        return frozenset(topic for one in metadata for topic in _topics(one))
    except WireError:
        return None


def _topics(metadata: bytes) -> list[str]:
    reader = Reader(metadata)
    reader.int16()
    return [present(reader.legacy_string()) for _ in range(present(reader.count(2)))]
