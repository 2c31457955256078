"""The fuzzers' law for answers: every client reads alike what it is sent, and the next answer is the next request's.

It runs on real sockets, because what makes an answer safe is spread over the exchange, the pool and the client.
"""

import asyncio
import random
import re
from collections.abc import Sequence

from support.answer_readers import READERS, Told
from support.fake_replicas import Rig
from support.mutations import ANSWERS, ENDED_BY_CLOSE, cut, seeded, spoilt
from support.readers import Reading
from support.recorder import converse
from support.teller import Teller

INTERIM = re.compile(rb"^HTTP/1\.1 (?!100)1[0-9][0-9] ", re.M)
FAILURES = (502, 503, 504)
"""Our own answers. The second may get one too: its connection closes as the replica ends the first."""
TURNS = 300
"""Of the loop, after which an answer that is whole has passed."""
METHODS = (b"GET", b"GET", b"HEAD", b"POST")


async def check_answer(rig: Rig, teller: Teller, seed: int) -> str:
    """Raises AssertionError with the bytes if the law does not hold; says how the first of two answers went.

    Half of them come on a connection to the replica that has carried the same answer unspoilt, and remembers it.
    """
    rng = random.Random(seed)
    messages, mutations, cuts = seeded(rng, ANSWERS, 1)
    if rng.randrange(2):
        teller.tell([b"".join(messages[0])], messages[0] in ENDED_BY_CLOSE)
        await converse(rig.port, [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])
    method, minor, closes = rng.choice(METHODS), rng.randrange(8) > 0, rng.randrange(2) > 0
    said = _at_once(cut(spoilt(messages, mutations), cuts), method)
    teller.tell(said, closes or not minor)
    first = b"%b / HTTP/1.%d\r\nHost: a\r\n\r\n" % (method, minor)
    talk = asyncio.ensure_future(converse(rig.port, [first + b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"]))
    while not talk.done():
        await rig.turns(TURNS)
        if not talk.done():  # it waits for bytes that the replica never sends
            rig.later(rig.door.settings.upstream_timeout_s + 1)
    received, reset = talk.result()
    await rig.until(lambda: not any(rig.door.counters.in_flight.values()))
    try:
        return _judge(received, (method, b"GET"), reset)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {method!r} 1.{minor:d} said {said}: {error}; sent {received!r}") from None


def _at_once(pieces: list[bytes], method: bytes) -> list[bytes]:
    """In one piece if the answer is whole before the last of them. Bytes that come when the connection carries the next
    request already are taken for that one's answer, here as in nginx and HAProxy: nothing tells them apart."""
    for end in range(1, len(pieces)):
        if READERS["h11"](b"".join(pieces[:end]), (method,), True).messages:
            return [b"".join(pieces)]
    return pieces


def _judge(received: bytes, methods: Sequence[bytes], reset: bool) -> str:
    readings = {name: reader(received, methods, reset) for name, reader in READERS.items()}
    if INTERIM.search(received):
        del readings["http.client"]  # it takes any 1xx but 100 for the answer
    h11 = readings["h11"]
    assert not h11.refused, h11.refused
    for name, reading in readings.items():
        assert _agree(reading, h11), f"{name} reads {reading}, h11 {h11}"
    for later in h11.messages[1:]:
        assert later == Told(200, b"second") or later.status in FAILURES, f"the second is {later}"
    if reset:
        return "cut"
    return "replaced" if h11.messages and h11.messages[0].status in FAILURES else "passed"


def _agree(reading: Reading, h11: Reading) -> bool:
    """The same answers; or fewer, by who then leaves the connection."""
    if reading.refused or reading.messages != h11.messages[: len(reading.messages)]:
        return False
    return len(reading.messages) == len(h11.messages) or (len(reading.messages) == 1 and reading.rest)
