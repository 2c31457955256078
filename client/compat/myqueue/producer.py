"""MyProducer and readProduceLog."""

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from client.assignments import Assignment
from client.compat.myqueue.api import ApiHandler, pair_of
from client.errors import CarouselError, ConfigError, Refused
from client.produce_log import fields_of, parse_lines
from wire.http_queue import EVERY

PAUSE_S: Final = 0.2

Topic = str | Sequence[str]


class MyProducer:
    """Sends messages to the topics that it was made for, each registered at once; waits for those that aren't there.

    host (or `broker=`, as the first generation calls it): the load balancer. timeout: how long a send is tried again
    while nobody answers.
    """

    def __init__(self, topics: Iterable[Topic], host: str = "", timeout: float = 20, *, broker: str = "") -> None:
        self.timeout = timeout
        self.api = ApiHandler(host or broker or "localhost")
        pairs = [pair_of(topic) for topic in topics]
        self.ids = {pair: self.api.reg_producer(*pair, retry=True) for pair in pairs}

    def can_send(self) -> bool:
        return self.api.can_send()

    def send(self, topic: str, *words: str, partition: str | None = None) -> None:
        """`send(topic, message)`, `send(topic, message, partition="P1")`, or the field's `send(topic, part, message)`.

        Returns when the message is acknowledged, so messages keep their order (in the field each has a thread of its
        own, and after `timeout` it is dropped). While nobody answers it is sent again, and may so be stored twice;
        after `timeout` the error is raised. Raises Refused; ConfigError for a topic that the producer wasn't made for.
        """
        if not 1 <= len(words) <= 2:
            raise ConfigError("send(topic, message) or send(topic, part, message)")
        part = partition or (words[0] if len(words) == 2 else EVERY)
        producer_id = self.ids.get((topic, part))
        if producer_id is None:
            raise ConfigError(f"{topic}:{part} is not among the topics that this producer was made for")
        self._send(producer_id, words[-1])

    def stop(self) -> None:
        """Ends the connections. Nothing is under way any more: `send` waits."""
        self.api.calls.close()

    def _send(self, producer_id: int, message: str) -> None:
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                self.api.produce(producer_id, message)
                return
            except Refused:
                raise
            except CarouselError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(PAUSE_S)


class LogLine(NamedTuple):
    """A line of a producer's file. (In the field a plain tuple of these three.)"""

    topic: str
    part: str
    message: str


def readProduceLog(file: str | Path, topics: Iterable[Topic] | None = None) -> Iterator[LogLine]:
    """The lines of `producer_{id}.txt`: (topic, part, message) each, as the field's generator gives them.

    With `topics` the whole file is held against them first, as specs/queue-http-api.md says: raises
    `Exception("log file:incompitable, …")` (`client.produce_log.Incompatible`) with the number of the first line that
    doesn't fit. Without, only the number of fields is looked at.
    """
    text = Path(file).read_text(encoding="utf-8")
    if topics is not None:
        wanted = [Assignment(*pair_of(topic)) for topic in topics]
        return iter([LogLine(line.topic, line.part, line.message) for line in parse_lines(text, wanted)])
    return _lines(text)


def _lines(text: str) -> Iterator[LogLine]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield LogLine(*fields_of(number, line))
