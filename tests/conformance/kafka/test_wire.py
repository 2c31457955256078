"""What a broker says to single requests, byte by byte: order, acknowledgments, refused batches, repeated batches."""

import struct
import time

import google_crc32c
import pytest
from confluent_kafka.admin import AdminClient
from support import kafka_raw as raw
from support.kafka_clients import PATIENCE_S, Confluent, Message
from support.kafka_engines import Engine
from support.kafka_raw import Raw

pytestmark = pytest.mark.system

NONE = 0
OFFSET_OUT_OF_RANGE = 1
CORRUPT_MESSAGE = 2
UNKNOWN_TOPIC = 3
INVALID_REQUIRED_ACKS = 21
INVALID_SESSION_TIMEOUT = 26
UNSUPPORTED_VERSION = 35
OUT_OF_ORDER_SEQUENCE = 45
INVALID_PRODUCER_EPOCH = 47
NO_SUCH_TRANSACTION = 53  # TRANSACTIONAL_ID_AUTHORIZATION_FAILED
INVALID_RECORD = 87
API_VERSIONS = raw.request(raw.API_VERSIONS, 0, b"", 77)
MAGIC_AT = 16
CRC_AT = 17
ATTRIBUTES_AT = 21
LAST_DELTA_AT = 23
COUNT_AT = 57


def correlation_id(answer: bytes) -> int:
    return struct.unpack_from(">i", answer)[0]


def test_an_unknown_version_of_api_versions(engine: Engine) -> None:
    """KIP-511: the answer is version 0's, error 35, and says at least which versions of ApiVersions there are."""
    with Raw(engine.address) as connection:
        answer = connection.ask(raw.request(raw.API_VERSIONS, 99, b"\2x\2y\0", 7, flexible=True))
        assert struct.unpack_from(">ih", answer) == (7, UNSUPPORTED_VERSION)
        (count,) = struct.unpack_from(">i", answer, 6)
        ranges = [struct.unpack_from(">hhh", answer, 10 + 6 * at) for at in range(count)]
        assert (raw.API_VERSIONS, 0, 4) in ranges
        assert struct.unpack_from(">ih", connection.ask(API_VERSIONS)) == (77, NONE)


@pytest.mark.parametrize(("api_key", "version"), [(3, 99), (1, 3), (0, 2), (999, 0), (-1, 0), (3, -1)])
def test_what_is_not_spoken_closes_the_connection(engine: Engine, api_key: int, version: int) -> None:
    with Raw(engine.address) as connection:
        connection.socket.sendall(raw.request(api_key, version, raw.array()))
        assert connection.is_closed()


def test_a_request_in_pieces_and_many_in_one(engine: Engine) -> None:
    with Raw(engine.address) as connection:
        for at in range(len(API_VERSIONS)):
            connection.socket.sendall(API_VERSIONS[at : at + 1])
        assert correlation_id(connection.answer()) == 77
        connection.socket.sendall(b"".join(raw.request(raw.API_VERSIONS, 0, b"", at) for at in range(100)))
        assert [correlation_id(connection.answer()) for _ in range(100)] == list(range(100))


def test_answers_come_in_the_order_of_the_requests(leader: tuple[str, int], topic: str) -> None:
    """Also behind a fetch that waits: what follows waits with it."""
    with Raw(leader) as connection:
        asked = [raw.produce(topic, 0, raw.batch(b"x"), correlation_id=at) for at in range(3)]
        asked += [raw.fetch(topic, 3, wait_ms=300, correlation_id=3), raw.request(raw.API_VERSIONS, 0, b"", 4)]
        connection.socket.sendall(b"".join(asked))
        answers = [connection.answer() for _ in asked]
        assert [correlation_id(answer) for answer in answers] == [0, 1, 2, 3, 4]
        assert [raw.produced(answer) for answer in answers[:3]] == [(NONE, 0), (NONE, 1), (NONE, 2)]
        assert raw.fetched(answers[3]) == (NONE, 3, b"")


def test_a_waiting_fetch_is_answered_by_the_next_record(leader: tuple[str, int], topic: str) -> None:
    with Raw(leader) as reader, Raw(leader) as writer:
        reader.socket.sendall(raw.fetch(topic, 0, wait_ms=8000))
        start = time.monotonic()
        assert raw.produced(writer.ask(raw.produce(topic, 0, raw.batch(b"x")))) == (NONE, 0)
        error, high, records = raw.fetched(reader.answer())
        assert time.monotonic() - start < 4
        assert (error, high) == (NONE, 1)
        assert records[CRC_AT:] == raw.batch(b"x")[CRC_AT:]


def test_acks_0_is_not_answered(leader: tuple[str, int], topic: str) -> None:
    with Raw(leader) as connection:
        connection.socket.sendall(raw.produce(topic, 0, raw.batch(b"x"), acks=0))
        assert correlation_id(connection.ask(API_VERSIONS)) == 77
        assert raw.produced(connection.ask(raw.produce(topic, 0, raw.batch(b"y")))) == (NONE, 1)


def test_an_error_of_acks_0_closes_the_connection(leader: tuple[str, int], topic: str) -> None:
    """The only way to tell who doesn't listen."""
    with Raw(leader) as connection:
        connection.socket.sendall(raw.produce(topic, 99, raw.batch(b"x"), acks=0))
        assert connection.is_closed()


def resealed(data: bytes, at: int, new: bytes) -> bytes:
    """With these bytes there, and a CRC that fits again."""
    changed = data[:at] + new + data[at + len(new) :]
    crc = google_crc32c.value(changed[ATTRIBUTES_AT:])
    return changed[:CRC_AT] + struct.pack(">I", crc) + changed[ATTRIBUTES_AT:]


GOOD = raw.batch(b"one", b"two")
REFUSED_BATCHES = {
    "a byte changed": (GOOD[:-1] + b"!", CORRUPT_MESSAGE),
    "an older magic": (GOOD[:MAGIC_AT] + b"\1" + GOOD[MAGIC_AT + 1 :], INVALID_RECORD),
    "a magic of the future": (GOOD[:MAGIC_AT] + b"\3" + GOOD[MAGIC_AT + 1 :], CORRUPT_MESSAGE),
    "offsets that don't begin at 0": (struct.pack(">q", 5) + GOOD[8:], INVALID_RECORD),
    "a length too short": (GOOD[:8] + struct.pack(">i", 10) + GOOD[12:], CORRUPT_MESSAGE),
    "of a transaction, without its id": (resealed(GOOD, ATTRIBUTES_AT, struct.pack(">h", 0x10)), NO_SUCH_TRANSACTION),
    "a count too many": (resealed(GOOD, COUNT_AT, struct.pack(">i", 3)), INVALID_RECORD),
    "a last offset too high": (resealed(GOOD, LAST_DELTA_AT, struct.pack(">i", 5)), INVALID_RECORD),
    "no records": (resealed(GOOD, COUNT_AT, struct.pack(">i", 0)), INVALID_RECORD),
    "a control batch": (resealed(GOOD, ATTRIBUTES_AT, struct.pack(">h", 0x20)), INVALID_RECORD),
    "two batches": (GOOD + GOOD, INVALID_RECORD),
    "a batch cut short": (GOOD[:-3], INVALID_RECORD),
}
"""By name: the bytes, and Kafka's code."""


@pytest.mark.parametrize("name", REFUSED_BATCHES)
def test_refused_batches(leader: tuple[str, int], topic: str, name: str) -> None:
    """Nothing of them is stored, and the connection goes on."""
    data, code = REFUSED_BATCHES[name]
    with Raw(leader) as connection:
        assert raw.produced(connection.ask(raw.produce(topic, 0, data))) == (code, -1)
        assert raw.produced(connection.ask(raw.produce(topic, 0, GOOD))) == (NONE, 0)


def test_refused_requests(leader: tuple[str, int], topic: str) -> None:
    with Raw(leader) as connection:

        def error(topic: str = topic, partition: int = 0, acks: int = -1) -> int:
            return raw.produced(connection.ask(raw.produce(topic, partition, GOOD, acks)))[0]

        assert error(acks=5) == INVALID_REQUIRED_ACKS
        assert error(partition=99) == UNKNOWN_TOPIC
        assert error(topic=topic + "x") == UNKNOWN_TOPIC
        assert raw.fetched(connection.ask(raw.fetch(topic, 1)))[0] == OFFSET_OUT_OF_RANGE
        assert raw.fetched(connection.ask(raw.fetch(topic, -5)))[0] == OFFSET_OUT_OF_RANGE
        assert raw.fetched(connection.ask(raw.fetch(topic + "x", 0)))[0] == UNKNOWN_TOPIC
        assert error() == NONE


def test_repeated_batches_are_stored_once(leader: tuple[str, int], topic: str) -> None:
    """Idempotence: one of the last five again gets its first offset; a gap, or an older epoch, is refused."""
    with Raw(leader) as connection:
        told = connection.ask(raw.request(raw.INIT_PRODUCER_ID, 0, raw.text(None) + struct.pack(">i", 1000)))
        _, _, error, pid, epoch = struct.unpack(">iihqh", told)
        assert (error, epoch) == (NONE, 0)

        def send(sequence: int, epoch: int = 0) -> tuple[int, int]:
            data = raw.batch(b"a", b"b", producer=(pid, epoch, sequence))
            return raw.produced(connection.ask(raw.produce(topic, 0, data)))

        assert [send(2 * at) for at in range(6)] == [(NONE, 2 * at) for at in range(6)]
        assert [send(2 * at) for at in range(1, 6)] == [(NONE, 2 * at) for at in range(1, 6)]
        assert send(14)[0] == OUT_OF_ORDER_SEQUENCE
        assert send(0, epoch=1) == (NONE, 12)
        assert send(12)[0] == INVALID_PRODUCER_EPOCH
        assert raw.fetched(connection.ask(raw.fetch(topic, 0)))[1] == 14


def test_producer_ids_are_not_given_twice(engine: Engine) -> None:
    seen: set[int] = set()
    for _ in range(20):
        with Raw(engine.address) as connection:
            asked = raw.request(raw.INIT_PRODUCER_ID, 0, raw.text(None) + struct.pack(">i", 1000))
            seen.add(struct.unpack(">iihqh", connection.ask(asked))[3])
    assert len(seen) == 20


def test_session_bounds(admin: AdminClient, broker_settings: dict[str, str], engine: Engine, name: str) -> None:
    """group.min.session.timeout.ms and its maximum are held by the group's coordinator."""
    described = admin.describe_consumer_groups([name])[name].result(PATIENCE_S)
    coordinator = (described.coordinator.host, described.coordinator.port)
    bounds = [int(broker_settings[f"group.{which}.session.timeout.ms"]) for which in ("min", "max")]
    with Raw(coordinator) as connection:
        for session_ms in (bounds[0] - 1, bounds[1] + 1):
            protocols = raw.array(raw.text("range") + struct.pack(">i", 0))
            body = raw.text(name) + struct.pack(">i", session_ms) + raw.text("") + raw.text("consumer") + protocols
            answer = connection.ask(raw.request(raw.JOIN_GROUP, 0, body))
            assert struct.unpack_from(">ih", answer) == (0, INVALID_SESSION_TIMEOUT)


def test_a_fetch_is_what_was_produced_byte_for_byte(engine: Engine, leader: tuple[str, int], topic: str) -> None:
    """But for what the broker fills in: base offset and leader epoch, both before the CRC."""
    Confluent(engine.bootstrap).produce(topic, [Message(b"x")] * 10)
    with Raw(leader) as connection:
        assert raw.produced(connection.ask(raw.produce(topic, 0, GOOD))) == (NONE, 10)
        records = raw.fetched(connection.ask(raw.fetch(topic, 10)))[2]
    assert struct.unpack_from(">q", records) == (10,)
    assert records[8:12] == GOOD[8:12]
    assert records[MAGIC_AT:] == GOOD[MAGIC_AT:]
