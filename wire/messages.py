"""Whole messages: bytes to and from kio's dataclasses, for every API that isn't hot.

Reading is ours and bounded (`wire.decoding`), since it is others' bytes that are read; writing is kio's, since it is
our own values that are written. Produce, Fetch and the answers of Heartbeat and OffsetCommit have packers by hand
(`wire.produce_answers`, `wire.fetch_answers`, `wire.group_answers`): kio's writer takes 10 us for the smallest Produce
answer and 0.5 ms for one of a hundred partitions.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import Field, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final, cast
from uuid import UUID

from wire import frames
from wire.decoding import entity_reader, field_kind
from wire.primitives import NO_UUID, Data, Reader
from wire.schemas import Entity, Kind, load, message_class
from wire.versions import response_header


def decode(api_key: int, version: int, data: Data, at: int = 0) -> Entity:
    """The request whose body begins at `at`. API and version must be served (`RequestHead.at`).

    What stands behind its end is skipped, as Kafka skips it: librdkafka's Metadata has three bytes too many (2.16).
    Raises WireError, and nothing else, whatever the bytes.
    """
    return entity_reader(message_class(api_key, version, "request")).read(Reader(data, at))


def decode_response(api_key: int, version: int, data: Data, at: int = 0) -> Entity:
    """A response, as who asks another server or control needs it: it must end with `data`, since it is our own."""
    reader = Reader(data, at)
    message = entity_reader(message_class(api_key, version, "response")).read(reader)
    reader.expect_end()
    return message


def encode(message: Entity) -> bytes:
    """A message's body. Raises what kio's writer raises for values that don't fit, which is our own fault."""
    with io.BytesIO() as buffer:
        _writer(cast("type[Entity]", type(message)))(buffer, message)
        return buffer.getvalue()


def answer(correlation_id: int, message: Entity) -> bytes:
    """A whole answer: length, header and body of a response."""
    header = response_header(message.__api_key__, message.__version__)
    return frames.response_frame(correlation_id, header, encode(message))


def build(api_key: int, version: int, values: Mapping[str, Any], kind: Kind = "response") -> Entity:
    """The message of one version out of values that are written down once for all versions.

    `values` are by kio's names; nested structs are mappings again (or kio's), arrays lists or tuples of them. An error
    code may be an int, a time an int in ms (-1 for no date), an id 16 bytes. What the version doesn't have is left
    out, what isn't given has kio's default. Raises TypeError where there is none. A misspelt name is a name that the
    version doesn't have, so tests compare what they read back.
    """
    return _build(message_class(api_key, version, kind), values)


def _build(cls: type[Entity], values: Mapping[str, Any]) -> Entity:
    converters = _converters(cls)
    return cls(**{name: converters[name](value) for name, value in values.items() if name in converters})


@cache
def _converters(cls: type[Entity]) -> dict[str, Callable[[Any], Any]]:
    return {field.name: _converter(field) for field in fields(cls)}


def _converter(field: Field[Any]) -> Callable[[Any], Any]:
    kind = field_kind(field)
    one = _struct_of(kind.inner) if is_dataclass(kind.inner) else _CONVERTERS.get(field.metadata["kafka_type"], _same)
    if not kind.is_array:
        return one
    return lambda values: None if values is None else tuple([one(value) for value in values])


def _struct_of(cls: type[Entity]) -> Callable[[Any], Any]:
    return lambda value: _build(cls, cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else value


def _same(value: Any) -> Any:
    return value


def _error_code(value: int) -> Any:
    return load("kio.schema.errors").ErrorCode(value)


def _timedelta(value: timedelta | int) -> timedelta:
    return timedelta(milliseconds=value) if isinstance(value, int) else value


def _datetime(value: datetime | int | None) -> datetime | None:
    if not isinstance(value, int):
        return value
    return None if value < 0 else _EPOCH + timedelta(milliseconds=value)


def _uuid(value: UUID | bytes | None) -> UUID | None:
    if not isinstance(value, bytes):
        return value
    return None if value == NO_UUID else UUID(bytes=value)


@cache
def _writer(cls: type[Entity]) -> Callable[[io.BytesIO, Entity], None]:
    return load("kio.serial").entity_writer(cls)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CONVERTERS: Final[dict[str, Callable[[Any], Any]]] = {
    "error_code": _error_code,
    "timedelta_i32": _timedelta,
    "timedelta_i64": _timedelta,
    "datetime_i64": _datetime,
    "uuid": _uuid,
}
