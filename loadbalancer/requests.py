"""The changes that a caller may ask for, as values, and how a body becomes one.

JSON and form bodies say the same. A body is JSON unless its type says that it is a form and it does not
begin with a brace: `curl -d '{"n": 1}'` calls every body a form. What can be judged without the fleet is
judged before anything is submitted, by `commands.py`, so that the fleet and this module can't disagree; a
name in use or too many replicas is the fleet's to refuse.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import parse_qsl

from loadbalancer import commands
from loadbalancer.commands import BadCommand, bad

__all__ = ["Add", "BadCommand", "Command", "Drain", "Recover", "Remove", "SetWeight", "Undrain"]

FORM = "application/x-www-form-urlencoded"
MAX_BODY_BYTES = 64 * 1024
"""The largest body: a thousand names of full length, so many times what a fleet can hold."""
MAX_FORM_FIELDS = 1000
"""More than MAX_BODY_BYTES of sensible fields; a guard against quadratic work, as Django's (1000) is."""
MAX_COUNT = 1_000_000
"""Beyond any fleet; a larger `n` is refused before anybody computes with its thousands of digits."""
MAX_NODE_ID = 2**31 - 1
"""Kafka's node ids are of 32 bits."""
_FORM_INTEGER = re.compile(r"-?[0-9]{1,9}")
_EVENT_ID = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Add:
    """`n` more replicas, of which the first are called `hostnames` (at most n, unique whatever the case)."""

    n: int
    hostnames: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Remove:
    """`n` fewer replicas, `hostnames` among them (at most n, unique whatever the case)."""

    n: int
    hostnames: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drain:
    name: str


@dataclass(frozen=True, slots=True)
class Undrain:
    name: str


@dataclass(frozen=True, slots=True)
class SetWeight:
    name: str
    weight: int


@dataclass(frozen=True, slots=True)
class Recover:
    """Take the queue's state from the servers' copies; `absent`: the nodes that are not waited for."""

    absent: frozenset[int] = frozenset()


Command = Add | Remove | Drain | Undrain | SetWeight | Recover


def parse_add(body: bytes, content_type: str, *, backends: bool) -> Add:
    """The Add of a body; `backends`: names are HOST:PORT. Raises BadCommand."""
    return Add(*_count_and_names(body, content_type, removing=False, backends=backends))


def parse_remove(body: bytes, content_type: str, *, backends: bool) -> Remove:
    """The Remove of a body; `backends`: names are HOST:PORT. Raises BadCommand."""
    return Remove(*_count_and_names(body, content_type, removing=True, backends=backends))


def parse_weight(name: str, body: bytes, content_type: str) -> SetWeight:
    """The SetWeight of a body for the replica called `name`, which is not looked at. Raises BadCommand."""
    weight = _integer(_fields(body, content_type, _weight_form), "weight")
    commands.check_weight(weight)
    return SetWeight(name, weight)


def parse_recover(body: bytes, content_type: str) -> Recover:
    """The Recover of a body. Raises BadCommand."""
    absent = _list(_fields(body, content_type, _recover_form), "absent", "node ids")
    if not all(type(node_id) is int and 0 < node_id <= MAX_NODE_ID for node_id in absent):
        raise bad("absent must be a list of node ids")
    return Recover(frozenset(cast("list[int]", absent)))


def string_fields(body: bytes, content_type: str, wanted: Sequence[str]) -> dict[str, str]:
    """These fields of a body, all of them text. Raises BadCommand."""
    fields = _fields(body, content_type, lambda pairs: _unrepeated([*pairs]))
    for key in wanted:
        if key not in fields:
            raise bad(f"{key} is missing")
        if not isinstance(fields[key], str):
            raise bad(f"{key} must be a string")
    return {key: fields[key] for key in wanted}


def parse_since(text: str) -> int:
    """The event id in `?since=`; at most 18 digits, so that it fits 64 bits. Raises BadCommand."""
    if not _EVENT_ID.fullmatch(text):
        raise bad("since must be the id of an event")
    return int(text)


def _count_and_names(body: bytes, content_type: str, *, removing: bool, backends: bool) -> tuple[int, tuple[str, ...]]:
    fields = _fields(body, content_type, _fleet_form)
    n = _integer(fields, "n")
    hostnames = _list(fields, "hostnames")
    if hostnames:
        commands.check_length(n, len(hostnames), removing=removing)
    if n < 1:
        raise bad("n must be at least 1")
    if not all(isinstance(name, str) for name in hostnames):
        raise bad("hostnames must be a list of names")
    change = commands.Change(n, tuple(cast("list[str]", hostnames)))
    commands.check_change(change, removing=removing, backends=backends)
    return change.n, change.hostnames


def _integer(fields: dict[str, Any], key: str) -> int:
    if key not in fields:
        raise bad(f"{key} is missing")
    value = fields[key]
    if not isinstance(value, int) or isinstance(value, bool):
        raise bad(f"{key} must be an integer")
    if value > MAX_COUNT:
        raise bad(f"{key} must be at most {MAX_COUNT}")
    return value


def _list(fields: dict[str, Any], key: str, what: str = "names") -> list[object]:
    """The list; an absent one, or null, is empty."""
    value: object = fields.get(key)
    if value is not None and not isinstance(value, list):
        raise bad(f"{key} must be a list of {what}")
    return cast("list[object]", value or [])


_Pairs = list[tuple[str, str]]


def _fields(body: bytes, content_type: str, read_form: Callable[[_Pairs], dict[str, Any]]) -> dict[str, Any]:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == FORM and not body.lstrip().startswith(b"{"):
        return read_form(_form_pairs(body))
    return _json_object(body)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value: object = json.loads(body, object_pairs_hook=_unrepeated, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise bad("the body is not JSON") from None
    if not isinstance(value, dict):
        raise bad("the body must be a JSON object")
    return cast("dict[str, Any]", value)


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 8259 leaves open which of two equal keys holds; for a change to a fleet neither may be guessed."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise bad("a key of the body is repeated")
    return fields


def _refuse_constant(text: str) -> None:
    """Python takes NaN and Infinity, RFC 8259 does not."""
    raise ValueError(text)


def _form_pairs(body: bytes) -> _Pairs:
    try:
        return parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=MAX_FORM_FIELDS,
        )
    except ValueError:
        raise bad("the body is not a form") from None


def _fleet_form(pairs: _Pairs) -> dict[str, Any]:
    """`server_id=S9` is `n=1&hostnames=S9`; both may be repeated, and an `n` beside `server_id` holds."""
    listed = [value for key, value in pairs if key == "hostnames"]
    single = [value for key, value in pairs if key == "server_id"]
    fields: dict[str, Any] = {"hostnames": listed + single}
    if single:
        fields["n"] = len(listed + single)
    return fields | _number_field(pairs, "n")


def _weight_form(pairs: _Pairs) -> dict[str, Any]:
    return _number_field(pairs, "weight")


def _recover_form(pairs: _Pairs) -> dict[str, Any]:
    return {"absent": [_number_or_text(value) for key, value in pairs if key == "absent"]}


def _number_field(pairs: _Pairs, key: str) -> dict[str, Any]:
    """The field as a number, or as its text if it is none; {} if it is missing."""
    values = [value for name, value in pairs if name == key]
    if len(values) > 1:
        raise bad(f"{key} is repeated")
    return {key: _number_or_text(values[0])} if values else {}


def _number_or_text(text: str) -> int | str:
    return int(text) if _FORM_INTEGER.fullmatch(text) else text
