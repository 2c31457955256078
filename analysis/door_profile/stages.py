"""The steps of the path that are functions of their own, each timed alone; what is left of the path is the bookkeeping
between them: exchanges, pools, connections, counters.

The calls are the path's own: it runs once while they are noted, with what they were given, and then each step makes
the same calls again, by itself. So a step is asked exactly what it is asked in a running front door, as often; one that
the path does not take is not in the table. Making a noted call takes some 0.04 µs more than making it where it stands.
"""

import statistics
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import thread_time_ns
from typing import Any

from analysis.door_profile.path import door, drive
from loadbalancer.aio import client as client_module
from loadbalancer.aio import door as door_module
from loadbalancer.aio import exchange as exchange_module
from loadbalancer.known_head import KnownHead
from loadbalancer.policy_ring import RingPolicy

REPEATS = 50
TURNS = 60
"""Of the path while its calls are noted: some two thousand requests, so REPEATS make a hundred thousand of each."""

REQUEST, ANSWER, RARE = "request", "answer", "rare"


@dataclass(frozen=True, slots=True)
class Step:
    """The function that the path finds as `name` in `owner`, a module or class; with `makes`, the one that it returns.

    `part` says on which way it is; RARE is what happens to a head that is new to its connection.
    """

    part: str
    what: str
    owner: Any
    name: str
    makes: bool = False


STEPS = (
    Step(REQUEST, "recognise the head", KnownHead, "id_in"),
    Step(REQUEST, "hash the key", door_module, "key_of"),
    Step(REQUEST, "make the replica's head", KnownHead, "to_replica"),
    Step(REQUEST, "choose the replica", RingPolicy, "choose"),
    Step(ANSWER, "end the client's head", exchange_module, "lead_end"),
    Step(RARE, "parse a head", client_module, "parse_request"),
    Step(RARE, "settle its id", door_module, "settle_id"),
    Step(RARE, "remember a head", door_module, "known_head"),
    Step(RARE, "parse an answer's head", exchange_module, "parse_response"),
    Step(RARE, "make the client's head", exchange_module, "answer_for_client"),
)

Call = tuple[Any, ...]


@dataclass(slots=True)
class Noted:
    """A step's function, and the arguments of each call that it got in so many requests."""

    function: Callable[..., Any]
    calls: list[Call]
    requests: int


def noted(turns: int = TURNS) -> dict[Step, Noted]:
    """Run the path and note the calls of every step that it takes."""
    with ExitStack() as stack:
        found = {step: stack.enter_context(_listening(step)) for step in STEPS}
        requests = drive(door, turns)
    for one in found.values():
        one.requests = requests
    return {step: one for step, one in found.items() if one.calls}


@contextmanager
def _listening(step: Step) -> Generator[Noted]:
    original = getattr(step.owner, step.name)
    found = Noted(original, [], 0)

    def listening(*given: Any) -> Any:
        found.calls.append(given)
        return found.function(*given)

    def making(*given: Any) -> Any:
        found.function = original(*given)
        return listening

    setattr(step.owner, step.name, making if step.makes else listening)
    try:
        yield found
    finally:
        setattr(step.owner, step.name, original)


def timed(found: dict[Step, Noted], part: str, repeats: int = REPEATS) -> dict[str, float]:
    """Microseconds a request of the steps of one part (a call, for RARE), by what they do; medians of the repeats."""
    return {
        step.what: _us_per_call(one, repeats) * (1 if part == RARE else len(one.calls) / one.requests)
        for step, one in found.items()
        if step.part == part
    }


def _us_per_call(one: Noted, repeats: int) -> float:
    again = statistics.median(_again_ns(one.function, one.calls) for _ in range(repeats))
    empty = statistics.median(_empty_ns(one.calls) for _ in range(repeats))
    return max(again - empty, 0) / len(one.calls) / 1e3


def _again_ns(function: Callable[..., Any], calls: list[Call]) -> int:
    begin = thread_time_ns()
    for given in calls:
        function(*given)
    return thread_time_ns() - begin


def _empty_ns(calls: list[Call]) -> int:
    begin = thread_time_ns()
    for _ in calls:
        pass
    return thread_time_ns() - begin
