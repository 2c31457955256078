"""Every endpoint, called as a client would: a table of calls with the status that the interface promises."""

import http.client
import json
from dataclasses import asdict, dataclass
from typing import Any

from analysis.running import Running

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
DOOR, REPLICA = "front door", "replica"
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Call:
    """A request and its promised status; `body` is text, `accept` an Accept header."""

    method: str
    path: str
    status: int
    body: str = ""
    content_type: str = JSON
    accept: str = ""
    at: str = DOOR


CALLS = (
    Call("GET", "/home", 200, at=REPLICA),
    Call("GET", "/heartbeat", 200, at=REPLICA),
    Call("GET", "/other", 404, at=REPLICA),
    Call("GET", "/rep", 200),
    Call("GET", "/home", 200),
    Call("GET", "/other", 400),
    Call("POST", "/add", 200, '{"n": 2, "hostnames": ["S5"]}'),
    Call("POST", "/add", 400, '{"n": 1, "hostnames": ["S6", "S7"]}'),
    Call("POST", "/add", 400, '{"n": 0}'),
    Call("POST", "/add", 400, '{"n": 1, "hostnames": ["S5"]}'),
    Call("POST", "/add", 200, "server_id=S9", FORM),
    Call("POST", "/admin/replicas/S5/weight", 200, '{"weight": 2}'),
    Call("POST", "/admin/replicas/S5/drain", 200),
    Call("POST", "/admin/replicas/S5/undrain", 200),
    Call("POST", "/admin/replicas/nobody/drain", 404),
    Call("DELETE", "/rm", 200, '{"n": 2, "hostnames": ["S5"]}'),
    Call("DELETE", "/rm", 400, '{"n": 1, "hostnames": ["S6", "S7"]}'),
    Call("POST", "/rm", 200, '{"n": 1}'),
    Call("GET", "/admin/cluster", 200),
    Call("GET", "/admin/events?since=0", 200),
    Call("GET", "/admin/events?since=0", 200, accept="text/event-stream"),
    Call("GET", "/admin/live", 200),
    Call("GET", "/admin/ready", 200),
    Call("GET", "/admin/openapi.json", 200),
    Call("GET", "/metrics", 200),
)

WITHOUT_REPLICAS = (Call("GET", "/home", 503), Call("GET", "/admin/ready", 503))
"""Asked when every replica was removed, which is allowed."""


def exercise(system: Running) -> list[dict[str, Any]]:
    """Every call in order, what came back and whether it is what was promised; ends with no replica left."""
    replica = system.cluster()["replicas"][0]["address"]
    rows = [_row(call, system, replica) for call in CALLS]
    system.call("DELETE", "/rm", {"n": len(system.names())})
    return rows + [_row(call, system, replica) for call in WITHOUT_REPLICAS]


def _row(call: Call, system: Running, replica: str) -> dict[str, Any]:
    status, shown = _ask(call, replica if call.at == REPLICA else f"127.0.0.1:{system.port}")
    return {**asdict(call), "promised": call.status, "status": status, "answer": shown, "kept": status == call.status}


def _ask(call: Call, address: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT_S)
    try:
        headers = {"Content-Type": call.content_type} if call.body else {}
        connection.request(
            call.method, call.path, call.body or None, headers | ({"Accept": call.accept} if call.accept else {})
        )
        response = connection.getresponse()
        content_type = response.headers.get_content_type()
        if content_type == "text/event-stream":
            return response.status, _first_event(response)
        return response.status, shown(content_type, response.read())
    finally:
        connection.close()


def _first_event(response: http.client.HTTPResponse) -> str:
    """The field names of a stream's first event; the stream itself has no end."""
    fields: list[str] = []
    for line in response:
        name = line.decode().strip().partition(":")[0]  # "" for a comment, and for the end of an event
        if fields and not name:
            break
        fields += [name] if name else []
    return "a stream of events with " + ", ".join(fields)


def shown(content_type: str, body: bytes) -> str:
    """An answer's body as the report shows it: JSON by its shape, other text by its kind."""
    if not body:
        return "empty"
    if content_type != "application/json":
        return f"{content_type} text"
    value: Any = json.loads(body)
    told = body.startswith(b"{") and isinstance(value.get("message"), str)
    return json.dumps(value, ensure_ascii=False) if told else shape(value)


def shape(value: Any, depth: int = 2) -> str:
    """Names and types of a JSON value, `depth` levels deep; of a list its first item."""
    kind = type(value).__name__
    if kind == "dict":
        inside = ", ".join(f'"{name}": {shape(item, depth - 1)}' for name, item in value.items())
        return "{" + (inside if depth else "…") + "}"
    if kind == "list":
        return "[" + "".join(shape(item, depth) + ", …" for item in value[:1]) + "]"
    return {"str": "text", "float": "number", "NoneType": "null"}.get(kind, kind)
