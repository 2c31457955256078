"""runproduce over the Kafka protocol: an idempotent producer, and a run that is killed is taken up where it was."""

import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from client.errors import CarouselError, TimedOut
from client.kafka.admin import Admin
from client.kafka.consumer import Consumer
from client.kafka.producer import Producer
from client.plain.line_file import replace_file
from client.plain.looking import PAUSE_S, kafka_names, persistently, wait_for
from client.plain.notices import Notices
from client.produce_log import (
    HEADER,
    Begun,
    Line,
    decode_begun,
    digest_of,
    encode_begun,
    lacking,
    line_marked,
    mark,
    placed,
)
from client.values import Sent

Placed = tuple[Line, int]

PATIENCE_S: Final = 5.0
"""One question to the queue, before standard error hears that it is away."""

FOREVER_MS: Final = 2**31 - 1
"""librdkafka's longest delivery: a run ends when everything is acknowledged, however long servers are away."""

SLOW_S: Final = 3.0
"""Without an acknowledgment for so long, something is away."""

SETTLED_S: Final = 1.0
"""So long nothing of a run that was cut off may arrive before what the log holds of it is believed to be all: its last
requests may be on their way yet."""

BLOCK: Final = 1_000
"""Lines under way at once where there is no pause between turns."""


def produce(
    bootstrap: str,
    lines: Sequence[Line],
    turn: int,
    record_path: Path,
    pace_s: float,
    notices: Notices,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Returns when all lines are stored: waits for topics and partitions, and for servers that are away. Sends `turn`
    lines at a time, with a random pause below `pace_s` after each turn."""
    with Admin(bootstrap, patience_s=PATIENCE_S) as admin:
        topics = [line.topic for line in lines]
        names, _ = wait_for(lambda: kafka_names(admin, topics), lambda seen: lacking(lines, seen), notices, sleep)
        work = placed(lines, names)
        settled_s = SETTLED_S if under_way(lines, record_path) else 0.0
        begun = persistently(lambda: _begun(admin, work, record_path), notices, sleep)
    while rest := persistently(partial(_rest, bootstrap, begun, work, settled_s, notices), notices, sleep):
        try:
            _send(bootstrap, begun, blocks(rest, turn if pace_s else BLOCK), pace_s, notices, sleep)
            break
        except CarouselError as error:
            if not error.retry:
                raise
            notices.trouble(str(error))
            settled_s = SETTLED_S
    record_path.unlink()


def blocks(work: Sequence[Placed], size: int) -> Iterator[Sequence[Placed]]:
    return (work[at : at + size] for at in range(0, len(work), size))


def _send(
    bootstrap: str,
    begun: Begun,
    work: Iterable[Sequence[Placed]],
    pace_s: float,
    notices: Notices,
    sleep: Callable[[float], None],
) -> None:
    """Sends block after block, each when the one before is acknowledged. Raises the first message's error."""
    options = {"delivery_timeout_ms": FOREVER_MS, "max_block_s": FOREVER_MS / 1000}
    with Producer(bootstrap, serializer="str", **options) as producer:
        for block in work:
            sent = [
                producer.send(
                    line.topic, line.message, partition=number, headers={HEADER: mark(begun.run, line.number)}
                )
                for line, number in block
            ]
            _acknowledged(sent, notices)
            if pace_s:
                sleep(random.random() * pace_s)


def _acknowledged(futures: Iterable[Future[Sent]], notices: Notices) -> None:
    pending = set(futures)
    while pending:
        done, pending = wait(pending, SLOW_S)
        for future in done:
            future.result()
        if pending:
            notices.trouble(f"{len(pending)} messages wait for their acknowledgment")
    notices.over()


def under_way(lines: Sequence[Line], path: Path) -> Begun | None:
    """The run with these lines that was killed, if one was."""
    before = decode_begun(path.read_bytes()) if path.exists() else None
    return before if before is not None and before.digest == digest_of(lines) else None


def _begun(admin: Admin, work: Sequence[Placed], path: Path) -> Begun:
    """The run that these lines belong to: the one that was under way with them, else a new one, written down. It is the
    same run when partitions were added since, and `*` means others: their ends are written down, too."""
    lines = [line for line, _ in work]
    before = under_way(lines, path) or Begun(uuid.uuid4().hex, digest_of(lines), {})
    places = {(line.topic, number) for line, number in work} - before.ends.keys()
    if not places:
        return before
    ends = {
        (topic, number): one.next
        for topic in {topic for topic, _ in places}
        for number, one in admin.offsets(topic).items()
        if (topic, number) in places
    }
    begun = replace(before, ends={**ends, **before.ends})
    replace_file(path, encode_begun(begun))
    return begun


def _rest(bootstrap: str, begun: Begun, work: Sequence[Placed], settled_s: float, notices: Notices) -> Sequence[Placed]:
    """What isn't in the log yet: found by reading it from where the partitions ended before the run, to the end, and
    until nothing of the run has come for `settled_s`."""
    stored: set[int] = set()
    with Consumer(bootstrap, list(begun.ends), start=begun.ends, patience_s=PATIENCE_S) as consumer:
        quiet_since = ours_since = time.monotonic()
        while not consumer.caught_up or time.monotonic() - ours_since < settled_s:
            for message in consumer.batch(BLOCK, PAUSE_S):
                quiet_since = time.monotonic()
                mine = {found for value in message.headers if (found := line_marked(value, begun.run)) is not None}
                ours_since = quiet_since if mine else ours_since
                stored |= mine
            if not consumer.caught_up and time.monotonic() - quiet_since > PATIENCE_S:
                raise TimedOut("a partition can't be read")
    if stored:
        notices.say(f"takes up the run before: {len(stored)} of {len(work)} lines are stored already")
    return [one for one in work if one[0].number not in stored]
