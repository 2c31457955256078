"""ApiHandler: a method for each call of the HTTP interface."""

import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

from client.errors import CarouselError, ConfigError
from client.web.calls import QueueCalls
from wire.http_queue import EVERY, RESERVED

T = TypeVar("T")

RETRY_S: Final = 1.0
"""The field's pause between two tries."""


class Message(NamedTuple):
    """What `consume` gives: `topic` is `T1:P1`. (In the field a plain object with these two attributes.)"""

    topic: str
    message: str


class ApiHandler:
    """The HTTP interface at `host`, by the field's method names. In the field writes go to port 5000 and reads to 5001;
    ours are the same on both, so `readonly` is not asked, and `host` may bring its port.

    Failures raise an exception whose text is the answer's `message`: `client.errors.Refused`; while nobody answers,
    `client.errors.Unreachable`. `retry=True` tries again each second until it succeeds, as in the field.
    """

    def __init__(self, host: str = "localhost", primary: str = "5000", readonly: str = "5001") -> None:
        self.readonly = readonly
        self.calls = QueueCalls(host if ":" in host else f"{host}:{primary}")

    def can_send(self) -> bool:
        """Whether the queue answers and has a topic."""
        try:
            return bool(self.get_topics())
        except CarouselError:
            return False

    def can_get_next(self, consumer_id: int) -> bool:
        """Whether this consumer has a message to read."""
        try:
            return self.get_size(consumer_id) > 0
        except CarouselError:
            return False

    def get_topics(self) -> dict[str, dict[str, str]]:
        """`{"T1": {"P1": "server1"}}`."""
        return self.calls.topics()

    def add_topic(self, topic: str, part: str) -> str:
        return self.calls.add_topic(allowed(topic), allowed(part))

    create_topic = add_topic

    def reg_producer(self, topic: str, part: str | None = None, retry: bool = False) -> int:
        """A producer's id. With `part` topic and partition are made when missing; without it, or `*`: all in turn."""
        named = None if part in (None, EVERY) else part
        return again(lambda: self.calls.register_producer(topic, named), retry)

    def produce(self, producer_id: int, message: str) -> str:
        return self.calls.produce(producer_id, message)

    def reg_consumer(self, topic: str, part: str | None = None, retry: bool = False) -> int:
        """A consumer's id; it reads what is sent from now on."""
        named = None if part in (None, EVERY) else part
        return again(lambda: self.calls.register_consumer(topic, named), retry)

    def consume(self, consumer_id: int) -> Message | None:
        """The next message; None if there is none, or no answer (as in the field: then a message may be lost, since the
        cursor moves with the answer)."""
        try:
            found = self.calls.consume(consumer_id)
        except CarouselError:
            return None
        return None if found is None else Message(found.topic, found.message)

    def get_size(self, consumer_id: int) -> int:
        """How many messages this consumer has yet to read."""
        return self.calls.size(consumer_id)

    size = get_size

    def get_brokers(self) -> list[str]:
        return self.calls.brokers()

    def add_broker(self, broker_name: str) -> str:
        return self.calls.add_broker(broker_name)

    def rm_broker(self, broker_name: str) -> str:
        return self.calls.remove_broker(broker_name)

    def test_broker(self, broker_name: str) -> str:
        return self.calls.test_broker(broker_name)


def allowed(name: str) -> str:
    """The name itself. Raises ConfigError for one with the field's reserved characters."""
    if not name or any(character in RESERVED for character in name):
        raise ConfigError(f"Name: {name} is not allowed: none of {' '.join(RESERVED)} may be in it")
    return name


def again(call: Callable[[], T], retry: bool) -> T:
    while True:
        try:
            return call()
        except CarouselError:
            if not retry:
                raise
        time.sleep(RETRY_S)


def pair_of(topic: str | Sequence[str]) -> tuple[str, str]:
    """(topic, part) of `["T1", "P1"]`, `"T1:P1"` or `"T1"`; `*` where no partition is named."""
    name, *part = topic.split(":") if isinstance(topic, str) else topic
    return name, part[0] if part else EVERY
