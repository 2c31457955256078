"""The queue's plain HTTP interface, as far as more than one part must agree on it: names, records, texts. Pure.

Replicas keep what clients of that interface leave behind (registrations, cursors) in internal topics of the queue, so
that any replica answers any call, and the same code works over any Kafka cluster; control writes partitions' names,
and nobody else does. The topics, of one partition each, compacted, made at their first use:

    __carousel_producers   a registration a record; its offset is the producer's id. Keys are random: none is dropped
    __carousel_consumers   the same for consumers, with where each partition's log ended
    __carousel_cursors     {"consumer": 0} → how far it is; {"producer": 0} → which turn is next
    __carousel_names       {"topic": "T1", "partition": 0} → {"name": "P1"}, or nothing: it has the usual name

Keys and values are JSON; a value's `v` is the version of its form. What can't be understood (a newer version's record,
a stranger's) is passed over: decoders give None. Encoders sort, since compaction compares keys as bytes.

Source of the texts: specs/queue-http-api.md, which has them from the field, misspellings included.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, cast

from wire.topic_names import INTERNAL_TOPICS as KAFKA_TOPICS

PREFIX: Final = "__carousel_"
PRODUCERS_TOPIC: Final = "__carousel_producers"
CONSUMERS_TOPIC: Final = "__carousel_consumers"
CURSORS_TOPIC: Final = "__carousel_cursors"
NAMES_TOPIC: Final = "__carousel_names"
TOPICS: Final = (PRODUCERS_TOPIC, CONSUMERS_TOPIC, CURSORS_TOPIC, NAMES_TOPIC)
TOPIC_CONFIGS: Final[Mapping[str, str]] = MappingProxyType({"cleanup.policy": "compact", "segment.bytes": str(8 << 20)})
"""The segment that is being written is not compacted, and a replica reads all of it at its first call: 8 MiB are some
40 000 moves of cursors, which take it a second; Kafka's 1 GiB would take it minutes. (`__consumer_offsets` is kept so
too, with 100 MiB: offsets are committed less often than messages are consumed one by one.)"""
TOPIC_PARTITIONS: Final = 1
TOPIC_REPLICATION: Final = -1
"""The cluster's default, which suits one server as well as three."""

RESERVED: Final = "@x|:*-"
"""Characters that no partition's name has: the field puts names together with them."""
MAX_NAME: Final = 100
"""The longest name of a partition: as text it stands in each answer."""
EVERY: Final = "*"
"""All partitions in turn."""

MAX_DIGITS: Final = 10
"""Of a partition's number, which is an int32; Python refuses to read numbers of some thousand digits."""

VERSION: Final = 1
NO_ENDS: Final[Mapping[int, int]] = MappingProxyType({})


# --- names -----------------------------------------------------------------------------------------


def is_hidden(topic: str) -> bool:
    """Whether a topic is ours or Kafka's own: this interface doesn't show it, and nobody registers for it."""
    return topic.startswith(PREFIX) or topic in KAFKA_TOPICS


def why_not_a_partition(name: str) -> str | None:
    """Why a partition can't be called so, in one sentence; None: it can."""
    if not name:
        return "a partition's name is not empty"
    if len(name) > MAX_NAME:
        return f"a partition's name has at most {MAX_NAME} characters"
    if any(character in RESERVED for character in name):
        return f"a partition's name has none of the reserved characters {' '.join(RESERVED)}"
    if not name.isprintable() or " " in name:
        return "a partition's name has no white space and no control characters"
    return None


def partition_names(count: int, given: Mapping[int, str]) -> tuple[str, ...]:
    """The names of partitions 0 … `count` - 1: what each was called when it was made, else P1 for the first, and so on.

    Names are distinct, and one that is not given doesn't change when partitions are added: where `P{i+1}` is another's
    given name, it is `P{i+1}_1`, or the next that is free.
    """
    taken = frozenset(given.values())
    return tuple([given.get(number) or _usual_name(number, taken) for number in range(count)])


def _usual_name(number: int, taken: Collection[str]) -> str:
    usual, tried = f"P{number + 1}", 0
    name = usual
    while name in taken:
        tried += 1
        name = f"{usual}_{tried}"
    return name


# --- records ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Registration:
    """A producer or consumer. `partition` None: all of the topic's; `part`: that partition's name, EVERY for all.
    `ends`, of a consumer: the offset at which each of its partitions ended when it registered; a partition that was
    made later is read from its beginning."""

    topic: str
    partition: int | None = None
    part: str = EVERY
    ends: Mapping[int, int] = field(default_factory=lambda: NO_ENDS)


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a consumer is. `positions`: the next offset by partition (where it lacks one, the registration's `ends`).

    `sequence` grows with each change, and a record counts only if its number is above that of the one before it in the
    log: so of two replicas that move a cursor at a time one loses, and sees it. `writer`: whose record it is, a random
    name for each replica's life. `turn`: the partition that is asked first.
    With ack=, `given` is the (partition, offset) that was answered and waits for its ack, `acked` the last that was
    acknowledged; `again` says that `given` was answered twice, for an ack that could have been the last one's.
    """

    sequence: int = 0
    writer: str = ""
    positions: Mapping[int, int] = field(default_factory=lambda: NO_ENDS)
    turn: int = 0
    given: tuple[int, int] | None = None
    acked: tuple[int, int] | None = None
    again: bool = False


def registration_key(nonce: str) -> bytes:
    """`nonce`: random, such as 32 hex digits, so that compaction finds no two alike."""
    return _json({"registration": nonce})


def encode_registration(registration: Registration) -> bytes:
    value: dict[str, Any] = {"v": VERSION, "topic": registration.topic}
    if registration.partition is not None:
        value |= {"partition": registration.partition, "part": registration.part}
    if registration.ends:
        value["ends"] = _texts(registration.ends)
    return _json(value)


def decode_registration(value: bytes | None) -> Registration | None:
    raw = _object(value)
    if raw is None or raw.get("v") != VERSION:
        return None
    topic, partition, ends = raw.get("topic"), raw.get("partition"), _offsets(raw.get("ends", {}))
    part = raw.get("part", EVERY)
    if not isinstance(topic, str) or not isinstance(part, str) or ends is None:
        return None
    return Registration(topic, partition, part, ends) if partition is None or _is_count(partition) else None


def consumer_key(consumer_id: int) -> bytes:
    return _json({"consumer": consumer_id})


def producer_key(producer_id: int) -> bytes:
    return _json({"producer": producer_id})


def decode_whose(key: bytes | None) -> tuple[str, int] | None:
    """Whose state a record of `__carousel_cursors` is: ("consumer", 0) or ("producer", 0)."""
    raw = _object(key)
    if raw is None or len(raw) != 1:
        return None
    kind, number = next(iter(raw.items()))
    return (kind, number) if kind in ("consumer", "producer") and _is_count(number) else None


def encode_cursor(cursor: Cursor) -> bytes:
    value = {
        "v": VERSION,
        "sequence": cursor.sequence,
        "writer": cursor.writer,
        "positions": _texts(cursor.positions),
        "turn": cursor.turn,
        "given": cursor.given,
        "acked": cursor.acked,
        "again": cursor.again,
    }
    return _json({name: told for name, told in value.items() if told is not None and told is not False})


def decode_cursor(value: bytes | None) -> Cursor | None:
    raw = _object(value)
    if raw is None or raw.get("v") != VERSION:
        return None
    sequence, positions, turn = raw.get("sequence"), _offsets(raw.get("positions")), raw.get("turn")
    if not _is_count(sequence) or positions is None or not _is_count(turn):
        return None
    return Cursor(
        cast("int", sequence),
        str(raw.get("writer", "")),
        positions,
        cast("int", turn),
        _place(raw.get("given")),
        _place(raw.get("acked")),
        raw.get("again") is True,
    )


def encode_turn(turn: int) -> bytes:
    """How many messages a producer of all partitions has sent: it grows by one with each."""
    return _json({"v": VERSION, "turn": turn})


def decode_turn(value: bytes | None) -> int | None:
    raw = _object(value)
    turn = None if raw is None or raw.get("v") != VERSION else raw.get("turn")
    return cast("int", turn) if _is_count(turn) else None


def name_key(topic: str, partition: int) -> bytes:
    """Control writes one for each partition that it makes, the usual name too: a server that finds it knows that the
    partition exists, although the Metadata that it has is older."""
    return _json({"topic": topic, "partition": partition})


def decode_name_key(key: bytes | None) -> tuple[str, int] | None:
    raw = _object(key)
    if raw is None:
        return None
    topic, partition = raw.get("topic"), raw.get("partition")
    return (topic, cast("int", partition)) if isinstance(topic, str) and _is_count(partition) else None


def encode_name(name: str) -> bytes:
    """The value for `name_key`; to take a name away (its topic is deleted) the value is null."""
    return _json({"v": VERSION, "name": name})


def decode_name(value: bytes | None) -> str | None:
    raw = _object(value)
    name = None if raw is None or raw.get("v") != VERSION else raw.get("name")
    return name if isinstance(name, str) and name else None


# --- answers ---------------------------------------------------------------------------------------

SUCCESS: Final = "success"
FAILURE: Final = "failure"


def topic_created(topic: str, part: str) -> str:
    return f"Topic:{topic}x{part} created successfully"


def topic_exists(topic: str, part: str) -> str:
    return f"{topic}:{part} already exist"


def no_partitions(topic: str) -> str:
    return f"{topic} does not exist thus no partitions are available"


def produced(topic: str, part: str) -> str:
    return f"{topic}x{part}:Success"


def no_producer(producer_id: int) -> str:
    return f"Producer:{producer_id} does not exist"


def no_consumer(consumer_id: int) -> str:
    return f"Consumer:{consumer_id} does not exist"


def can_not_register(topic: str, part: str | None = None) -> str:
    what = topic if part is None else f"{topic}:{part}"
    return f"{what} does not exist, thus can not register as consumer"


def empty_logs(consumer_id: int, topic: str, part: str) -> str:
    """`part`: EVERY for a consumer of all partitions. (The field's own spelling.)"""
    return f"Empty logs for Comsumer:{consumer_id} for Topic:{topic}x{part}"


def topic_and_part(topic: str, part: str) -> str:
    """What consume says as "topic"."""
    return f"{topic}:{part}"


def broker_added(name: str) -> str:
    return f"successfully added {name}"


def broker_exists(name: str) -> str:
    return f"{name} already exist"


def broker_removed(name: str) -> str:
    return f"Removed {name}"


def no_broker(name: str) -> str:
    return f"{name} does not exist"


TESTS_PASSED: Final = "All test cases are passed"
"""The last words of a server's self-test."""


# --- JSON ------------------------------------------------------------------------------------------


def _json(told: Mapping[str, Any]) -> bytes:
    return json.dumps(told, separators=(",", ":"), sort_keys=True).encode()


def _object(text: bytes | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        raw: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", raw) if isinstance(raw, dict) else None


def _is_count(told: object) -> bool:
    return type(told) is int and told >= 0


def _texts(offsets: Mapping[int, int]) -> dict[str, int]:
    return {str(partition): offset for partition, offset in offsets.items()}


def _offsets(told: object) -> dict[int, int] | None:
    """What `_texts` made, back."""
    if not isinstance(told, dict):
        return None
    pairs = cast("dict[str, Any]", told).items()
    if not all(_is_number(text) and _is_count(offset) for text, offset in pairs):
        return None
    return {int(text): offset for text, offset in pairs}


def _is_number(text: str) -> bool:
    return len(text) <= MAX_DIGITS and text.isascii() and text.isdigit()


def _place(told: object) -> tuple[int, int] | None:
    if not isinstance(told, list):
        return None
    numbers = cast("list[Any]", told)
    return (numbers[0], numbers[1]) if len(numbers) == 2 and all(map(_is_count, numbers)) else None
