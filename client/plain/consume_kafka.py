"""runconsume over the Kafka protocol: every message of the partitions wanted, each once in the file.

It ends after `timeout_s` without a message, counted while the queue can be read: an outage is no silence. So whenever
nothing comes for a while the ends of all partitions are asked for, which only their leaders answer.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from client.assignments import Assignment
from client.consume_log import Place, Record, late_places, line_of, missing, name_of, starts, text_of, wanted_places
from client.errors import CarouselError
from client.kafka.admin import Admin
from client.kafka.consumer import Consumer
from client.plain.line_file import LineFile
from client.plain.looking import Names, kafka_names, persistently, wait_for
from client.plain.notices import Notices
from client.values import Message

PATIENCE_S: Final = 3.0
"""One question to the queue, before standard error hears that it is away."""

QUIET_S: Final = 2.0
"""So long without a message, and we look whether the queue is there and partitions were added."""

RECORD_S: Final = 0.2
"""How often the record is renewed while messages come: what is behind it is read again after a kill."""

BATCH: Final = 500
WAIT_S: Final = 0.2


def passes(error: CarouselError) -> bool:
    """Whether waiting helps: servers that are away, and topics that are gone, which may be made anew."""
    return error.retry or isinstance(error, LookupError)


class KafkaToFile:
    """One run, which takes up the record of the one before. `run` does it all."""

    def __init__(
        self,
        bootstrap: str,
        wanted: Sequence[Assignment],
        file: LineFile,
        timeout_s: float,
        notices: Notices,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bootstrap = bootstrap
        self._wanted = wanted
        self._file = file
        self._timeout_s = timeout_s
        self._notices = notices
        self._now = now
        self._names: Names = {}
        self._known = file.kept.wanted if file.kept else ()
        self._record = replace(file.kept or Record(0), wanted=tuple(map(str, wanted)))
        self._dirty = True
        self._recorded_at = self._heard_at = self._looked_at = now()

    def run(self) -> None:
        """Returns when no message came for long enough. Waits for topics, and while servers are away."""
        with Admin(self._bootstrap, patience_s=PATIENCE_S) as admin:
            there: frozenset[Place] | None = None
            over = False
            while not over:
                self._names, seen = wait_for(
                    lambda: self._look(admin), lambda found: missing(self._wanted, found), self._notices
                )
                there = frozenset(wanted_places(self._wanted, seen)) if there is None else there
                over = persistently(partial(self._read, admin, there), self._notices, goes_on=passes)

    def _read(self, admin: Admin, there: frozenset[Place]) -> bool:
        """Reads with one consumer; whether the run is over. False: partitions came or went."""
        places = wanted_places(self._wanted, self._names)
        offsets = {
            (topic, number): one
            for topic in {topic for topic, _ in places}
            for number, one in admin.offsets(topic).items()
        }
        if not offsets.keys() >= set(places):  # a topic was made anew, with fewer partitions
            return False
        late = late_places(places, there, self._known)
        found, words = starts(places, self._record.positions, offsets, late)
        for word in words:
            self._notices.say(word)
        self._move(found)
        self._keep()
        with Consumer(self._bootstrap, places, start=found, patience_s=PATIENCE_S) as consumer:
            self._heard_at = self._looked_at = self._now()
            while True:
                messages = consumer.batch(BATCH, min(WAIT_S, self._timeout_s))
                if messages:
                    self._write(messages)
                elif self._changed(admin, consumer):
                    return False
                elif consumer.caught_up and self._looked_at - self._heard_at >= self._timeout_s:
                    return True

    def _write(self, messages: Sequence[Message]) -> None:
        self._notices.over()
        self._heard_at = self._looked_at = self._now()
        each = ((name_of((one.topic, one.partition), self._names), text_of(one.value)) for one in messages)
        self._file.append(b"".join(line_of(place, text) for place, text in each))
        self._move({(one.topic, one.partition): one.offset + 1 for one in messages})
        if self._now() - self._recorded_at >= RECORD_S:
            self._keep()

    def _changed(self, admin: Admin, consumer: Consumer) -> bool:
        """Nothing came just now: keeps the record, and after a while looks whether the queue is there. Whether the
        partitions aren't those that we read any more."""
        self._keep()
        now = self._now()
        if now - self._looked_at < QUIET_S and now - self._heard_at < self._timeout_s:
            return False
        try:
            consumer.ends()
            names = self._look(admin)
        except CarouselError as error:
            if not error.retry:
                raise
            self._notices.trouble(str(error))
            self._heard_at = self._looked_at = self._now()
            return False
        self._looked_at = self._now()
        if self._notices.in_trouble:  # those who send were stopped by it too: the silence begins anew
            self._heard_at = self._looked_at
        self._notices.over()
        return names != self._names

    def _look(self, admin: Admin) -> Names:
        return kafka_names(admin, [one.topic for one in self._wanted])

    def _move(self, positions: Mapping[Place, int]) -> None:
        self._record = replace(self._record, positions={**self._record.positions, **positions})
        self._dirty = True

    def _keep(self) -> None:
        if self._dirty:
            self._file.record(self._record)
            self._recorded_at = self._now()
            self._dirty = False
