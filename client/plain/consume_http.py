"""runconsume over the plain HTTP interface, where there is no Kafka protocol to be had.

Each of --topics is a consumer of the interface. Its cursor moves only when the next call acknowledges the last answer
(`ack`), and that call is made when the answer is in the file and in the record: so a lost answer, or a kill between the
two, loses and doubles nothing.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from client.assignments import Assignment
from client.consume_log import Record, Taken, line_of, missing
from client.plain.line_file import LineFile
from client.plain.looking import http_names, persistently, wait_for
from client.plain.notices import Notices
from client.web.calls import NOTHING, QueueCalls
from wire.http_queue import EVERY

PAUSE_S: Final = 0.1
"""Between two rounds of questions that found nothing."""


class HttpToFile:
    """One run, which takes up the record of the one before. `run` does it all."""

    def __init__(
        self,
        calls: QueueCalls,
        wanted: Sequence[Assignment],
        file: LineFile,
        timeout_s: float,
        notices: Notices,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._calls = calls
        self._wanted = wanted
        self._file = file
        self._timeout_s = timeout_s
        self._notices = notices
        self._now = now
        self._sleep = sleep
        self._record = file.kept or Record(0)

    def run(self) -> None:
        """Returns when no message came for long enough while the queue answered. Waits for topics, and while servers or
        the balancer are away. Raises Refused."""
        topics = [one.topic for one in self._wanted]
        look = partial(http_names, self._calls, topics)
        wait_for(look, partial(missing, self._wanted), self._notices, self._sleep)
        for one in self._wanted:
            self._register(one)
        heard_at = self._now()
        while self._now() - heard_at < self._timeout_s:
            heard = [self._take(str(one)) for one in self._wanted]  # of each, not up to the first that has one
            if any(heard):
                heard_at = self._now()
            else:
                self._sleep(PAUSE_S)

    def _register(self, one: Assignment) -> None:
        if str(one) not in self._record.taken:
            part = None if one.part == EVERY else one.part
            found = persistently(partial(self._calls.register_consumer, one.topic, part), self._notices, self._sleep)
            self._keep({str(one): Taken(found)})

    def _take(self, name: str) -> bool:
        """Asks for one message of this consumer and writes it; whether there was one, or the queue was away."""
        taken = self._record.taken[name]
        ack = NOTHING if taken.last is None else taken.last[1]
        outages = self._notices.outages
        answer = persistently(partial(self._calls.consume, taken.consumer_id, ack), self._notices, self._sleep)
        if answer is None:
            return self._notices.outages > outages
        last = None if answer.offset is None else (answer.topic, answer.offset)
        if last is None or last != taken.last:  # else it is the answer that is in the file, given once more
            self._file.append(line_of(answer.topic, answer.message))
            self._keep({name: replace(taken, last=last)})
        return True

    def _keep(self, taken: Mapping[str, Taken]) -> None:
        self._record = replace(
            self._record, taken={**self._record.taken, **taken}, wanted=tuple(map(str, self._wanted))
        )
        self._file.record(self._record)
