"""Bytes that no client would send: the connection is closed or answered, and everybody else goes on.

Seeded: a failure comes again. A witness holds a connection from before to after, so a server that died in between,
and was replaced, is found out too.
"""

import select
import socket
import struct
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from random import Random

import pytest
from support import kafka_raw as raw
from support.kafka_clients import Confluent, Message
from support.kafka_engines import Engine
from support.kafka_raw import Raw
from support.kio_messages import harmed, random_message

from wire.messages import encode
from wire.schemas import message_class
from wire.versions import APIS, REQUEST_HEADERS

pytestmark = pytest.mark.system

SEED = 20261121
ANSWER_S = 0.05
"""How long a connection may say nothing before the next bytes come: most are closed or answered in a millisecond."""
SOON_S = 5.0
HARMLESS = (0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 22, 23, 32, 47, 60, 75)
"""APIs of which any well-formed request leaves what others have as it is; the fuzzed cluster may be somebody's."""
BILLIONS = 2**31 - 1
COMPACT_BILLIONS = b"\xff\xff\xff\xff\x07"
COMPACT_TOO_LONG = b"\xff\xff\xff\xff\x7f"


@pytest.fixture(autouse=True)
def others_go_on(leader: tuple[str, int], engine: Engine, topic: str) -> Generator[None]:
    """Before and after: one connection that stays, and clients that come new."""
    with Raw(leader) as witness:
        assert raw.produced(witness.ask(raw.produce(topic, 0, raw.batch(b"x")))) == (0, 0)
        yield
        start = time.monotonic()
        assert raw.produced(witness.ask(raw.produce(topic, 0, raw.batch(b"x"))))[0] == 0
        assert Confluent(engine.bootstrap).produce(topic, [Message(b"x")])[0][1] > 1
        assert time.monotonic() - start < SOON_S


@contextmanager
def stranger(address: tuple[str, int], data: bytes) -> Generator[Raw]:
    """A connection that has sent this, or was closed over it."""
    with Raw(address) as connection:
        with suppress(ConnectionError):
            connection.socket.sendall(data)
        yield connection


@pytest.mark.parametrize("size", [-1, -(2**31), BILLIONS, 0, 1, 7])
def test_lengths_of_frames(leader: tuple[str, int], size: int) -> None:
    """Kafka's limit is socket.request.max.bytes, 100 MiB; a frame without a whole header is no request."""
    with stranger(leader, struct.pack(">i", size) + b"x" * 7) as connection:
        assert connection.is_closed()


HUGE = {
    "Metadata's topics": raw.request(raw.METADATA, 1, struct.pack(">i", BILLIONS)),
    "Metadata's topics, compact": raw.request(raw.METADATA, 9, COMPACT_BILLIONS, flexible=True),
    "Metadata's topics, too long a number": raw.request(raw.METADATA, 9, COMPACT_TOO_LONG, flexible=True),
    "a topic's name": raw.request(raw.METADATA, 1, struct.pack(">ih", 1, 32767)),
    "a tag's size": raw.request(raw.METADATA, 9, b"\1\0\0\0\1\1" + COMPACT_TOO_LONG, flexible=True),
    "the header's tags": raw.request(raw.METADATA, 9, COMPACT_TOO_LONG, flexible=False),
    "Produce's records": raw.request(
        raw.PRODUCE,
        3,
        raw.text(None) + struct.pack(">hi", -1, 1000) + raw.array(raw.text("t") + b"\0\0\0\1" + b"\x7f" * 8),
    ),
    "Fetch's topics": raw.request(raw.FETCH, 4, struct.pack(">iiiibi", -1, 0, 1, BILLIONS, 0, BILLIONS)),
    "the client's name": raw.frame(struct.pack(">hhih", raw.METADATA, 1, 7, 32767) + b"x"),
    "JoinGroup's protocols": raw.request(
        raw.JOIN_GROUP, 0, raw.text("g") + struct.pack(">i", 9000) + raw.text("") + raw.text("c") + b"\x7f\xff\xff\xff"
    ),
}


@pytest.mark.parametrize("name", HUGE)
def test_lengths_within_a_frame(leader: tuple[str, int], name: str) -> None:
    """A number says how much will come, and it can't: no memory is taken for it."""
    with stranger(leader, HUGE[name]) as connection:
        assert connection.is_closed()


@pytest.mark.parametrize(
    "data",
    [
        raw.request(raw.METADATA, 1, struct.pack(">i", -2)),  # Kafka takes any negative length as null: all topics
        raw.request(raw.METADATA, 9, b"\1\0\0\0" + COMPACT_TOO_LONG, flexible=True),  # and as many tags as none
    ],
    ids=["negative", "tags"],
)
def test_lengths_that_may_be_understood(leader: tuple[str, int], data: bytes) -> None:
    """Closed or answered, but not left waiting."""
    with stranger(leader, data) as connection, suppress(EOFError):
        connection.answer()


def test_random_bytes(leader: tuple[str, int]) -> None:
    random = Random(SEED)
    for _ in range(150):
        data = random.randbytes(random.choice((1, 4, 9, 100, 5000)))
        told = data if random.random() < 0.3 else raw.frame(data)
        with stranger(leader, told) as connection:
            heard(connection)


def heard(connection: Raw) -> None:
    """Whatever it has to say; it may also wait for more bytes, or be closed."""
    with suppress(OSError):
        connection.socket.shutdown(socket.SHUT_WR)
    with suppress(ConnectionError):
        while select.select([connection.socket], [], [], ANSWER_S)[0] and connection.socket.recv(1 << 20):
            pass


def asked(random: Random) -> bytes:
    """A well-formed request with nonsense in it, without its length."""
    api = APIS[random.choice(HARMLESS)]
    version = random.randint(api.lowest, api.highest)
    body = encode(random_message(message_class(api.key, version, "request"), random))
    return raw.request(api.key, version, body, 7, REQUEST_HEADERS[api.key, version] == 2)[4:]


def fuzz(address: tuple[str, int], seed: int, rounds: int, harm: bool) -> None:
    random = Random(seed)
    for _ in range(rounds):
        frames = [asked(random) for _ in range(random.choice((1, 1, 3)))]
        data = b"".join(raw.frame(harmed(one, random) if harm else one) for one in frames)
        with stranger(address, data) as connection:
            heard(connection)


@pytest.mark.parametrize("harm", [False, True], ids=["well-formed", "harmed"])
def test_nonsense(leader: tuple[str, int], harm: bool) -> None:
    fuzz(leader, SEED, 100, harm)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(5))
def test_much_nonsense(leader: tuple[str, int], seed: int) -> None:
    fuzz(leader, seed, 1000, harm=True)


def test_readers_that_never_read(engine: Engine, leader: tuple[str, int], topic: str) -> None:
    """30 connections ask for 50 MiB 20 times each and take nothing; the others' answers don't wait for them."""
    Confluent(engine.bootstrap).produce(topic, [Message(b"x" * 500_000)] * 20)
    with ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(stranger(leader, raw.fetch(topic, 0) * 20))
        for at in range(20):
            start = time.monotonic()
            with Raw(leader) as connection:
                assert raw.produced(connection.ask(raw.produce(topic, 0, raw.batch(b"y"))))[0] == 0
            assert time.monotonic() - start < SOON_S, at


def test_half_a_request_and_gone(leader: tuple[str, int], topic: str) -> None:
    data = raw.produce(topic, 0, raw.batch(b"never"))
    for at in (1, 4, 10, len(data) // 2, len(data) - 1):
        with stranger(leader, data[:at]):
            pass
    with Raw(leader) as connection:
        error, high, _ = raw.fetched(connection.ask(raw.fetch(topic, 0)))
        assert (error, high) == (0, 1)


def test_many_idle_connections(leader: tuple[str, int]) -> None:
    """Connections that say nothing any more cost others nothing."""
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(Raw(leader)).ask(raw.request(raw.API_VERSIONS, 0, b""))
