"""A bounded reader for any of kio's dataclasses, compiled from the fields that they describe.

kio's own reader trusts lengths: five bytes make 0.6.5 reserve 275 GB and abort the process. So each class is compiled
once into a list of steps, "read this with `wire.primitives.Reader`, put it into that slot", and bytes from outside
meet only these. Where kio's reader returns a value, this one returns the same (a property test holds it to that for
every API and version); where kio raises KeyError on a tagged field that it doesn't know, this one skips it (KIP-482).

Left as kio has it: the zero UUID is None, times are timedelta and datetime, an error code is kio's enum. Times out of
Python's range (the unused retention of an old OffsetCommit) are clamped, error codes unknown to kio are
`unknown_server_error`, as Java has it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, NamedTuple, get_args, get_origin

from wire.primitives import Reader, WireError
from wire.schemas import Entity, load

Read = Callable[[Reader], Any]
Put = Callable[[object, Any], None]


@dataclass(frozen=True, slots=True)
class EntityReader:
    """Reads one class; nothing that it reads is shorter than `min_size` bytes."""

    read: Read
    min_size: int


class FieldKind(NamedTuple):
    """A field's type, taken apart."""

    inner: type
    is_array: bool
    is_nullable: bool


class _Value(NamedTuple):
    """How to read one value that isn't an array, and its smallest size in bytes."""

    read: Read
    min_size: int


@cache
def entity_reader(cls: type[Entity]) -> EntityReader:
    """The reader for `cls`, compiled on first use (0.1 ms) and kept."""
    steps: list[tuple[Put, Read]] = []
    tagged: dict[int, tuple[Put, Read]] = {}
    defaults: list[tuple[Put, object]] = []
    size = 1 if cls.__flexible__ else 0
    for field in fields(cls):
        value = _field(field, cls.__flexible__)
        put = getattr(cls, field.name).__set__
        if "tag" in field.metadata:
            tagged[field.metadata["tag"]] = (put, value.read)
            defaults.append((put, _default(field)))
        else:
            steps.append((put, value.read))
            size += value.min_size
    return EntityReader(_reader(cls, steps, tagged, defaults), size)


def field_kind(field: Field[Any]) -> FieldKind:
    """Of `tuple[X, ...]`, `X | None`, `tuple[X, ...] | None` or `X`."""
    annotation: Any = field.type
    nullable = get_origin(annotation) is UnionType
    if nullable:
        (annotation,) = [part for part in get_args(annotation) if part is not NoneType]
    if get_origin(annotation) is tuple:
        return FieldKind(get_args(annotation)[0], True, nullable)
    return FieldKind(annotation, False, nullable)


def _reader(
    cls: type[Entity],
    steps: list[tuple[Put, Read]],
    tagged: dict[int, tuple[Put, Read]],
    defaults: list[tuple[Put, object]],
) -> Read:
    """Slots are set directly: a frozen dataclass' own __init__ takes twice as long."""

    def read_rigid(reader: Reader) -> Entity:
        entity = object.__new__(cls)
        for put, read in steps:
            put(entity, read(reader))
        return entity

    def read_flexible(reader: Reader) -> Entity:
        entity = read_rigid(reader)
        for put, value in defaults:
            put(entity, value)
        for _ in range(reader.tag_count()):
            _read_tagged(reader, entity, tagged)
        return entity

    return read_flexible if cls.__flexible__ else read_rigid


def _read_tagged(reader: Reader, entity: Entity, tagged: dict[int, tuple[Put, Read]]) -> None:
    tag, end = reader.tag()
    known = tagged.get(tag)
    if known is None:
        reader.at = end
        return
    put, read = known
    put(entity, read(reader))
    if reader.at != end:
        raise WireError("a tagged field of another size than its own")


def _field(field: Field[Any], flexible: bool) -> _Value:
    kind = field_kind(field)
    if is_dataclass(kind.inner):
        nested = entity_reader(kind.inner)
        value = _Value(nested.read, nested.min_size)
        if kind.is_nullable and not kind.is_array:
            return _Value(_nullable_entity(nested.read), 1)
    else:
        value = _primitive(field.metadata["kafka_type"], flexible, kind.is_nullable and not kind.is_array)
    if not kind.is_array:
        return value
    return _Value(_array(value, flexible, kind.is_nullable), 1 if flexible else 4)


def _default(field: Field[Any]) -> object:
    """What a tagged field is when it isn't sent: kio writes it down, but where it is the type's zero."""
    return field.default if field.default is not MISSING else _ZEROS[field.metadata["kafka_type"]]


# --- what each kind of value is read by -----------------------------------------------------------------


def _primitive(kafka_type: str, flexible: bool, nullable: bool) -> _Value:
    if kafka_type in _SIZED:
        compact, legacy, legacy_size = _SIZED[kafka_type]
        read = compact if flexible else legacy
        return _Value(read if nullable else _not_null(read), 1 if flexible else legacy_size)
    if kafka_type == "datetime_i64" and nullable:
        return _Value(_nullable_datetime, 8)
    return _FIXED[kafka_type]


def _not_null(read: Read) -> Read:
    def read_not_null(reader: Reader) -> Any:
        value = read(reader)
        if value is None:
            raise WireError("null where the schema allows none")
        return value

    return read_not_null


def _array(element: _Value, flexible: bool, nullable: bool) -> Read:
    read, size = element
    assert size > 0, "an array of this could be endless"
    count_of = Reader.compact_count if flexible else Reader.count

    def read_array(reader: Reader) -> tuple[Any, ...] | None:
        count = count_of(reader, size)
        return None if count is None else tuple([read(reader) for _ in range(count)])

    return read_array if nullable else _not_null(read_array)


def _nullable_entity(read: Read) -> Read:
    """KIP-893: a byte before the struct, negative for null."""

    def read_nullable(reader: Reader) -> Entity | None:
        return None if reader.int8() < 0 else read(reader)

    return read_nullable


def _compact_bytes(reader: Reader) -> bytes | None:
    view = reader.compact_view()
    return None if view is None else bytes(view)


def _legacy_bytes(reader: Reader) -> bytes | None:
    view = reader.legacy_view()
    return None if view is None else bytes(view)


def _timedelta_i32(reader: Reader) -> timedelta:
    return timedelta(milliseconds=reader.int32())


def _timedelta_i64(reader: Reader) -> timedelta:
    return timedelta(milliseconds=max(_FIRST_DELTA_MS, min(_LAST_DELTA_MS, reader.int64())))


def _datetime(reader: Reader) -> datetime:
    return _EPOCH + timedelta(milliseconds=max(0, min(_LAST_MS, reader.int64())))


def _nullable_datetime(reader: Reader) -> datetime | None:
    value = reader.int64()
    return None if value < 0 else _EPOCH + timedelta(milliseconds=min(_LAST_MS, value))


def _error_code(reader: Reader) -> int:
    errors: Any = load("kio.schema.errors").ErrorCode
    try:
        return errors(reader.int16())
    except ValueError:
        return errors.unknown_server_error


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
_FIRST_DELTA_MS: Final = timedelta.min // timedelta(milliseconds=1)
_LAST_DELTA_MS: Final = timedelta.max // timedelta(milliseconds=1)

_SIZED: Final[dict[str, tuple[Read, Read, int]]] = {  # compact (1 byte at least), legacy, its size at least
    "string": (Reader.compact_string, Reader.legacy_string, 2),
    "bytes": (_compact_bytes, _legacy_bytes, 4),
    "records": (_compact_bytes, _legacy_bytes, 4),
}
_FIXED: Final = {
    "bool": _Value(Reader.boolean, 1),
    "int8": _Value(Reader.int8, 1),
    "int16": _Value(Reader.int16, 2),
    "int32": _Value(Reader.int32, 4),
    "int64": _Value(Reader.int64, 8),
    "uint16": _Value(Reader.uint16, 2),
    "uint32": _Value(Reader.uint32, 4),
    "float64": _Value(Reader.float64, 8),
    "uuid": _Value(Reader.uuid, 16),
    "timedelta_i32": _Value(_timedelta_i32, 4),
    "timedelta_i64": _Value(_timedelta_i64, 8),
    "datetime_i64": _Value(_datetime, 8),
    "error_code": _Value(_error_code, 2),
}
_ZEROS: Final[dict[str, object]] = {
    **dict.fromkeys(("int8", "int16", "int32", "int64", "uint16", "uint32"), 0),
    "bool": False,
    "string": "",
    "bytes": b"",
    "float64": 0.0,
}
