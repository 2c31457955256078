"""How a request to change topics gets to control and its answer back (R10), for all the APIs that do that.

An API says in a `Change` where its request has its items and what makes one wrong whatever the cluster's state is; such
items are answered for here, and the others go on in a request of their own. Control's answer comes back as it is, but
for the correlation id, or together with what was refused here.

What holds: a client is answered once, and within the time that it gave; without control it hears NOT_CONTROLLER, and
REQUEST_TIMED_OUT where control has the request and may still do it.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, NamedTuple

from server.api.cluster_context import Control, Outcome
from server.api.shape import Answer, Call, Later
from wire import messages
from wire.errors import ErrorCode
from wire.frames import LENGTH_SIZE, read_response_head
from wire.versions import response_header

DEFAULT_TIMEOUT_S: Final = 30.0
"""Where the request has none: the clients' own `request.timeout.ms`."""
MIN_TIMEOUT_S: Final = 0.1
"""A client that gives no time at all means "don't wait" (Kafka): control gets as long as it takes when it is there."""
MAX_TIMEOUT_S: Final = 60.0

MAX_ITEMS: Final = 10_000
"""Topics, or other things, of one request: as many as control makes partitions of for it (Kafka's
MAX_RECORDS_PER_USER_OP); it looks at each of them while all servers wait."""

CORRELATION_ID_SIZE: Final = 4


class Refusal(NamedTuple):
    """Why an item isn't passed on."""

    code: ErrorCode
    message: str | None = None


Result = dict[str, Any]
"""One item's part of the answer, for `messages.build`."""


@dataclass(frozen=True, slots=True)
class Change:
    """What an API is like: `items(version)` is the request's field, `results` the answer's. `why_not` gets the
    item, the request, and whether another item is about the same thing, by its fields `names`."""

    key: int
    items: Callable[[int], str]
    results: str
    why_not: Callable[[Any, Any, bool], Refusal | None]
    result: Callable[[Any, Refusal], Result]
    names: tuple[str, ...] = ()


def forward(call: Call, request: Any, control: Control, change: Change) -> Answer | Later:
    """See the module."""
    field = change.items(call.version)
    items: Sequence[Any] | None = getattr(request, field)
    judged = _judged(items or (), request, change)
    refused = [change.result(item, why) for item, why in judged if why is not None]
    rest = [item for item, why in judged if why is None]
    if refused and not rest:
        return _answer(call, change, refused)
    sent = replace(request, **{field: tuple(rest)}) if refused else request

    def done(outcome: Outcome) -> None:
        if isinstance(outcome, ErrorCode):
            why = Refusal(outcome, _WORDS.get(outcome))
            call.reply(_answer(call, change, [*refused, *[change.result(item, why) for item in rest]], outcome))
        elif refused:
            call.reply(_merged(call, change, outcome, refused))
        else:
            call.reply(_readdressed(outcome, call.correlation_id))

    control.ask(change.key, call.version, messages.encode(sent), timeout_s(request), done)
    return Later.PARKED


def timeout_s(request: Any) -> float:
    """How long the client gives."""
    given = getattr(request, "timeout", None)
    if not isinstance(given, timedelta):
        return DEFAULT_TIMEOUT_S
    return min(MAX_TIMEOUT_S, max(MIN_TIMEOUT_S, given.total_seconds()))


def _judged(items: Sequence[Any], request: Any, change: Change) -> list[tuple[Any, Refusal | None]]:
    """Each item, and why it isn't passed on."""
    if len(items) > MAX_ITEMS:
        return [(item, _TOO_MANY) for item in items]
    about = [tuple([getattr(item, name) for name in change.names]) for item in items]
    counts = Counter(about if change.names else ())
    return [(item, change.why_not(item, request, counts[key] > 1)) for item, key in zip(items, about, strict=True)]


def _answer(call: Call, change: Change, results: list[Result], code: ErrorCode = ErrorCode.NONE) -> bytes:
    return messages.answer(call.correlation_id, _built(call, change, results, code))


def _built(call: Call, change: Change, results: list[Result], code: ErrorCode) -> Any:
    """`error_code`: only ElectLeaders has one for the whole."""
    values = {"throttle_time": 0, "error_code": code, change.results: results}
    return messages.build(change.key, call.version, values)


def _merged(call: Call, change: Change, frame: memoryview, refused: list[Result]) -> bytes:
    at = read_response_head(frame, response_header(change.key, call.version))[1]
    told = messages.decode_response(change.key, call.version, frame, at)
    ours = _built(call, change, refused, ErrorCode.NONE)
    results = getattr(told, change.results) + getattr(ours, change.results)
    return messages.answer(call.correlation_id, replace(told, **{change.results: results}))


def _readdressed(frame: memoryview, correlation_id: int) -> bytes:
    head = len(frame).to_bytes(LENGTH_SIZE, "big") + correlation_id.to_bytes(CORRELATION_ID_SIZE, "big", signed=True)
    return head + frame[CORRELATION_ID_SIZE:]


_TOO_MANY: Final = Refusal(ErrorCode.POLICY_VIOLATION, f"One request may change {MAX_ITEMS} things.")
_WORDS: Final = {
    ErrorCode.NOT_CONTROLLER: "The controller is away; servers go on without it, changes wait for it.",
    ErrorCode.REQUEST_TIMED_OUT: "The controller has not answered in time; the change may still be made.",
}
