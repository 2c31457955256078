"""What the log says of a run that was killed: which lines of it are there (see `client.cli.sending`)."""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from client.cli.positions import Place
from client.cli.reached import all_reached
from client.cli.sending import BadState, Found, State, number_in
from client.cli.terms import Cluster
from client.errors import TopicNotFound

if TYPE_CHECKING:
    from client import Message

SETTLED_S: Final = 1.0
"""So long nothing of the dead run may arrive before it is believed to be all."""

BATCH: Final = 5_000
POLL_S: Final = 0.1


def ends_of(cluster: Cluster, topic: str) -> dict[int, int]:
    """Where each partition ends now; none where the topic is yet to be made, which sending does where servers make
    topics by themselves. Raises Unreachable."""
    with cluster.admin() as admin, suppress(TopicNotFound):
        return {partition: offsets.next for partition, offsets in admin.offsets(topic).items()}
    return {}


def starts_of(cluster: Cluster, state: State) -> dict[Place, int]:
    """Where each partition is looked at. Raises BadState where the log can't tell any more."""
    with cluster.admin() as admin:
        held = admin.offsets(state.topic)
    for partition, offset in state.next.items():
        if partition not in held or not held[partition].first <= offset <= held[partition].next:
            raise BadState(
                f"{state.topic} no longer holds what the run before sent (retention, or it was made anew), so nobody "
                "knows what is missing; begin a new run with another state file"
            )
    return {(state.topic, partition): state.next.get(partition, one.first) for partition, one in held.items()}


def found_in_log(cluster: Cluster, state: State) -> dict[int, Found]:
    """The lines beyond the prefix that are in the log, with their places."""
    if not state.next and not ends_of(cluster, state.topic):  # it was killed before the topic was made
        return {}
    found: dict[int, Found] = {}
    for message in _since(cluster, state):
        number = number_in(message.headers, state.run)
        if number is not None and number > state.lines:
            found[number] = Found(message.partition, message.offset)
    return found


def _since(cluster: Cluster, state: State) -> "Iterator[Message]":
    """From `state.next` to the end, and until nothing of this run has come for SETTLED_S."""
    from client import Consumer

    starts = starts_of(cluster, state)
    properties = cluster.looking_for_ends().properties
    with Consumer(cluster.bootstrap, state.topic, start=starts, **properties) as consumer:
        ends, quiet_since_s = consumer.ends(), time.monotonic()
        following = dict(starts)
        while time.monotonic() - quiet_since_s < SETTLED_S or not all_reached(ends, following, consumer.reached()):
            for message in consumer.batch(BATCH, POLL_S):
                following[message.topic, message.partition] = message.offset + 1
                if number_in(message.headers, state.run) is not None:
                    quiet_since_s = time.monotonic()
                yield message
