"""The admin API: reads answered from the published view, changes checked, submitted, and waited for
elsewhere.

No thread is held by what takes long. `POST /add` answers `X-Accel-Redirect: /wait/<ticket>` as soon as
the command is queued, an event stream `/stream?since=N`; the data path then fetches that from the
controller's loop for the client. So twenty waiting /add and all event streams leave every thread here
free for /rep.

Two rules hold for each route without its doing: whatever is neither GET nor HEAD changes something and
passes the guard first (the queue's calls, whose GETs change things, by rules of their own: queue_api.py), and
until control has adopted the fleet everything is 503.
"""

import re
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from flask import Flask, Response, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from loadbalancer import metrics, names
from loadbalancer.event_log import KEPT_EVENTS
from loadbalancer.guard import Caller, Guard, refusal
from loadbalancer.logs import get_logger
from loadbalancer.requests import (
    MAX_BODY_BYTES,
    Command,
    Drain,
    Undrain,
    parse_add,
    parse_recover,
    parse_remove,
    parse_since,
    parse_weight,
)
from loadbalancer.rest import errors, openapi
from loadbalancer.rest.errors import answer, failure, unavailable
from loadbalancer.rest.port import MAX_STREAMS, ControlPort
from loadbalancer.rest.queue_api import BROKER, TOPICS_ADD, add_queue_routes, queue_refusal
from loadbalancer.spawn.container_self import gateway

READING = ("GET", "HEAD")
EVENT_STREAM = "text/event-stream"
REDIRECT = "X-Accel-Redirect"
_REQUEST_ID = re.compile(r"[!-~]{1,128}")

log = get_logger("control")


@dataclass(frozen=True, slots=True)
class Options:
    """`backends`: replicas are static backends, whose names are HOST:PORT. `queue`: its HTTP interface is there."""

    guard: Guard = field(default_factory=Guard)
    backends: bool = False
    queue: bool = False


def options_from(kept: Mapping[str, Any]) -> Options:
    """The options in the settings' JSON; this machine's name is a Host of ours, too. Raises KeyError."""
    hosts = frozenset((socket.gethostname(), *kept["allowed_hosts"]))
    outside = gateway() if kept["runtime"] == "docker" else None
    local = frozenset({outside} if outside else ())
    guard = Guard(hosts, kept["admin_token"], local)
    return Options(guard, backends=kept["runtime"] == "static", queue=kept.get("queue_http", False))


def create_app(port: ControlPort, options: Options) -> Flask:
    """The WSGI application; one for each control."""
    app = Flask("carousel", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES + 1  # one more, so that _body sees that there is more
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False  # its answer is no JSON
    app.url_map.merge_slashes = False  # a redirect would be a page, and `//rep` is no path of ours
    errors.install(app)
    app.before_request(_identify)
    app.before_request(lambda: None if port.ready() else unavailable("control is starting"))
    app.before_request(lambda: _check_caller(options.guard))
    app.after_request(_finish)
    _add_reads(app, port, options)
    _add_changes(app, port, options)
    if options.queue:
        add_queue_routes(app, port, _body, _redirect, _request_id)
    return app


def _add_reads(app: Flask, port: ControlPort, options: Options) -> None:
    document = openapi.document(backends=options.backends, queue=options.queue)
    app.add_url_rule("/rep", "rep", lambda: answer({"message": port.replicas(), "status": "successful"}))
    app.add_url_rule("/admin/cluster", "cluster", lambda: answer(port.cluster()))
    app.add_url_rule("/admin/events", "events", lambda: _events(port))
    app.add_url_rule("/admin/openapi.json", "openapi", lambda: answer(document))
    app.add_url_rule("/admin/<any(live, ready):word>", "word", _word)
    app.add_url_rule("/metrics", "metrics", lambda: Response(port.metrics(), content_type=metrics.CONTENT_TYPE))


def _add_changes(app: Flask, port: ControlPort, options: Options) -> None:
    backends = options.backends

    def add() -> Response:
        return _submit(port, parse_add(_body(), _content_type(), backends=backends))

    def remove() -> Response:
        return _submit(port, parse_remove(_body(), _content_type(), backends=backends))

    def change_replica(name: str, action: str) -> Response:
        if names.fault_of(name, backend=backends):
            return failure(404, f"no replica is called {names.shown(name)}")
        return _submit(port, _replica_command(name, action))

    def recover() -> Response:
        return _submit(port, parse_recover(_body(), _content_type()))

    app.add_url_rule("/admin/recover", "recover", recover, methods=["POST"])
    app.add_url_rule("/add", "add", add, methods=["POST"])
    app.add_url_rule("/rm", "rm", remove, methods=["DELETE", "POST"])
    app.add_url_rule(
        "/admin/replicas/<name>/<any(drain, undrain, weight):action>",
        "replica",
        change_replica,
        methods=["POST"],
    )


def _word(word: str) -> Response:
    """For a caller on control's own socket; to everybody else the data path answers these itself."""
    return answer({"message": word, "status": "successful"})


def _events(port: ControlPort) -> Response:
    since = parse_since(request.args.get("since", "0"))
    if request.accept_mimetypes.best_match(["application/json", EVENT_STREAM]) != EVENT_STREAM:
        return answer(port.events(since, KEPT_EVENTS))
    if request.method == "HEAD":
        return Response(content_type=EVENT_STREAM)
    if port.open_streams() >= MAX_STREAMS:
        return unavailable(f"{MAX_STREAMS} event streams are open")
    return _redirect(f"/stream?since={max(since, _last_event_id())}")


def _last_event_id() -> int:
    """Where a browser's EventSource broke off: it reconnects with the same address and this header."""
    text = request.headers.get("Last-Event-ID", "")
    return parse_since(text) if text else 0


def _replica_command(name: str, action: str) -> Command:
    if action == "weight":
        return parse_weight(name, _body(), _content_type())
    return Drain(name) if action == "drain" else Undrain(name)


def _submit(port: ControlPort, command: Command) -> Response:
    ticket = port.submit(command, _request_id())
    log.info("change submitted", change=type(command).__name__, path=request.path)
    return _redirect(f"/wait/{ticket}")


def _redirect(target: str) -> Response:
    """For the data path, which fetches `target` from the loop in this answer's place."""
    response = answer({})
    response.set_data(b"")
    response.headers[REDIRECT] = target
    return response


def _body() -> bytes:
    """The whole body, or an error: Werkzeug passes on what came when a body ends early or a chunked one is too long,
    and `n=1` may be the beginning of `n=10`.
    """
    body = request.get_data()
    if len(body) > MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    if request.content_length not in (None, len(body)):
        raise ClientDisconnected
    return body


def _content_type() -> str:
    return request.headers.get("Content-Type", "")


def _identify() -> None:
    """Take the data path's X-Request-Id (a caller on the Unix socket has none); all log lines carry it."""
    given = request.headers.get("X-Request-Id", "")
    request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id)


def _request_id() -> str:
    return str(structlog.contextvars.get_contextvars()["request_id"])


def _check_caller(guard: Guard) -> Response | None:
    if request.routing_exception is not None:
        return None
    if request.endpoint in (TOPICS_ADD, BROKER):
        refused = queue_refusal(guard, _caller(), request.endpoint)
    else:
        refused = None if request.method in READING else refusal(guard, _caller())
    if refused is None:
        return None
    log.warning("change refused", path=request.path, reason=refused.message)
    response = failure(refused.status, refused.message)
    if refused.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="carousel"'
    return response


def _caller() -> Caller:
    headers = request.headers
    return Caller(
        host=headers.get("Host"),
        origin=headers.get("Origin"),
        fetch_site=headers.get("Sec-Fetch-Site"),
        authorization=headers.get("Authorization"),
        client=headers.get("X-Real-IP"),
        peer=headers.get("X-Peer-IP"),
    )


def _finish(response: Response) -> Response:
    response.headers["X-Request-Id"] = _request_id()
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response
