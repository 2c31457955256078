"""Finding the queue through the load balancer, and waiting for topics: what both programs begin with."""

import socket
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

from client.errors import CarouselError, TopicNotFound
from client.kafka.admin import Admin
from client.plain.notices import Notices
from client.web.calls import QueueCalls

T = TypeVar("T")

PAUSE_S: Final = 0.5
"""Between two looks for what isn't there yet."""

CONNECT_S: Final = 2.0
"""For one connection, before its address counts as out of reach. Linux repeats a SYN after one second."""

OUT_OF_REACH_S: Final = 10.0
"""So long every server must be out of reach over TCP, and the queue answer over HTTP, before we take the latter. A
server that died is back within a second or two."""

Names = dict[str, tuple[str, ...]]


def bootstrap(
    calls: QueueCalls,
    notices: Notices,
    sleep: Callable[[float], None] = time.sleep,
    *,
    bound: bool = False,
    reaches: Callable[[str], bool] | None = None,
    now: Callable[[], float] = time.monotonic,
) -> str | None:
    """Where the Kafka protocol is spoken, as the load balancer says; None: we go over the HTTP interface. Waits while
    the balancer is away, and while the queue has no server yet.

    None where there is no such address, or where it leads nowhere from here: a program inside of a container network is
    told the address for those outside of it. That is decided here and never later, and only when for OUT_OF_REACH_S no
    connection to any server could be made while the servers answered over HTTP: so servers that are away for a moment
    are waited for. `bound`: a run before went over the Kafka protocol, and so does this one.
    """
    reaches = reaches or can_connect
    out_since: float | None = None
    while True:
        found, trouble = _looked(calls)
        if found is None and not trouble:
            notices.over()
            return None
        if found is not None:
            if bound or any(map(reaches, found.split(","))):
                notices.over()
                return found
            trouble = f"no connection can be made to {found}, where the Kafka protocol is spoken"
            out_since = _since(out_since, _answers(calls), now())
            if out_since is not None and now() - out_since >= OUT_OF_REACH_S:
                notices.say(f"{trouble}: going over HTTP instead")
                notices.over()
                return None
        else:
            out_since = None
        notices.trouble(trouble)
        sleep(PAUSE_S)


def _looked(calls: QueueCalls) -> tuple[str | None, str]:
    """The bootstrap address, or why there is none just now; neither, where there never is one."""
    try:
        cluster = calls.cluster()
    except CarouselError as error:
        return None, str(error)
    queue: dict[str, Any] | None = (cluster or {}).get("queue")
    if queue is None:
        return None, ""
    found = str(queue.get("bootstrap") or "")
    return (found, "") if found else (None, "the queue has no server yet")


def _since(before: float | None, holds: bool, now: float) -> float | None:
    """Since when something holds without a break; None if it doesn't."""
    if not holds:
        return None
    return now if before is None else before


def _answers(calls: QueueCalls) -> bool:
    """Whether a server answers over HTTP: the load balancer answers most of these calls by one."""
    try:
        calls.topics()
    except CarouselError:
        return False
    return True


def can_connect(address: str) -> bool:
    """Whether a TCP connection to `host:port` can be made."""
    host, _, port = address.strip().rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except (OSError, ValueError):
        return False
    return True


def kafka_names(admin: Admin, topics: Iterable[str]) -> Names:
    """The partitions' names of those topics that are there. Raises Unreachable, TimedOut."""
    found: Names = {}
    for topic in dict.fromkeys(topics):
        try:
            found[topic] = admin.partition_names(topic)
        except TopicNotFound:
            continue
    return found


def http_names(calls: QueueCalls, topics: Iterable[str]) -> Names:
    """The same by GET /topics."""
    told = calls.topics()
    return {topic: tuple(told[topic]) for topic in dict.fromkeys(topics) if topic in told}


def persistently(
    ask: Callable[[], T],
    notices: Notices,
    sleep: Callable[[float], None] = time.sleep,
    goes_on: Callable[[CarouselError], bool] = lambda error: error.retry,
) -> T:
    """`ask`'s answer, asked again after errors that pass (`goes_on`). Raises the others."""
    while True:
        try:
            answer = ask()
        except CarouselError as error:
            if not goes_on(error):
                raise
            notices.trouble(str(error))
            sleep(PAUSE_S)
        else:
            notices.over()
            return answer


def wait_for(
    look: Callable[[], Names],
    missing: Callable[[Names], Sequence[str]],
    notices: Notices,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[Names, Names]:
    """What `look` sees once nothing is `missing` any more; and what it saw at first."""
    first: Names | None = None
    said: Sequence[str] = ()
    while True:
        names = persistently(look, notices, sleep)
        first = names if first is None else first
        lacks = missing(names)
        if not lacks:
            return names, first
        if lacks != said:
            notices.say(f"waiting for {', '.join(lacks)}")
            said = lacks
        sleep(PAUSE_S)
