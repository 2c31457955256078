"""Reading with a position that means something: what both consumers, synchronous and asyncio, are made of.

Invariant: what is committed was handed out, and the caller had come back for more (or said `commit`, or left the block
in peace). librdkafka's own rule, commit whatever was fetched, loses messages in a crash; this one repeats the last few
instead. So librdkafka's offset store is off, and positions are stored here:
- `handed`: given to the caller, who may still be at work on it;
- `done`: the caller asked for more after it. Only that is stored, and librdkafka commits what is stored every five
  seconds, at a rebalance, and at the end.
Messages are fetched from librdkafka in chunks: a call for each message costs more than the message. A rebalance happens
inside such a call only, and one is made only when the chunk is used up: so nothing is handed out that was taken away.
"""

import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, Literal

import confluent_kafka
from confluent_kafka import KafkaException, TopicPartition

from client.assignments import EVERY, Assignment, parse_all
from client.client_configs import consumer_config
from client.errors import TRANSIENT, BadValue, CarouselError, ConfigError
from client.kafka.failures import LOGGER, as_ours, told_as_ours
from client.kafka.lookups import ends, patiently, places
from client.serializers import Deserializer, Name, decode, deserializer_of
from client.values import Message

CHUNK: Final = 100
"""Messages fetched from librdkafka at once. Each may be worked on for three seconds before the group calls it a hang
(max.poll.interval.ms, five minutes); Java's 500 leave 0.6 s."""

STORE_S: Final = 1.0
"""How often done positions are stored while a chunk is worked on; librdkafka commits them every five seconds."""

Place = tuple[str, int]
Start = Literal["earliest", "latest"] | int | Mapping[Place, int]
Wanted = str | Iterable[str | Place]
LOGICAL: Final = {"earliest": confluent_kafka.OFFSET_BEGINNING, "latest": confluent_kafka.OFFSET_END}


class Reading:
    """One librdkafka consumer, its chunk, and the positions. Not for several threads at once."""

    def __init__(
        self,
        bootstrap: str | Iterable[str],
        wanted: Wanted,
        group: str | None,
        start: Start,
        deserializer: Name | Deserializer,
        patience_s: float,
        overrides: Mapping[str, Any],
    ) -> None:
        self._wanted = parse_all(wanted)
        self._deserialize = deserializer_of(deserializer)
        self._group = group
        self._patience_s = patience_s
        self._handed: dict[Place, int] = {}
        self._done: dict[Place, int] = {}
        self._stored_at = 0.0
        self._chunk: deque[Any] = deque()
        self._at_end: dict[Place, int] = {}
        self.joined = False
        """Whether the group has said what we read, which may be nothing; False while it is rearranged."""
        reset = checked_start(start, group, self._wanted)
        with told_as_ours("making a consumer"):
            self._raw = confluent_kafka.Consumer(consumer_config(bootstrap, group, reset, overrides), logger=LOGGER)
        try:
            self._begin(start)
        except BaseException:
            self._raw.close()
            raise

    def fill(self, timeout_s: float) -> bool:
        """Fetches a chunk if there is none, waiting for its first message; whether there is one now. Stores what is
        done. Raises what librdkafka can't overcome by itself."""
        if self._chunk:
            return True
        self.store()
        with told_as_ours("reading"):
            first = self._raw.poll(timeout_s)
            if first is not None:
                self._keep([first, *self._raw.consume(CHUNK - 1, 0)])
        return bool(self._chunk)

    def take(self, count: int, raising: bool = True) -> list[Message]:
        """The next messages of the chunk, at most so many; they are handed out. Stops before a value that can't be
        read; if that is the first one, and `raising`, raises BadValue, and the next call goes on behind it."""
        found: list[Message] = []
        while self._chunk and len(found) < count:
            try:
                found.append(self._read(self._chunk[0]))
            except BadValue:
                if found or not raising:
                    break
                self._hand_out()
                raise
            self._hand_out()
        return found

    @property
    def caught_up(self) -> bool:
        """Whether each partition was at its end when it was last heard of, and nothing waits to be taken."""
        return not self._chunk and self._at_end.keys() >= set(self.assignment())

    @property
    def reached(self) -> dict[Place, int]:
        """For each partition that is at its end, the offset there; none while something waits to be taken."""
        return {} if self._chunk else dict(self._at_end)

    def settle(self) -> None:
        """What was handed out is done."""
        if self._handed:
            self._done |= self._handed
            self._handed = {}

    @property
    def ready(self) -> bool:
        """Whether there is a message to take."""
        return bool(self._chunk)

    @property
    def due(self) -> bool:
        """Whether done positions have waited long enough to be stored."""
        return bool(self._group and self._done) and time.monotonic() - self._stored_at >= STORE_S

    def store(self) -> None:
        """Tells librdkafka what is done. Partitions that another member of the group has by now are passed over: it
        reads these messages again."""
        if not self._done or self._group is None:
            return
        for (topic, index), offset in self._done.items():
            with suppress(KafkaException):
                self._raw.store_offsets(offsets=[TopicPartition(topic, index, offset)])
        self._done = {}
        self._stored_at = time.monotonic()

    def commit(self) -> None:
        """Commits everything handed out, and returns when the group's coordinator has it. Raises ConfigError without a
        group, and what the coordinator says."""
        if self._group is None:
            raise ConfigError("there is nothing to commit to without a group: give the consumer one (group=...)")
        self.settle()
        self.store()
        with told_as_ours(f"committing for {self._group}"):
            try:
                self._raw.commit(asynchronous=False)
            except KafkaException as error:
                if error.args[0].name() != "_NO_OFFSET":  # nothing new since the last commit
                    raise

    def seek(self, topic: str, partition: int, offset: int) -> None:
        """The next message of this partition is the one at `offset`; what was fetched of it already is dropped."""
        self._at_end.pop((topic, partition), None)
        self._chunk = deque(one for one in self._chunk if (one.topic(), one.partition()) != (topic, partition))
        with told_as_ours(f"seeking in {topic}"):
            self._raw.seek(TopicPartition(topic, partition, offset))

    def assignment(self) -> tuple[Place, ...]:
        """The partitions being read, in order."""
        return tuple(sorted((one.topic, one.partition) for one in self._raw.assignment()))

    def ends(self) -> dict[Place, int]:
        """The next offset of each partition being read, as of now."""
        return ends(self._raw, self.assignment(), self._patience_s)

    def close(self, in_peace: bool) -> None:
        """Stores what is done, in peace also what was handed out last, and leaves the group, which commits it."""
        if in_peace:
            self.settle()
        self.store()
        self._raw.close()

    def _begin(self, start: Start) -> None:
        if self._group is not None and all(one.part == EVERY for one in self._wanted):
            topics = [one.topic for one in self._wanted]
            self._raw.subscribe(topics, on_assign=self._assigned, on_revoke=self._revoked)
            return
        pairs = places(self._raw, self._wanted, self._patience_s)
        with told_as_ours("starting to read"):
            self._raw.assign([TopicPartition(*pair, offset) for pair, offset in self._starts(pairs, start).items()])

    def _assigned(self, *_: Any) -> None:
        self.joined = True

    def _revoked(self, *_: Any) -> None:
        self.joined = False

    def _starts(self, pairs: list[Place], start: Start) -> dict[Place, int]:
        if isinstance(start, int):
            return dict.fromkeys(pairs, start)
        if isinstance(start, Mapping):
            return {pair: start.get(pair, confluent_kafka.OFFSET_BEGINNING) for pair in pairs}
        committed = self._committed(pairs) if self._group is not None else {}
        behind = [pair for pair in pairs if pair not in committed]
        # "latest" is the end as of now: librdkafka would look when it begins to fetch, and pass over what comes before
        latest = start == "latest" and behind
        found = ends(self._raw, behind, self._patience_s) if latest else dict.fromkeys(behind, LOGICAL[start])
        return found | committed

    def _committed(self, pairs: list[Place]) -> dict[Place, int]:
        asked = [TopicPartition(*pair) for pair in pairs]
        told = patiently(lambda s: self._raw.committed(asked, s), "asking for the group's offsets", self._patience_s)
        return {(one.topic, one.partition): one.offset for one in told if one.offset >= 0}

    def _keep(self, found: list[Any]) -> None:
        """Messages go to the chunk, ends are noted; the first error that doesn't pass by itself is raised at last."""
        failed: CarouselError | None = None
        for one in found:
            error = one.error()
            if error is None:
                self._chunk.append(one)
                self._at_end.pop((one.topic(), one.partition()), None)
            elif error.name() == "_PARTITION_EOF":
                self._at_end[one.topic(), one.partition()] = one.offset()
            elif error.name() not in TRANSIENT and failed is None:
                failed = as_ours(error, f"reading {one.topic() or ''}".rstrip())
        if failed is not None:
            raise failed

    def _hand_out(self) -> None:
        one = self._chunk.popleft()
        self._handed[one.topic(), one.partition()] = one.offset() + 1

    def _read(self, one: Any) -> Message:
        topic, index, offset, value = one.topic(), one.partition(), one.offset(), one.value()
        if value is not None:
            value = decode(self._deserialize, value, f"{topic}, partition {index}, offset {offset}")
        return Message(topic, index, offset, one.key(), value, tuple(one.headers() or ()), one.timestamp()[1])


def checked_start(start: Start, group: str | None, wanted: Iterable[Assignment]) -> str | int:
    """What auto.offset.reset must know of `start`. Raises ConfigError for what can't be."""
    if isinstance(start, str):
        if start not in LOGICAL:
            raise ConfigError(f"start={start!r}: say earliest, latest, or an offset")
        return start
    if isinstance(start, int) and start < 0:
        raise ConfigError(f"start={start}: an offset isn't negative; say earliest, latest, or an offset")
    if group is not None and all(one.part == EVERY for one in wanted):
        raise ConfigError("a group starts where it committed: say earliest or latest, or name the partitions (T1:P1)")
    return 0
