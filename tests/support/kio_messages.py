"""Random messages of any of kio's dataclasses, made from the metadata of their fields, and bytes that harm them."""

from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from kio.schema.errors import ErrorCode

from wire.decoding import field_kind
from wire.schemas import Entity, message_class
from wire.versions import APIS

EVERY_VERSION = [(api.key, version) for api in APIS.values() for version in range(api.lowest, api.highest + 1)]
EVERY_CLASS: list[type[Entity]] = [
    message_class(key, version, kind) for key, version in EVERY_VERSION for kind in ("request", "response")
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BITS = {"int8": 8, "int16": 16, "int32": 32, "int64": 64}
_TEXTS = ("", "a", "orders", "événement", "日本", "x" * 130, "\x00", "🎠")


def random_message(cls: type[Entity], random: Random) -> Entity:
    """A message that kio's writer takes and its reader gives back."""
    values: dict[str, Any] = {}
    for field in fields(cls):
        if "tag" in field.metadata and field.default is not MISSING and random.random() < 0.5:
            continue
        kind = field_kind(field)
        tagged = "tag" in field.metadata
        if kind.is_nullable and not tagged and random.random() < 0.3:
            values[field.name] = None
        elif kind.is_array:
            count = random.choice((0, 1, 1, 2, 3, 7))
            values[field.name] = tuple([_value(field, kind.inner, random) for _ in range(count)])
        else:
            values[field.name] = _value(field, kind.inner, random)
    return cls(**values)


def _value(field: Any, inner: Any, random: Random) -> Any:
    if is_dataclass(inner):
        return random_message(inner, random)
    return random_primitive(field.metadata["kafka_type"], random)


def random_primitive(kafka_type: str, random: Random) -> Any:
    if kafka_type in _BITS:
        return random_int(_BITS[kafka_type], random)
    if kafka_type in ("uint16", "uint32"):
        return random.randrange(1 << int(kafka_type[4:]))
    return {
        "bool": lambda: random.random() < 0.5,
        "float64": lambda: random.uniform(-1e9, 1e9),
        "string": lambda: random.choice(_TEXTS),
        "bytes": lambda: random.randbytes(random.choice((0, 1, 126, 127, 200))),
        "records": lambda: random.randbytes(random.choice((0, 1, 126, 127, 128, 300, 20_000))),
        "uuid": lambda: UUID(int=random.randrange(1, 1 << 128)),
        "error_code": lambda: random.choice(list(ErrorCode)),
        "timedelta_i32": lambda: timedelta(milliseconds=random_int(32, random)),
        "timedelta_i64": lambda: timedelta(milliseconds=random_int(40, random)),
        "datetime_i64": lambda: _EPOCH + timedelta(seconds=random.randrange(1 << 33)),
    }[kafka_type]()


def random_int(bits: int, random: Random) -> int:
    return random.choice((0, 1, -1, (1 << bits - 1) - 1, -(1 << bits - 1), random.getrandbits(bits - 1)))


def harmed(data: bytes, random: Random) -> bytes:
    """`data` with one to three of: a byte changed, a cut, an insertion, a length blown up."""
    out = bytearray(data)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(out) + 1)
        harm = random.randrange(6)
        if harm == 0 and at < len(out):
            out[at] ^= 1 << random.randrange(8)
        elif harm == 1:
            del out[at:]
        elif harm == 2:
            out[at:at] = random.randbytes(random.randint(1, 9))
        elif harm == 3:
            out[at : at + 4] = random.choice((b"\x7f\xff\xff\xff", b"\xff\xff\xff\xfe", b"\x00\x0f\xff\xff"))
        elif harm == 4:
            out[at : at + 1] = random.choice(
                (b"\xff\xff\xff\xff\x7f", b"\xff\xff\xff\xff\x0f", b"\xff" * 11, b"\x80\x01")
            )
        else:
            out[at : at + 2] = random.choice((b"\x7f\xff", b"\xff\xfe", b"\xff\xff", b"\x00\x00"))
    return bytes(out)
