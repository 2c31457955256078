"""Values to bytes and back, by a name or by a function of one's own.

A serializer is any function of a value to bytes, a deserializer one of bytes to a value; the names below stand for the
four that nearly everyone needs. JSON is orjson's: UTF-8, no blanks, NaN as null, integers of 64 bits, datetimes as
RFC 3339. MessagePack is msgspec's: of its two well-kept libraries the one that takes maps with any keys, and
timestamps, as the MessagePack spec has them. None never comes here: it is a tombstone, in both directions.
"""

from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar

import msgspec
import orjson

from client.errors import BadValue, ConfigError

T = TypeVar("T")
Name = Literal["bytes", "str", "json", "msgpack"]
Serializer = Callable[[Any], bytes]
Deserializer = Callable[[bytes], Any]


def _bytes_in(value: Any) -> bytes:
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    raise TypeError(f"{type(value).__name__} is not bytes; name a serializer: str, json or msgpack")


def _str_in(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    raise TypeError(f"{type(value).__name__} is not str")


def _bytes_out(value: bytes) -> bytes:
    return value


def _str_out(value: bytes) -> str:
    return value.decode()


SERIALIZERS: Final[dict[str, Serializer]] = {
    "bytes": _bytes_in,
    "str": _str_in,
    "json": orjson.dumps,
    "msgpack": msgspec.msgpack.encode,
}

DESERIALIZERS: Final[dict[str, Deserializer]] = {
    "bytes": _bytes_out,
    "str": _str_out,
    "json": orjson.loads,
    "msgpack": msgspec.msgpack.decode,
}


def serializer_of(wanted: Name | Serializer) -> Serializer:
    """The function of that name, or the function itself. Raises ConfigError for an unknown name."""
    return _of(SERIALIZERS, wanted, "serializer")


def deserializer_of(wanted: Name | Deserializer) -> Deserializer:
    """As `serializer_of`, for the way back."""
    return _of(DESERIALIZERS, wanted, "deserializer")


def encode(serializer: Serializer, value: Any, what: str) -> bytes:
    """`value` as bytes. Raises BadValue, caused by the serializer's own error, that names `what`."""
    try:
        return serializer(value)
    except Exception as error:  # a serializer of the user's own may raise anything
        advice = "What to do: send what the serializer takes, or name another"
        raise BadValue(f"{what} can't be serialized: {error}. {advice}") from error


def decode(deserializer: Deserializer, value: bytes, where: str) -> Any:
    """The value of these bytes. Raises BadValue, caused by the deserializer's own error, that says `where` it lies."""
    try:
        return deserializer(value)
    except Exception as error:  # as above
        reason = f"the value of {where} can't be deserialized: {error}"
        raise BadValue(f"{reason}. What to do: read it as bytes; going on skips it") from error


def _of(known: dict[str, T], wanted: str | T, what: str) -> T:
    if not isinstance(wanted, str):
        return wanted
    if wanted not in known:
        raise ConfigError(f"no {what} is called {wanted!r}: name one of {', '.join(known)}, or give a function")
    return known[wanted]
