"""What becomes of the cluster when control's state is lost: the highest of the servers' copies, jumped (R5). Pure.

The problem: the lost state may have been ahead of every copy by what was committed and not yet pushed, and, where a
server is absent, by what only that one was told. Whatever was given out then must not be given out again: so versions,
leader epochs and producer ids jump by more than could have been given out in the time that a push takes. Servers that
hold their copy out as the incarnation that it names go on as they are; all others are fenced, and come back as after
any other end (R3), with the disks that they then prove to have.

Not taken: a vote among copies, or to merge them. One control wrote all of them, so a higher one contains the lower.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from loadbalancer.queue import Queue
from loadbalancer.queue_words import Ended, Members, QueueSettings
from wire.cluster import Broker, Image, Record
from wire.cluster_link import Offer

EPOCH_JUMP: Final = 1000
VERSION_JUMP: Final = 1000
"""Positions are broker epochs, too."""
PRODUCER_ID_JUMP: Final = 1_000_000
"""A thousand blocks."""


class CantRecover(Exception):
    """Why not, for people."""


def recovered(offers: Mapping[int, Offer], absent: Collection[int], settings: QueueSettings) -> Image:
    """The state to go on with. `absent`: the registered servers that the operator gives up waiting for.

    Its generation is the highest that was ever told a server: the next control's must be above it. Raises CantRecover.
    """
    known = {node_id: offer for node_id, offer in offers.items() if offer.at.generation > 0}
    if not known:
        raise CantRecover("no server has offered its copy of the queue's state: are they running?")
    best = max(known.values(), key=lambda offer: offer.at)
    try:
        image = Image().with_records(best.records, *best.at)
    except ValueError as fault:
        raise CantRecover(f"the highest copy makes no sense: {fault}") from fault
    _check_absent(image, offers, absent)
    image = _fenced(_believed(image, offers), offers, settings)
    return _jumped(image, max(offer.epoch for offer in offers.values()))


def _check_absent(image: Image, offers: Mapping[int, Offer], absent: Collection[int]) -> None:
    there = sorted(offers.keys() & set(absent))
    if there:
        raise CantRecover(f"{_nodes(there)} said to be absent, and not so")
    missing = sorted(image.brokers.keys() - offers.keys() - set(absent))
    if missing:
        raise CantRecover(
            f"{_nodes(missing)} registered and not here: what only such a server knows would be lost. "
            "Start it, or name it by --absent"
        )


def _nodes(nodes: list[int]) -> str:
    return f"node {nodes[0]} is" if len(nodes) == 1 else f"nodes {', '.join(map(str, nodes))} are"


def _believed(image: Image, offers: Mapping[int, Offer]) -> Image:
    """An epoch above the copy's was granted by the lost state: the disk that knows it is no older than the copy."""
    newer = [
        replace(broker, epoch=offer.epoch).record()
        for broker in image.brokers.values()
        if (offer := offers.get(broker.node_id)) and offer.directory == broker.directory and offer.epoch > broker.epoch
    ]
    return image.with_records(newer, image.generation, image.version)


def _fenced(image: Image, offers: Mapping[int, Offer], settings: QueueSettings) -> Image:
    """By the queue's own rules, so that the living ones among their followers lead."""
    queue = Queue(image, replace(settings, max_moves=0), lambda: "")
    queue.hear(Members(frozenset(image.brokers)), 0.0)
    for broker in image.brokers.values():
        if not _goes_on(broker, offers.get(broker.node_id)):
            queue.hear(Ended(broker.node_id), 0.0)
    queue.take(0.0)
    return queue.image


def _goes_on(broker: Broker, offer: Offer | None) -> bool:
    return offer is not None and (offer.incarnation, offer.directory) == (broker.incarnation, broker.directory)


def _jumped(image: Image, highest_epoch: int) -> Image:
    jumps: list[Record] = [
        replace(
            partition,
            leader_epoch=partition.leader_epoch + EPOCH_JUMP,
            partition_epoch=partition.partition_epoch + EPOCH_JUMP,
        ).record()
        for partition in image.partitions.values()
    ]
    jumps.append({"type": "producer_ids", "next": image.next_producer_id + PRODUCER_ID_JUMP})
    return image.with_records(jumps, image.generation, max(image.version, highest_epoch) + VERSION_JUMP)
