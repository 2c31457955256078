"""The calls of the queue's HTTP interface that control answers, as values: their faults, and the words of the answers.

The interface is its field's, so it differs from the admin API: what changes something may be a GET, and a fault is its
bare reason (specs/queue-http-api.md). Adding and removing a server are /add and /rm under other names; `in_queue_words`
says their answers anew. Who may call is guard.py's business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from loadbalancer import names
from loadbalancer.commands import BadCommand
from loadbalancer.requests import string_fields
from wire import http_queue
from wire.topic_names import why_not_a_name

ALL: Final = "all"
"""Of /brokers/rm; so no server is called it by /brokers/add."""
ERROR: Final = "<Error> "


@dataclass(frozen=True, slots=True)
class AddPartition:
    """The topic with this one partition, or one more partition of it."""

    topic: str
    part: str


@dataclass(frozen=True, slots=True)
class AddBroker:
    name: str


@dataclass(frozen=True, slots=True)
class RemoveBroker:
    """`name` ALL: every server."""

    name: str


@dataclass(frozen=True, slots=True)
class CheckBroker:
    name: str


QueueCall = AddPartition | AddBroker | RemoveBroker | CheckBroker


def parse_add_partition(body: bytes, content_type: str) -> AddPartition:
    """The call of a body, JSON or a form. Raises BadCommand."""
    try:
        fields = string_fields(body, content_type, ("topic", "part"))
    except BadCommand as fault:
        raise BadCommand(fault.message.removeprefix(ERROR)) from None
    call = AddPartition(fields["topic"], fields["part"])
    fault = why_not_a_name(call.topic) or http_queue.why_not_a_partition(call.part)
    if fault is None and http_queue.is_hidden(call.topic):
        fault = f"{call.topic} is not for clients"
    if fault is not None:
        raise BadCommand(fault)
    return call


def parse_broker(action: str, values: Sequence[str]) -> AddBroker | RemoveBroker | CheckBroker:
    """The call `action` (add, rm, test) with what the query says as broker_name. Raises BadCommand."""
    if len(values) != 1 or not values[0]:
        raise BadCommand("broker_name is repeated" if len(values) > 1 else "broker_name is missing")
    name = values[0]
    if action == "rm":
        return RemoveBroker(name)
    if action == "test":
        return CheckBroker(name)
    if fault := names.fault_of(name, backend=False):
        raise BadCommand(fault)
    if names.fold(name) == ALL:
        raise BadCommand(f"{names.shown(name)} means every server")
    return AddBroker(name)


def success(message: object) -> Mapping[str, Any]:
    return {"message": message, "status": http_queue.SUCCESS}


def failure(message: str) -> Mapping[str, Any]:
    return {"message": message, "status": http_queue.FAILURE}


Told = tuple[int, Mapping[str, Any]]
"""Status and body."""


def removed(call: RemoveBroker) -> Told:
    return 200, success(http_queue.broker_removed(call.name))


def missing(call: RemoveBroker | CheckBroker) -> Told:
    return 400, failure(http_queue.no_broker(call.name[: names.MAX_SHOWN]))


def existing(call: AddBroker) -> Told:
    return 400, failure(http_queue.broker_exists(call.name))


def in_queue_words(call: AddBroker | RemoveBroker, status: int, body: Mapping[str, Any], *, there: bool) -> Told:
    """What /add or /rm has answered. `there`: whether the server is in the fleet now. What is nobody's fault here (503:
    come again) stays as it is."""
    if status == 200:
        return (200, success(http_queue.broker_added(call.name))) if isinstance(call, AddBroker) else removed(call)
    if status != 400:
        return status, body
    if isinstance(call, AddBroker) and there:
        return existing(call)
    if isinstance(call, RemoveBroker) and not there and call.name != ALL:
        return missing(call)
    return 400, failure(str(body["message"]).removeprefix(ERROR))
