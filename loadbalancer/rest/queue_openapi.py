"""The queue's HTTP interface in the OpenAPI document: the calls that control answers, and those that replicas do.

Its shapes are the field's: `status` is `success` or `failure`, a fault is its bare reason, and all of the caller's
faults are 400. Who passes the call on may fail too (503 and the like), and then says so as everywhere else.
"""

from collections.abc import Mapping
from typing import Any, Final

from loadbalancer import names
from wire import http_queue
from wire.topic_names import MAX_LENGTH

Json = dict[str, Any]

FAULT: Final = "QueueFault"
OWN_FAILURES: Final[Mapping[int, str]] = {
    413: "The body is too large",
    500: "Whoever answers failed at this",
    502: "Whoever was to answer ended before: it may have been done",
    503: "It can't be answered now; come again",
    504: "There was no answer in time: it may have been done",
}
OPERATORS: Final[Mapping[int, str]] = {401: "The admin token is missing or wrong", 403: "This caller may not do this"}
"""Beside these, of calls that are the operator's."""
PAGES: Final[Mapping[int, str]] = {403: "A web page of another origin may not do this"}
_STRING: Final[Json] = {"type": "string"}
_STRING_OR_NULL: Final[Json] = {"type": ["string", "null"]}
_COUNT: Final[Json] = {"type": "integer", "minimum": 0}
_ID: Final[Json] = {"anyOf": [{**_COUNT, "maximum": 10**15}, {"type": "string", "pattern": "^[0-9]{1,15}$"}]}


def queue_paths() -> Json:
    return {**_control_paths(), **_replica_paths()}


def _control_paths() -> Json:
    broker = {"add": "Add a server", "rm": "Remove a server, or all: its shards move first", "test": "Test a server"}
    return {
        "/topics/add": {"post": _call("topicsAdd", "Make a topic with this partition, or add it", "Text", body="Part")},
        "/brokers": {"get": _call("brokers", "The servers' names", "Names")},
        **{
            f"/brokers/{action}": {
                "get": _call(action + "Broker", text, "Text", ("broker_name",), operators=True),
            }
            for action, text in broker.items()
        },
    }


def _replica_paths() -> Json:
    return {
        "/topics": {"get": _call("topics", "Every topic's partitions, and who leads them", "Topics")},
        "/producer/register": {"post": _call("registerProducer", "A new producer's id", "Number", body="Register")},
        "/producer/produce": {"post": _call("produce", "Append a message", "Text", body="Produce")},
        "/consumer/register": {"post": _call("registerConsumer", "A new consumer's id", "Number", body="Register")},
        "/consumer/consume": {
            "get": _call("consume", "The consumer's next message", "Message", ("consumer_id", "ack?"))
        },
        "/size": {"get": _call("size", "How many messages it has yet to read", "Size", ("consumer_id",))},
    }


def _call(
    operation_id: str, summary: str, ok: str, query: tuple[str, ...] = (), body: str = "", operators: bool = False
) -> Json:
    failures = {**OWN_FAILURES, **(OPERATORS if operators else PAGES)}
    operation: Json = {
        "operationId": operation_id,
        "summary": summary,
        "responses": {
            "200": _answer("Done", f"Queue{ok}"),
            "400": _answer("The caller's fault; the message says how", FAULT),
            **{str(code): _answer(failures[code], FAULT) for code in sorted(failures)},
        },
    }
    if query:
        operation["parameters"] = [_parameter(name) for name in query]
    if body:
        operation["requestBody"] = {"required": True, "content": _json(f"Queue{body}")}
    if operators:
        operation["security"] = [{}, {"token": []}]
    return operation


def _parameter(name: str) -> Json:
    """`name?` may be missing. An ack of -1 says that nothing has come yet."""
    schemas: Json = {
        "ack": {"type": "integer", "minimum": -1, "maximum": 10**15},
        "broker_name": {**_STRING, "pattern": f"^(?:{names.NAME.pattern})$"},
    }
    plain = name.removesuffix("?")
    found = schemas.get(plain, {**_COUNT, "maximum": 10**15})
    return {"name": plain, "in": "query", "required": name == plain, "schema": found}


def _answer(description: str, schema: str) -> Json:
    return {"description": description, "headers": {"X-Request-Id": {"schema": _STRING}}, "content": _json(schema)}


def _json(schema: str) -> Json:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _object(properties: Json, *optional: str) -> Json:
    return {
        "type": "object",
        "required": [name for name in properties if name not in optional],
        "properties": properties,
    }


def _success(message: Json, **more: Json) -> Json:
    return _object({"message": message, "status": {"const": http_queue.SUCCESS}, **more})


def queue_schemas() -> Json:
    topic: Json = {"type": "string", "pattern": f"^[a-zA-Z0-9._-]{{1,{MAX_LENGTH}}}$"}
    part: Json = {"type": "string", "pattern": f"^[!-)+,./0-9;-?A-wy-{{}}~]{{1,{http_queue.MAX_NAME}}}$"}
    parts: Json = {"type": "object", "additionalProperties": _STRING_OR_NULL}  # while one has no leader
    return {
        FAULT: _object({"message": _STRING, "topic": _STRING, "status": {"const": http_queue.FAILURE}}, "topic"),
        "QueueText": _success(_STRING),
        "QueueNumber": _success(_COUNT),
        "QueueNames": _success({"type": "array", "items": _STRING}),
        "QueueTopics": _success({"type": "object", "additionalProperties": parts}),
        "QueueSize": _success(_COUNT, note=_STRING),
        "QueueMessage": _success(_STRING_OR_NULL, topic=_STRING, offset=_COUNT),
        "QueuePart": _object({"topic": topic, "part": part}),
        "QueueRegister": _object({"topic": topic, "part": part}, "part"),
        "QueueProduce": _object({"producer_id": _ID, "message": _STRING}),
    }
