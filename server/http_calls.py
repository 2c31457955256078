"""The calls of the queue's plain HTTP interface that servers answer: read strictly, answered in one shape. Pure.

Whoever calls gets JSON, whatever is wrong: 400 and a reason that names the parameter, 405 for another method. Numbers
are whole and not negative, and may come as text of digits, as the field's clients send them; a flag is no number.

Source: specs/queue-http-api.md.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, cast
from urllib.parse import parse_qsl

from server import http_paths
from wire.exchange import Response, json_response
from wire.http_queue import EVERY, FAILURE, SUCCESS

MAX_DIGITS: Final = 18
"""Of an id or an offset: below 2**63, as Kafka's offsets are."""
MAX_PARAMETERS: Final = 20
"""In a query; more are nobody's that knows this interface."""
NOTHING: Final = -1
"""ack=-1: nothing is acknowledged yet, and the answer's own message is to be."""
MAX_SHOWN: Final = 100
"""Of a wrong value, in its reason, characters."""


class BadCall(Exception):
    """What the caller is told: a status, and the message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class ListTopics:
    pass


@dataclass(frozen=True, slots=True)
class RegisterProducer:
    """`part` None: all partitions."""

    topic: str
    part: str | None


@dataclass(frozen=True, slots=True)
class RegisterConsumer:
    """`part` None: all partitions."""

    topic: str
    part: str | None


@dataclass(frozen=True, slots=True)
class Produce:
    producer_id: int
    message: bytes


@dataclass(frozen=True, slots=True)
class Consume:
    """`ack` None: the cursor moves with the answer; else the offset that is acknowledged (NOTHING: none)."""

    consumer_id: int
    ack: int | None


@dataclass(frozen=True, slots=True)
class Size:
    consumer_id: int


Call = ListTopics | RegisterProducer | RegisterConsumer | Produce | Consume | Size


def read_call(method: str, path: str, query: str, body: bytes) -> Call:
    """What is asked; `path` is one of `server.http_paths`. Raises BadCall."""
    route = _ROUTES[path]
    if method != route.method:
        raise BadCall(405, f"{path} is called with {route.method}")
    return route.read(_parameters(query) if route.method == "GET" else _object(body))


def success(message: object, **more: object) -> Response:
    return json_response(200, {"message": message, **more, "status": SUCCESS})


def failure(status: int, message: str, **more: object) -> Response:
    return json_response(status, {"message": message, **more, "status": FAILURE})


def refused(path: str, error: BadCall) -> Response:
    """The answer to what `read_call` raised."""
    response = failure(error.status, error.message)
    if error.status != 405:
        return response
    return Response(response.status, response.body, headers=(("Allow", _ROUTES[path].method),))


# --- how each is read ------------------------------------------------------------------------------


def _parameters(query: str) -> dict[str, Any]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise BadCall(400, f"a query has at most {MAX_PARAMETERS} parameters") from None
    return _each_once(pairs)


def _object(body: bytes) -> dict[str, Any]:
    try:
        told: Any = json.loads(body, object_pairs_hook=_each_once)
    except (ValueError, RecursionError):
        raise BadCall(400, "the body must be a JSON object") from None
    if not isinstance(told, dict):
        raise BadCall(400, "the body must be a JSON object")
    return cast("dict[str, Any]", told)


def _each_once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Of a query or a JSON object. Of two values for one name readers take either (RFC 8259, section 4): nobody's
    message is to depend on it."""
    told: dict[str, Any] = {}
    for name, value in pairs:
        if name in told:
            raise BadCall(400, f"{name[:MAX_SHOWN]} comes twice")
        told[name] = value
    return told


def _register_producer(told: Mapping[str, Any]) -> Call:
    return RegisterProducer(_topic(told), _part(told))


def _register_consumer(told: Mapping[str, Any]) -> Call:
    return RegisterConsumer(_topic(told), _part(told))


def _produce(told: Mapping[str, Any]) -> Call:
    try:
        return Produce(_number(told, "producer_id"), _text(told, "message").encode())
    except UnicodeEncodeError:
        raise BadCall(400, "message has half of a surrogate pair, which is no text") from None


def _consume(told: Mapping[str, Any]) -> Call:
    if "ack" not in told:
        return Consume(_number(told, "consumer_id"), None)
    ack = NOTHING if told["ack"] == str(NOTHING) else _number(told, "ack")
    return Consume(_number(told, "consumer_id"), ack)


def _list_topics(told: Mapping[str, Any]) -> Call:
    return ListTopics()


def _size(told: Mapping[str, Any]) -> Call:
    return Size(_number(told, "consumer_id"))


def _topic(told: Mapping[str, Any]) -> str:
    topic = _text(told, "topic")
    if not topic:
        raise BadCall(400, "topic is empty")
    return topic


def _part(told: Mapping[str, Any]) -> str | None:
    if told.get("part") is None:
        return None
    part = _text(told, "part")
    if not part:
        raise BadCall(400, "part is empty")
    return None if part == EVERY else part


def _text(told: Mapping[str, Any], name: str) -> str:
    if name not in told:
        raise BadCall(400, f"{name} is missing")
    text = told[name]
    if not isinstance(text, str):
        raise BadCall(400, f"{name} must be a string")
    return text


def _number(told: Mapping[str, Any], name: str) -> int:
    if name not in told:
        raise BadCall(400, f"{name} is missing")
    number = told[name]
    if type(number) is int and 0 <= number < 10**MAX_DIGITS:
        return number
    if isinstance(number, str) and _DIGITS.fullmatch(number):
        return int(number)
    raise BadCall(400, f"{name} must be a whole number, not {_shown(number)}")


def _shown(value: object) -> str:
    try:
        shown = json.dumps(value)
    except RecursionError:  # it could just be read
        shown = "that"
    return shown if len(shown) <= MAX_SHOWN else shown[:MAX_SHOWN] + "…"


class _Route(NamedTuple):
    method: str
    read: Callable[[Mapping[str, Any]], Call]


_DIGITS: Final = re.compile(f"[0-9]{{1,{MAX_DIGITS}}}")
_ROUTES: Final[Mapping[str, _Route]] = {
    http_paths.TOPICS: _Route("GET", _list_topics),
    http_paths.REGISTER_PRODUCER: _Route("POST", _register_producer),
    http_paths.PRODUCE: _Route("POST", _produce),
    http_paths.REGISTER_CONSUMER: _Route("POST", _register_consumer),
    http_paths.CONSUME: _Route("GET", _consume),
    http_paths.SIZE: _Route("GET", _size),
}
