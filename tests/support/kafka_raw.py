"""Kafka's protocol by hand: frames as bytes on a socket, for what no client would send. Layouts are Kafka's own."""

import socket
import struct
from typing import Final

from support.kafka_python import DefaultRecordBatchBuilder

PRODUCE: Final = 0
FETCH: Final = 1
METADATA: Final = 3
JOIN_GROUP: Final = 11
API_VERSIONS: Final = 18
INIT_PRODUCER_ID: Final = 22
TIMEOUT_S: Final = 10.0
CLIENT: Final = b"conformance"


def text(value: str | None) -> bytes:
    return struct.pack(">h", -1) if value is None else struct.pack(">h", len(value)) + value.encode()


def array(*items: bytes) -> bytes:
    return struct.pack(">i", len(items)) + b"".join(items)


def frame(data: bytes) -> bytes:
    return struct.pack(">i", len(data)) + data


def request(api_key: int, version: int, body: bytes, correlation_id: int = 0, flexible: bool = False) -> bytes:
    """A frame with header version 1, or 2 if the body is `flexible`."""
    head = struct.pack(">hhih", api_key, version, correlation_id, len(CLIENT)) + CLIENT
    return frame(head + b"\0" * flexible + body)


def batch(*values: bytes, producer: tuple[int, int, int] = (-1, -1, -1)) -> bytes:
    """A record batch; `producer` is its id, epoch and first sequence number."""
    pid, epoch, sequence = producer
    builder = DefaultRecordBatchBuilder(2, 0, False, pid, epoch, sequence, 1 << 20)
    for at, value in enumerate(values):
        builder.append(at, 1000, None, value, [])
    return bytes(builder.build())


def produce(topic: str, partition: int, records: bytes | None, acks: int = -1, correlation_id: int = 0) -> bytes:
    """Produce 3 of one partition."""
    data = struct.pack(">i", -1) if records is None else struct.pack(">i", len(records)) + records
    partitions = array(struct.pack(">i", partition) + data)
    body = text(None) + struct.pack(">hi", acks, 5000) + array(text(topic) + partitions)
    return request(PRODUCE, 3, body, correlation_id)


def produced(answer: bytes) -> tuple[int, int]:
    """(error code, base offset) of Produce 3's answer for one partition, behind its correlation id."""
    (size,) = struct.unpack_from(">h", answer, 8)
    return struct.unpack_from(">hq", answer, 8 + 2 + size + 4 + 4)  # type: ignore[return-value]


def fetch(topic: str, offset: int, wait_ms: int = 0, min_bytes: int = 1, correlation_id: int = 0) -> bytes:
    """Fetch 4 of partition 0, as much as 50 MiB."""
    limit = 50 << 20
    partition = struct.pack(">iqi", 0, offset, limit)
    body = struct.pack(">iiiib", -1, wait_ms, min_bytes, limit, 0) + array(text(topic) + array(partition))
    return request(FETCH, 4, body, correlation_id)


def fetched(answer: bytes) -> tuple[int, int, bytes]:
    """(error code, high watermark, records) of Fetch 4's answer for one partition, behind its throttle time."""
    (size,) = struct.unpack_from(">h", answer, 12)
    at = 12 + 2 + size + 4
    _, error, high, _, aborted = struct.unpack_from(">ihqqi", answer, at)
    at += 26 + 16 * max(aborted, 0)
    (length,) = struct.unpack_from(">i", answer, at)
    return error, high, answer[at + 4 : at + 4 + max(length, 0)]


class Raw:
    """A connection. Whoever uses it closes it, by `with`."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, TIMEOUT_S)

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(self, data: bytes) -> bytes:
        """One request's answer: its correlation id and what follows."""
        self.socket.sendall(data)
        return self.answer()

    def answer(self) -> bytes:
        """The next answer without its length. Raises EOFError if the other side closes instead."""
        (size,) = struct.unpack(">i", self._exactly(4))
        return self._exactly(size)

    def is_closed(self) -> bool:
        """Whether the other side closes it now, with nothing more to say. Raises TimeoutError if it keeps it open."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def _exactly(self, size: int) -> bytes:
        got = bytearray()
        while len(got) < size:
            try:
                part = self.socket.recv(size - len(got))
            except ConnectionError as error:
                raise EOFError(str(error)) from error
            if not part:
                raise EOFError(f"closed after {len(got)} bytes")
            got += part
        return bytes(got)
