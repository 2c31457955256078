"""The fuzzers' law for requests: those behind read alike whatever we send on, and how it was cut changes nothing."""

import random
import re
from collections.abc import Sequence

from support.fake_replicas import Rig
from support.mutations import REQUESTS, Mutation, Tokens, cut, seeded, spoilt
from support.pure_door import FRESH_ID, PureDoor, forwarded
from support.readers import READERS, Reading, as_carousel_reads
from support.recorder import Recorder, converse

from loadbalancer.forwarding import request_to_replica, settle_id
from loadbalancer.known_head import known_head
from wire.http1 import parse_request

FINAL = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9]) ")

MUST_ACCEPT = frozenset(("h11",))
"""Who may not even refuse what we send on."""
REWRITES = frozenset(("werkzeug",))
"""Who makes one slash of several at the beginning of a path."""


def check_forwarded(data: bytes, cuts: Sequence[int]) -> PureDoor:
    """Raises AssertionError with the bytes if the law does not hold."""
    pieces = cut(data, cuts)
    door = forwarded(pieces)
    whole = forwarded([data])
    assert _outcome(door) == _outcome(whole), f"cut as {pieces}: {door} for {whole}"
    for message in door.messages:
        for name, reader in READERS.items():
            reading = reader(message.sent)
            wanted = Reading((message.seen,)) if message.seen else Reading((), rest=True)
            if reading == wanted or (reading.refused and not reading.messages and name not in MUST_ACCEPT):
                continue
            if name in REWRITES and message.target.startswith(b"//") and len(reading.messages) == len(wanted.messages):
                continue
            raise AssertionError(f"{name} reads {message.sent!r} as {reading}, we as {wanted}; it came as {pieces}")
    return door


def _outcome(door: PureDoor) -> tuple[object, ...]:
    return [message.seen for message in door.messages if message.seen], door.refused, door.ended


def check_recognised(seed: int) -> bool:
    """Whether a head that is remembered was recognised in spoilt bytes. Raises AssertionError with them if what the
    replica would get is not what it gets of bytes that are read anew."""
    rng = random.Random(seed)
    messages, mutations, _ = seeded(rng, REQUESTS, 1)
    kept = b"".join(messages[0])
    if rng.randrange(2):  # with an id of the client's own
        kept = kept.replace(b"\r\n", b"\r\nX-Request-Id: a\r\n", 1)
    parsed = parse_request(kept)
    assert parsed is not None
    head, end = parsed
    request_id, given = settle_id(head, FRESH_ID)
    to_replica = request_to_replica(head, request_id, given, b"replica")
    known = known_head(head, kept[:end], to_replica, b"", 0)
    tokens = [part for part in re.split(rb"(\W)", kept) if part]
    data = spoilt([tokens], mutations)
    found = None if known is None else known.id_in(data)
    if known is None or found is None:
        return False
    anew = forwarded([data])
    sent = known.to_replica(found or FRESH_ID, data)
    assert [message.sent for message in anew.messages] == [sent], f"seed {seed}: {data!r}: {sent!r} for {anew}"
    assert anew.messages[0].seen, f"seed {seed}: {data!r} is not whole"
    return True


async def check_door(rig: Rig, recorder: Recorder, seed: int, warm: bool = False) -> None:
    """A real front door sends on and answers what its pure twin says. `warm`: the connection has carried the first
    message already, unspoilt, so its head is remembered. Raises AssertionError with the bytes if not."""
    data, cuts = example(seed)
    first = b"".join(seeded(random.Random(seed), REQUESTS, 4)[0][0]) if warm else b""
    if forwarded([first]).ended:
        first = b""  # it would be the last
    wanted = forwarded([first, data])
    whole = [message.seen for message in wanted.messages if message.seen]
    recorder.clear()
    received, _ = await converse(rig.port, cut(data, cuts), first)
    await rig.until(lambda: not any(rig.door.counters.in_flight.values()))
    got = [message for taken in recorder.taken for message in as_carousel_reads(bytes(taken)).messages]
    statuses = [int(status) for status in FINAL.findall(received)]
    assert got == whole, f"seed {seed}: replicas got {got} of {data!r}, not {whole}"
    told = [200] * len(whole) + [wanted.refused] * (wanted.refused > 0)
    assert statuses == told, f"seed {seed}: {statuses} to {data!r}, not {told}"
    assert not recorder.fault, f"seed {seed}: h11 says {recorder.fault} of {recorder.taken}"


def example(seed: int) -> tuple[bytes, list[int]]:
    messages, mutations, cuts = seeded(random.Random(seed), REQUESTS, 4)
    return spoilt(messages, mutations), cuts


def run_seeds(seeds: range) -> tuple[int, int]:
    """(messages that passed whole, examples that were refused)."""
    passed = refused = 0
    for seed in seeds:
        try:
            door = check_forwarded(*example(seed))
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from None
        passed += sum(message.seen is not None for message in door.messages)
        refused += door.refused > 0
    return passed, refused


def check_mutated(messages: list[Tokens], mutations: list[Mutation], cuts: list[int]) -> None:
    check_forwarded(spoilt(messages, mutations), cuts)
