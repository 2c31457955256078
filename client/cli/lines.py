"""Lines of a file or a pipe, and what of each becomes key, value and headers."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, cast

from client.cli.formats import BadFormat, of_json

LINE_BYTES: Final = 64 << 20  # no broker takes a message of that size (Kafka's default is 1 MiB); a pipe may bring one
KNOWN: Final = {"topic", "partition", "offset", "timestamp_ms", "key", "value", "headers"}  # what `consume --json` says


class BadLine(ValueError):
    """The text names the line's number and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is sent. `partition` None: the partitioner chooses."""

    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    partition: int | None = None
    timestamp_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """How a line is read. `tombstones`: an empty value is none, which deletes its key where a log is compacted."""

    key_separator: bytes = b""
    tombstones: bool = False
    as_json: bool = False
    partition: int | None = None
    headers: tuple[tuple[str, bytes | None], ...] = field(default=())


def lines_of(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(number from 1, line without its newline). Raises BadLine for one above LINE_BYTES."""
    number = 0
    while line := file.readline(LINE_BYTES):
        number += 1
        if len(line) == LINE_BYTES and not line.endswith(b"\n"):
            raise BadLine(f"line {number} is longer than {LINE_BYTES >> 20} MiB")
        yield number, line.removesuffix(b"\n")


def record_of(number: int, line: bytes, shape: Shape) -> Record:
    """Raises BadLine."""
    if shape.as_json:
        return _of_json(number, line, shape)
    key, value = None, line
    if shape.key_separator:
        key, found, value = line.partition(shape.key_separator)
        if not found:
            raise BadLine(f"line {number} has no key: {shape.key_separator!r} is not in it")
    return Record(_value(value, shape), key, shape.headers, shape.partition)


def _value(value: bytes | None, shape: Shape) -> bytes | None:
    return None if shape.tombstones and not value else value


def _of_json(number: int, line: bytes, shape: Shape) -> Record:
    try:
        found: Any = json.loads(line)
        if not isinstance(found, dict):
            raise BadFormat("it is no JSON object")
        return _record(cast("dict[str, Any]", found), shape)
    except BadFormat as error:
        raise BadLine(f"line {number}: {error}") from None
    except json.JSONDecodeError as error:
        raise BadLine(f"line {number} is no JSON: {error.msg} at character {error.colno}") from None
    except ValueError as error:
        raise BadLine(f"line {number} is no JSON: {error}") from None


def _record(found: dict[str, Any], shape: Shape) -> Record:
    unknown = sorted(set(found) - KNOWN)
    if unknown:
        raise BadFormat(f'"{unknown[0]}" is none of {", ".join(sorted(KNOWN))}')
    return Record(
        _value(of_json(found.get("value"), "value"), shape),
        of_json(found.get("key"), "key"),
        (*shape.headers, *_headers(found.get("headers"))),
        shape.partition,
        _time(found.get("timestamp_ms")),
    )


def _time(found: Any) -> int | None:
    if found is not None and (not isinstance(found, int) or isinstance(found, bool)):
        raise BadFormat('"timestamp_ms" is no integer')
    return found


def _headers(found: Any) -> tuple[tuple[str, bytes | None], ...]:
    """Of a list of pairs, or of an object."""
    pairs: Any = list(cast("dict[str, Any]", found).items()) if isinstance(found, dict) else found or []
    if not isinstance(pairs, list):
        raise BadFormat('"headers" is no list of pairs')
    return tuple(_header(pair) for pair in cast("list[Any]", pairs))


def _header(pair: Any) -> tuple[str, bytes | None]:
    if not isinstance(pair, list | tuple) or len(cast("list[Any]", pair)) != 2 or not isinstance(pair[0], str):
        raise BadFormat("a header is no pair of a name and a value")
    return pair[0], of_json(cast("Any", pair[1]), f"headers: {pair[0]}")


def header_of(text: str) -> tuple[str, bytes]:
    """`name=value` as it is typed. Raises BadFormat."""
    name, found, value = text.partition("=")
    if not found or not name:
        raise BadFormat(f"--header {text!r} is not name=value")
    return name, value.encode()
