"""What control may ask of the supervisor: one JSON object a line, parsed here into a value or refused.

    {"id": 7, "op": "spawn", "generation": 3, …}  ->  {"id": 7, "ok": true, …}
                                                   or  {"id": 7, "ok": false, "error": "…"}

The supervisor is the parent of everything and must not fall over a line, whoever wrote it: every field is
checked for its type and its size before anything acts on it. Fields that are not known are skipped, so the
two sides may differ by a version. Strangers are kept out before this: the socket is 0600 and the peer's uid
is checked.
"""

import json
import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

LINE_BYTES = 64 * 1024  # an argv and an environment of our own making are below 4 KiB; Linux allows far more
ARGV_WORDS = 256
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")  # front-door-api.md: a name is a host name too
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What a fleet needs to end a replica; the rest of the signals has no meaning that control could want.
SIGNALS = {name: getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGKILL")}


class BadOrder(Exception):
    """The peer's fault; asking again the same way is useless. `id` is the request's, if it could be read."""

    def __init__(self, reason: str, request_id: object = None) -> None:
        super().__init__(reason)
        self.id = request_id


@dataclass(frozen=True, slots=True)
class Hello:
    """I am control of this generation; tell me of every replica that ends."""

    generation: int


@dataclass(frozen=True, slots=True)
class SpawnReplica:
    """Start a replica. `listen`: bind a loopback socket for it and hand it down as fd 3."""

    generation: int
    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]  # in addition to the supervisor's own, less what is the front door's
    cwd: str | None
    log_path: str | None
    meta: Mapping[str, str | int]
    listen: bool


@dataclass(frozen=True, slots=True)
class SignalReplica:
    """Signal one incarnation; `group` its whole process group."""

    generation: int
    name: str
    pid: int
    start_time: int
    signal: signal.Signals
    group: bool


@dataclass(frozen=True, slots=True)
class Ready:
    """The fleet serves: print the ready line (once)."""

    generation: int
    replicas: int


@dataclass(frozen=True, slots=True)
class ListChildren:
    pass


@dataclass(frozen=True, slots=True)
class Reload:
    pass


@dataclass(frozen=True, slots=True)
class Shutdown:
    pass


Order = Hello | SpawnReplica | SignalReplica | Ready | ListChildren | Reload | Shutdown


def parse(line: bytes) -> tuple[object, Order]:
    """(id of the request, the order). Raises BadOrder."""
    try:
        raw: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadOrder(f"not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise BadOrder("not a JSON object")
    fields = cast(dict[str, Any], raw)
    build = _OPS.get(str(fields.get("op")))
    if build is None:
        raise BadOrder(f"unknown op {fields.get('op')!r}"[:200], fields.get("id"))
    try:
        return fields.get("id"), build(fields)
    except BadOrder as error:
        error.id = fields.get("id")
        raise


def _spawn(fields: dict[str, Any]) -> SpawnReplica:
    return SpawnReplica(
        generation=_integer(fields, "generation"),
        name=_name(fields),
        argv=_argv(fields.get("argv")),
        env=_env(fields.get("env", {})),
        cwd=_path(fields, "cwd"),
        log_path=_path(fields, "log_path"),
        meta=_meta(fields.get("meta", {})),
        listen=_choice(fields, "socket", {"listen": True, "none": False}),
    )


def _signal(fields: dict[str, Any]) -> SignalReplica:
    return SignalReplica(
        generation=_integer(fields, "generation"),
        name=_name(fields),
        pid=_integer(fields, "pid"),
        start_time=_integer(fields, "start_time"),
        signal=_choice(fields, "signal", SIGNALS),
        group=_choice(fields, "group", {True: True, False: False, None: False}),
    )


_OPS: dict[str, Callable[[dict[str, Any]], Order]] = {
    "hello": lambda fields: Hello(_integer(fields, "generation")),
    "spawn": _spawn,
    "signal": _signal,
    "ready": lambda fields: Ready(_integer(fields, "generation"), _integer(fields, "replicas")),
    "list": lambda fields: ListChildren(),
    "reload": lambda fields: Reload(),
    "shutdown": lambda fields: Shutdown(),
}


def _integer(fields: dict[str, Any], key: str) -> int:
    value: object = fields.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise BadOrder(f"{key} is not a whole number")
    return value


def _name(fields: dict[str, Any]) -> str:
    value: object = fields.get("name")
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise BadOrder("name is not of the form [A-Za-z0-9][A-Za-z0-9_-]{0,62}")
    return value


def _choice(fields: dict[str, Any], key: str, table: Mapping[Any, Any]) -> Any:
    value: object = fields.get(key)
    if not isinstance(value, str | bool | None) or value not in table:
        raise BadOrder(f"{key} is none of {', '.join(map(str, table))}")
    return table[value]


def _argv(raw: object) -> tuple[str, ...]:
    words = cast(list[object], raw) if isinstance(raw, list) else []
    if not 0 < len(words) <= ARGV_WORDS or not all(_is_text(word) for word in words) or not words[0]:
        raise BadOrder("argv is not a list of words")
    return tuple(cast(list[str], words))


def _env(raw: object) -> dict[str, str]:
    pairs = cast(dict[str, object], raw) if isinstance(raw, dict) else {"": None}
    if not all(VARIABLE.fullmatch(key) and _is_text(value) for key, value in pairs.items()):
        raise BadOrder("env is not an object of texts")
    return cast(dict[str, str], pairs)


def _meta(raw: object) -> dict[str, str | int]:
    pairs = cast(dict[str, object], raw) if isinstance(raw, dict) else {"": None}
    if not all(isinstance(value, str | int) for value in pairs.values()):
        raise BadOrder("meta is not an object of texts and numbers")
    return cast(dict[str, str | int], pairs)


def _path(fields: dict[str, Any], key: str) -> str | None:
    value: object = fields.get(key)
    if value is None:
        return None
    if not _is_text(value) or not cast(str, value).startswith("/"):
        raise BadOrder(f"{key} is not an absolute path")
    return cast(str, value)


def _is_text(value: object) -> bool:
    """A text that the kernel takes: no NUL in it, and no lone surrogate that has no bytes."""
    if not isinstance(value, str) or "\0" in value:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)
