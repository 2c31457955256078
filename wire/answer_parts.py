"""What the answers of Produce, Fetch and OffsetCommit that are packed by hand have in common."""

from collections.abc import Sequence
from struct import Struct
from typing import Final, NamedTuple

from wire.packing import compact_string, packed_name, tagged, uvarint

Topic = str | bytes
"""A topic's name, or from the version on that has ids its 16 bytes."""


class CurrentLeader(NamedTuple):
    """Who leads instead, for who asked the wrong server (KIP-951); -1 is unknown."""

    leader_id: int
    leader_epoch: int


class Endpoint(NamedTuple):
    """Where a leader named in an answer is reached: on the listener that was asked."""

    node_id: int
    host: str
    port: int
    rack: str | None = None


def topic_head(topic: Topic, compact: bool) -> bytes:
    """A topic's name or id as it stands in an answer."""
    return packed_name(topic, compact) if isinstance(topic, str) else topic


def leader_tag(tag: int, leader: CurrentLeader) -> bytes:
    """The tagged field CurrentLeader, which has another tag in each API."""
    return tagged(tag, _LEADER.pack(*leader, 0))


def endpoints_tag(endpoints: Sequence[Endpoint]) -> bytes:
    """The tagged fields at the end of a Produce or Fetch answer: NodeEndpoints is tag 0."""
    if not endpoints:
        return b"\x00"
    packed = [
        b"".join((_INT32.pack(node), compact_string(host), _INT32.pack(port), compact_string(rack), b"\x00"))
        for node, host, port, rack in endpoints
    ]
    return b"\x01" + tagged(0, uvarint(len(packed) + 1) + b"".join(packed))


_INT32: Final = Struct(">i")
_LEADER: Final = Struct(">iib")
