"""How a message is written for people and programs: kcat's format strings, and JSON that can be read back.

What `consume --json` writes, `produce --json` reads, so a pipe copies a topic. Bytes that are UTF-8 are JSON strings;
others are `{"base64": …}`, so that nothing is lost; nothing is guessed from a string's look.

The road not taken: Python's own format strings. Whoever pipes Kafka through a shell knows kcat's letters by heart.
"""

import base64
import binascii
import json
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, cast

Headers = Sequence[tuple[str, bytes | None]]
Writer = Callable[["Seen"], bytes]

NO_LENGTH: Final = -1  # kcat's length of what is null
PLAIN: Final = r"%s\n"
ESCAPES: Final = {"n": b"\n", "r": b"\r", "t": b"\t", "0": b"\0", "\\": b"\\"}
TOKENS: Final = re.compile(r"%(.)|\\x([0-9a-fA-F]{2})|\\(.)|([^%\\]+)|(.)", re.DOTALL)


class Seen(Protocol):
    """A message as a consumer has it (`client.Message`)."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> Any: ...
    @property
    def value(self) -> Any: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def timestamp_ms(self) -> int: ...


class BadFormat(ValueError):
    """The text says which letters there are, or what is wrong with the JSON."""


FIELDS: Final[dict[str, Writer]] = {
    "s": lambda message: message.value or b"",
    "S": lambda message: _length(message.value),
    "R": lambda message: struct.pack(">i", NO_LENGTH if message.value is None else len(message.value)),
    "k": lambda message: message.key or b"",
    "K": lambda message: _length(message.key),
    "t": lambda message: message.topic.encode(),
    "p": lambda message: b"%d" % message.partition,
    "o": lambda message: b"%d" % message.offset,
    "T": lambda message: b"%d" % message.timestamp_ms,
    "h": lambda message: headers_text(message.headers),
}
"""kcat's letters: value, its length, that as four bytes, key, its length, topic, partition, offset, time, headers."""


def compiled(text: str) -> Writer:
    """A function from a message to bytes. `text`: kcat's letters after %; \\n \\r \\t \\0 \\xHH. Raises BadFormat."""
    pieces = [_piece(*match.groups()) for match in TOKENS.finditer(text)]
    if all(isinstance(piece, bytes) for piece in pieces):
        raise BadFormat(f"the format {text!r} names no part of the message: one of %{' %'.join(FIELDS)}")

    def write(message: Seen) -> bytes:
        return b"".join(piece if isinstance(piece, bytes) else piece(message) for piece in pieces)

    return write


def _piece(letter: str | None, code: str | None, escape: str | None, plain: str | None, lone: str | None) -> Any:
    if letter == "%":
        return b"%"
    if letter in FIELDS:
        return FIELDS[letter]
    if letter is not None:
        raise BadFormat(f"%{letter} is not one of %{' %'.join(FIELDS)} %%")
    if code is not None:
        return bytes.fromhex(code)
    if escape is not None and escape not in ESCAPES:
        raise BadFormat(rf"\{escape} is not one of \n \r \t \0 \\ \xHH")
    return ESCAPES[escape] if escape is not None else (plain or lone or "").encode()


def unescaped(text: str) -> bytes:
    r"""A separator as one types it: `\t` is a tab. Raises BadFormat."""
    return b"".join(_piece(None, *match.groups()[1:]) if match[1] is None else match[0].encode()
                    for match in TOKENS.finditer(text))  # fmt: skip


def headers_text(headers: Headers) -> bytes:
    """`name=value,name=NULL`, as kcat writes them."""
    return b",".join(name.encode() + b"=" + (b"NULL" if value is None else value) for name, value in headers)


def _length(data: bytes | None) -> bytes:
    return b"%d" % (NO_LENGTH if data is None else len(data))


def json_line(message: Seen) -> bytes:
    """One message as one line of JSON."""
    return json.dumps(as_json(message), ensure_ascii=False).encode() + b"\n"


def as_json(message: Seen) -> dict[str, Any]:
    return {
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "timestamp_ms": None if message.timestamp_ms < 0 else message.timestamp_ms,
        "key": json_of(message.key),
        "value": json_of(message.value),
        "headers": [[name, json_of(value)] for name, value in message.headers],
    }


def json_of(data: bytes | None) -> Any:
    """None, a string where it is UTF-8, else {"base64": …}."""
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def of_json(found: Any, name: str) -> bytes | None:
    """What `json_of` wrote. Raises BadFormat, which says `name`."""
    if found is None:
        return None
    if isinstance(found, str):
        return found.encode("utf-8", "surrogatepass")
    if isinstance(found, dict) and list(cast("dict[Any, Any]", found)) == ["base64"]:
        try:
            return base64.b64decode(cast("dict[str, Any]", found)["base64"], validate=True)
        except (binascii.Error, TypeError, ValueError):
            pass
    raise BadFormat(f'"{name}" is not a string, null, or {{"base64": …}}')
