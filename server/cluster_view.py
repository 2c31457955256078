"""What an image of the cluster looks like to a client on one listener, and packed answers kept while it stands. Pure.

A server is told of only where it can be reached: one without an address on the listener that was asked is left out,
and what it leads has no leader there. `controller_id` is the lowest live server's id: admin clients send to it what
they want changed, every server passes that on, and control itself speaks to no client (R10).
"""

from collections.abc import Callable, Hashable
from typing import Final

from wire.answer_parts import Endpoint
from wire.cluster import NO_LEADER, Image, Partition
from wire.errors import ErrorCode
from wire.metadata_answers import PartitionAnswer

MAX_ANSWERS: Final = 256
"""Packed answers kept: a few versions, each for all topics and for what some hundred applications use."""
MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
"""The same in bytes: 2 000 partitions are 0.1 MB."""


class Answers:
    """Packed answers of one image; another image empties it."""

    def __init__(self) -> None:
        self._image: Image | None = None
        self._kept: dict[Hashable, bytes] = {}
        self._size_bytes = 0

    def get(self, image: Image, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """What `make` makes, or made before for the same image and key."""
        if image is not self._image:
            self._clear(image)
        kept = self._kept.get(key)
        if kept is None:
            kept = make()
            self._keep(image, key, kept)
        return kept

    def _keep(self, image: Image, key: Hashable, packed: bytes) -> None:
        if len(self._kept) >= MAX_ANSWERS or self._size_bytes + len(packed) > MAX_ANSWER_BYTES:
            self._clear(image)
        self._kept[key] = packed
        self._size_bytes += len(packed)

    def _clear(self, image: Image) -> None:
        self._image = image
        self._kept.clear()
        self._size_bytes = 0


def endpoints(image: Image, listener: str) -> list[Endpoint]:
    """The live servers that can be reached on `listener`, by node id."""
    return [
        Endpoint(node_id, *image.brokers[node_id].listeners[listener], image.brokers[node_id].rack)
        for node_id in sorted(image.brokers)
        if not image.brokers[node_id].fenced and listener in image.brokers[node_id].listeners
    ]


def endpoint_of(image: Image, node_id: int, listener: str) -> Endpoint | None:
    """One of `endpoints`."""
    broker = image.brokers.get(node_id)
    if broker is None or broker.fenced or listener not in broker.listeners:
        return None
    return Endpoint(node_id, *broker.listeners[listener], broker.rack)


def partition_answer(partition: Partition, reachable: frozenset[int]) -> PartitionAnswer:
    """As a client sees it; LEADER_NOT_AVAILABLE makes it ask again, which is what a server's end looks like."""
    has_leader = partition.leader in reachable
    return PartitionAnswer(
        ErrorCode.NONE if has_leader else ErrorCode.LEADER_NOT_AVAILABLE,
        partition.partition,
        partition.leader if has_leader else NO_LEADER,
        partition.leader_epoch,
        partition.replicas,
        partition.isr,
        tuple([node for node in partition.replicas if node not in reachable]),
    )
