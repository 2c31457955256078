"""The OpenAPI 3.1 document of the admin API, built from tables; served at /admin/openapi.json. With the queue on, its
HTTP interface is in it too (queue_openapi.py).

`tests/conformance/test_openapi.py` holds it and the routes to each other: schemathesis calls what is
documented, and a test compares the sets of paths. The two answers of the data path itself (live, ready)
are in it too. What JSON Schema can't say (no more names than n, names not in use) is in the descriptions,
and is answered by 400.
"""

from typing import Any

from loadbalancer import names
from loadbalancer.requests import FORM, MAX_COUNT, MAX_NODE_ID
from loadbalancer.rest.queue_openapi import queue_paths, queue_schemas
from loadbalancer.ring import MAX_WEIGHT

VERSION = "1.0.0"
"""Of this interface, not of the program: the first number changes when a client could break."""

Json = dict[str, Any]

_STRING: Json = {"type": "string"}
_COUNT: Json = {"type": "integer", "minimum": 0}

FAILURES = {
    400: "The request is at fault; the message says how. Nothing was changed",
    401: "The admin token is missing or wrong",
    403: "This caller may not change things",
    404: "No such replica",
    413: "The body is larger than 64 KiB",
    500: "Control failed at this",
    502: "Control ended before it answered",
    503: "Control can't take this now; come again after Retry-After seconds",
    504: "Control did not answer in time",
}
"""What the codes of faults mean, for all calls."""
READ_FAILURES = (500, 502, 503, 504)
CHANGE_FAILURES = (400, 401, 403, 413, *READ_FAILURES)


def document(*, backends: bool, queue: bool = False) -> Json:
    """The document; `backends`: names are HOST:PORT; `queue`: with the queue's HTTP interface (queue_openapi.py)."""
    pattern = (names.BACKEND if backends else names.NAME).pattern
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Carousel's admin API",
            "version": VERSION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _fleet_paths() | _replica_paths() | _operator_paths() | (queue_paths() if queue else {}),
        "components": {
            "schemas": _schemas(_plain(pattern), backends) | (queue_schemas() if queue else {}),
            "responses": {str(code): _failure(code, text) for code, text in FAILURES.items()},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "With --admin-token only"}
            },
        },
    }


def _plain(pattern: str) -> str:
    """The pattern as ECMA 262 has it: anchored, no named groups."""
    return f"^(?:{pattern.replace('?P<host>', '').replace('?P<port>', '')})$"


def _fleet_paths() -> Json:
    rm = "Remove n replicas: the named ones, and others until it is n"
    return {
        "/rep": {"get": _operation("rep", "The replicas, in order of joining", _ok("Replicas"))},
        "/add": {"post": _change("add", "Add n replicas; hostnames name the first of them", "Add", _ok("Replicas"))},
        "/rm": {
            "delete": _change("rm", rm, "Remove", _ok("Replicas")),
            "post": _change("rmByPost", f"{rm}; for clients whose DELETE has no body", "Remove", _ok("Replicas")),
        },
    }


def _replica_paths() -> Json:
    actions = {
        "drain": "Give the replica no new requests; it keeps running",
        "undrain": "Give it requests again",
        "weight": "Set its share of requests, against the others' weights",
    }
    return {
        f"/admin/replicas/{{name}}/{action}": {
            "parameters": [
                {
                    "name": "name",
                    "in": "path",
                    "required": True,
                    "schema": {"$ref": "#/components/schemas/Name"},
                }
            ],
            "post": _change(action, text, "Weight" if action == "weight" else None, _ok("Done"), 404),
        }
        for action, text in actions.items()
    }


def _operator_paths() -> Json:
    recover = "Go on with the servers' copies of the queue's state, where control has lost its own"
    metrics = _ok_with({"text/plain": {"schema": _STRING}})
    return {
        "/admin/cluster": {"get": _operation("cluster", "The whole state", _ok("Cluster"))},
        "/admin/events": {"get": _events()},
        "/admin/recover": {"post": _change("recover", recover, "Recover", _ok("Done"))},
        "/admin/openapi.json": {"get": _operation("openapi", "This document", _ok_with(_json({"type": "object"})))},
        "/admin/live": {"get": _probe("live", "Whether the data path runs")},
        "/admin/ready": {"get": _probe("ready", "Whether a replica can take requests")},
        "/metrics": {"get": _operation("metrics", "Prometheus text", metrics)},
    }


def _events() -> Json:
    media = _json({"type": "array", "items": {"$ref": "#/components/schemas/Event"}})
    operation = _operation(
        "events",
        "The kept events after `since`; with Accept: text/event-stream a live stream (at most 32)",
        _ok_with(media | {"text/event-stream": {"schema": _STRING}}),
        400,
    )
    since = {"name": "since", "in": "query", "schema": {**_COUNT, "maximum": 10**18 - 1}}
    return operation | {"parameters": [since]}


def _probe(operation_id: str, summary: str) -> Json:
    return {
        "operationId": operation_id,
        "summary": f"{summary}; the data path answers by itself",
        "responses": {"200": _ok("Done")} | _refer([503]),
    }


def _operation(operation_id: str, summary: str, ok: Json, *failures: int) -> Json:
    codes = sorted({*failures, *READ_FAILURES})
    return {"operationId": operation_id, "summary": summary, "responses": {"200": ok} | _refer(codes)}


def _change(operation_id: str, summary: str, body: str | None, ok: Json, *failures: int) -> Json:
    """A changing call. The token is optional here ({}): only the running system knows if it has one."""
    operation = _operation(operation_id, summary, ok, *CHANGE_FAILURES, *failures)
    operation["security"] = [{}, {"token": []}]
    if body is not None:
        operation["requestBody"] = _body(body)
    return operation


def _body(schema: str) -> Json:
    reference = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    form = {"schema": {"$ref": f"#/components/schemas/{schema}Form"}}
    return {"required": True, "content": {"application/json": reference, FORM: form}}


def _ok(schema: str) -> Json:
    return _ok_with(_json({"$ref": f"#/components/schemas/{schema}"}))


def _ok_with(content: Json) -> Json:
    headers = {"X-Request-Id": {"schema": _STRING}}
    return {"description": "Done", "headers": headers, "content": content}


def _failure(code: int, text: str) -> Json:
    response: Json = {"description": text, "content": _json({"$ref": "#/components/schemas/Failure"})}
    if code == 503:
        response["headers"] = {"Retry-After": {"schema": _COUNT}}
    if code == 401:
        response["headers"] = {"WWW-Authenticate": {"schema": _STRING}}
    return response


def _refer(codes: list[int]) -> Json:
    return {str(code): {"$ref": f"#/components/responses/{code}"} for code in codes}


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _record(properties: Json, *, optional: tuple[str, ...] = ()) -> Json:
    """An object with these properties and perhaps, in later versions, more."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties}


def _schemas(name_pattern: str, backends: bool) -> Json:
    return {
        "Name": {"type": "string", "pattern": name_pattern, "maxLength": 260 if backends else 63},
        "Failure": _record({"message": {"type": "string", "pattern": "^<Error> "}, "status": {"const": "failure"}}),
        **_answer_schemas(),
        **_request_schemas(),
    }


def _answer_schemas() -> Json:
    replicas = _record({"N": _COUNT, "replicas": {"type": "array", "items": _STRING}})
    weight: Json = {"type": "integer", "minimum": 1}
    replica = {
        "name": _STRING,
        "node_id": _COUNT,
        "index": {"type": "integer", "minimum": 1},
        "state": _STRING,
        "reason": _STRING,
        "address": {"type": ["string", "null"]},
        "pid": {"type": ["integer", "null"]},
        "container": {"type": ["string", "null"]},
        "since": {"type": "number"},
        "weight": weight,
        "drained": {"type": "boolean"},
    }
    ring = _record({"hash": _STRING, "slots": _COUNT, "virtual_nodes": _COUNT})
    event = {"id": _COUNT, "time": {"type": "number"}, "kind": _STRING, "replica": _STRING, "reason": _STRING}
    return {
        "Replicas": _record({"message": replicas, "status": {"const": "successful"}}),
        "Done": _record({"message": {"type": ["string", "object"]}, "status": {"const": "successful"}}),
        "Replica": _record(replica, optional=("reason", "pid", "container", "drained")),
        "Cluster": _record(
            {
                "target": _COUNT,
                "replicas": {"type": "array", "items": {"$ref": "#/components/schemas/Replica"}},
                "ring": ring,
                "version": _COUNT,
                "generation": _COUNT,
            },
            optional=("generation",),
        ),
        "Event": _record(event),
    }


def _request_schemas() -> Json:
    name = {"$ref": "#/components/schemas/Name"}
    count: Json = {"type": "integer", "minimum": 1, "maximum": MAX_COUNT}
    weight: Json = {"type": "integer", "minimum": 1, "maximum": MAX_WEIGHT}
    hostnames: Json = {"type": "array", "items": name, "uniqueItems": True}
    change = _record(
        {"n": count, "hostnames": {**hostnames, "type": ["array", "null"], "description": "At most n"}},
        optional=("hostnames",),
    )
    form: Json = {
        "type": "object",
        "properties": {"n": count, "hostnames": hostnames, "server_id": name},
        "anyOf": [{"required": ["n"]}, {"required": ["server_id"]}],
        "description": "server_id=S9 is n=1&hostnames=S9",
    }
    weights = _record({"weight": weight})
    node: Json = {"type": "integer", "minimum": 1, "maximum": MAX_NODE_ID}
    absent = _record({"absent": {"type": "array", "items": node}}, optional=("absent",))
    return {
        "Add": change,
        "AddForm": form,
        "Remove": change,
        "RemoveForm": form,
        "Recover": absent,
        "RecoverForm": absent,
        "Weight": weights,
        "WeightForm": weights,
    }
