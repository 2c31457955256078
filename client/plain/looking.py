"""Finding the queue through the load balancer, and waiting for topics: what both programs begin with."""

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

Names = dict[str, tuple[str, ...]]


def bootstrap(calls: QueueCalls, notices: Notices, sleep: Callable[[float], None] = time.sleep) -> str | None:
    """Where the Kafka protocol is spoken, as the load balancer says; None: there is only the HTTP interface. Waits
    while the balancer is away, and while the queue has no server yet."""
    while True:
        try:
            cluster = calls.cluster()
        except CarouselError as error:
            notices.trouble(str(error))
        else:
            queue: dict[str, Any] | None = (cluster or {}).get("queue")
            if queue is None or queue.get("bootstrap"):
                notices.over()
                return None if queue is None else str(queue["bootstrap"])
            notices.trouble("the queue has no server yet")
        sleep(PAUSE_S)


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
