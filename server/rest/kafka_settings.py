"""How librdkafka is set up for the plain HTTP interface: four handles, each with a reason for what it sets. Pure.

Told to all of them: a leader's end is to be noticed in tenths of a second (its defaults suit a cluster far away), and
what it logs is left to `error_cb`, for a server's log is JSON.
"""

from typing import Any, Final

from server.rest.cluster import ACK_S, ASK_S

MAX_QUEUED: Final = 20_000
"""Messages that wait for their acknowledgment: more callers at a time than a replica has connections."""
MAX_QUEUED_KB: Final = 64 * 1024
"""The same in memory; librdkafka's default is 1 GiB."""
FETCH_BYTES: Final = 1024 * 1024
"""What one read ahead takes from a partition: Kafka's default."""
UNKNOWN_MS: Final = 2000
"""How long a topic that was just made may not be known to every broker; then a message for it fails."""

_SILENT: Final = 2
"""Critical, in syslog's levels."""


def _common(bootstrap: str) -> dict[str, Any]:
    return {
        "bootstrap.servers": bootstrap,
        "client.id": "carousel-http",
        "log_level": _SILENT,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 500,
        "retry.backoff.ms": 50,
        "socket.timeout.ms": int(ASK_S * 1000),
        "socket.nagle.disable": True,
        "topic.metadata.refresh.fast.interval.ms": 100,
        "allow.auto.create.topics": False,  # for producers too, or a deleted topic would come back
    }


def admin(bootstrap: str) -> dict[str, Any]:
    return _common(bootstrap)


def producer(bootstrap: str) -> dict[str, Any]:
    """Batches are what calls at the same time make; none waits for others."""
    return {
        **_common(bootstrap),
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 0,
        "message.timeout.ms": int(ACK_S * 1000),
        "topic.metadata.propagation.max.ms": UNKNOWN_MS,
        "queue.buffering.max.messages": MAX_QUEUED,
        "queue.buffering.max.kbytes": MAX_QUEUED_KB,
    }


def _consumer(bootstrap: str) -> dict[str, Any]:
    """No group is ever joined, but librdkafka wants a name for one, and ends who doesn't poll for it."""
    return {
        **_common(bootstrap),
        "group.id": "carousel-http",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "max.poll.interval.ms": 86_400_000,
        "fetch.error.backoff.ms": 50,
        "fetch.queue.backoff.ms": 10,
    }


def follower(bootstrap: str) -> dict[str, Any]:
    """Of internal topics, where there are no transactions. A Fetch is parked until a record comes."""
    return {**_consumer(bootstrap), "isolation.level": "read_uncommitted", "fetch.wait.max.ms": 500}


def reader(bootstrap: str) -> dict[str, Any]:
    """Asked for what is there, so no Fetch is to be parked: the next question to that broker would wait behind it."""
    return {
        **_consumer(bootstrap),
        "fetch.wait.max.ms": 0,
        "max.partition.fetch.bytes": FETCH_BYTES,
        "queued.max.messages.kbytes": FETCH_BYTES // 1024,
    }
