"""MyConsumer and writeComsumeLog (the field's own spelling)."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from client.compat.myqueue.api import ApiHandler, Message, pair_of
from client.compat.myqueue.producer import Topic
from client.consume_log import BLANKS
from client.errors import CarouselError
from client.web.calls import NOTHING

PAUSE_S: Final = 0.1
"""Between two rounds over the topics that found nothing."""


class MyConsumer:
    """Reads the topics that it was made for, from the moment on when it is made; waits for those that aren't there.

    host (or `broker=`): the load balancer. timeout: `get_next` ends after so many seconds without a message.
    Answers are acknowledged by the next call (`ack`), so a lost one is given again: in the field it is lost.
    """

    def __init__(self, topics: Iterable[Topic], host: str = "", timeout: float = 20, *, broker: str = "") -> None:
        self.timeout = timeout
        self.api = ApiHandler(host or broker or "localhost")
        pairs = [pair_of(topic) for topic in topics]
        self.ids = {pair: self.api.reg_consumer(*pair, retry=True) for pair in pairs}
        self._last: dict[int, tuple[str, int] | None] = {}

    def has_next(self, topic: str | None = None) -> bool:
        """Whether there is a message to read: of this topic, or of any."""
        return any(self.api.can_get_next(one) for one in self._of(topic))

    def get_next(self, topic: str | None = None) -> Iterator[Message]:
        """Messages as they come, of this topic or of all in turn, until none has come for `timeout` seconds."""
        heard_at = time.monotonic()
        while time.monotonic() - heard_at < self.timeout:
            silent = True
            for one in self._of(topic):
                message = self._take(one)
                if message is not None:
                    yield message
                    heard_at, silent = time.monotonic(), False
            if silent:
                time.sleep(PAUSE_S)

    def stop(self) -> None:
        """Ends the connections. (In the field it kills the process.)"""
        self.api.calls.close()

    def _of(self, topic: str | None) -> list[int]:
        return [one for (name, _), one in self.ids.items() if topic in (None, name)]

    def _take(self, consumer_id: int) -> Message | None:
        last = self._last.get(consumer_id)
        try:
            answer = self.api.calls.consume(consumer_id, NOTHING if last is None else last[1])
        except CarouselError:  # the next round asks again, and gets what was lost
            return None
        if answer is None:
            return None
        seen = None if answer.offset is None else (answer.topic, answer.offset)
        if seen is not None and seen == last:  # given once more: its ack was not understood
            return None
        self._last[consumer_id] = seen
        return Message(answer.topic, answer.message)


class writeComsumeLog:
    """The file that a consumer writes: begun anew, each line flushed."""

    def __init__(self, file: str | Path) -> None:
        self.f = Path(file).open("w", encoding="utf-8")  # noqa: SIM115 (closed by `close`, as the field has it)

    def writeline(self, string: str) -> None:
        self.f.write(string + "\n")
        self.f.flush()

    def write(self, message: Message) -> None:
        """The line that specs/queue-http-api.md says: `T1:P1`, five blanks, the message."""
        self.writeline(f"{message.topic}{BLANKS}{message.message}")

    def close(self) -> None:
        self.f.close()
