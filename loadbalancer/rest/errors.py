"""Answers, good and bad: every one is JSON, whoever noticed the fault. HTML is for people who came by
browser.

`{"message": …, "status": "successful" | "failure"}` is the shape that the field's clients look for.
"""

import json
from typing import Any

from flask import Flask, Response
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from loadbalancer.commands import BadCommand
from loadbalancer.logs import get_logger
from loadbalancer.requests import MAX_BODY_BYTES
from loadbalancer.rest.port import Busy

RETRY_AFTER_S = 1
"""Control is back within this time of nearly all it recovers from (a restart takes less than a second)."""
KEPT_HEADERS = ("Allow",)
"""Of an answer that Werkzeug made: the header that RFC 9110 demands of a 405."""

log = get_logger("control")


def answer(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")


def failure(status: int, text: str) -> Response:
    """The spec's shape of a fault; `text` is for the caller."""
    return answer({"message": f"<Error> {text}", "status": "failure"}, status)


def unavailable(text: str) -> Response:
    """503, and when to come again."""
    response = failure(503, text)
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def install(app: Flask) -> None:
    """Make `app` answer all of its errors so. Nothing of an unforeseen one is told but that it happened."""
    app.register_error_handler(BadCommand, _bad_command)
    app.register_error_handler(Busy, _busy)
    app.register_error_handler(RequestEntityTooLarge, _too_large)
    app.register_error_handler(HTTPException, _http_fault)
    app.register_error_handler(Exception, _unforeseen)


def _bad_command(error: BadCommand) -> Response:
    return answer({"message": error.message, "status": "failure"}, 400)


def _busy(error: Busy) -> Response:
    return unavailable(str(error))


def _too_large(error: RequestEntityTooLarge) -> Response:
    return failure(413, f"the body is larger than {MAX_BODY_BYTES} bytes")


def _http_fault(error: HTTPException) -> Response:
    response = failure(error.code or 500, (error.name or "error").lower())
    for name, value in error.get_headers():
        if name in KEPT_HEADERS:
            response.headers[name] = value
    return response


def _unforeseen(error: Exception) -> Response:
    log.error("request failed", exc_info=error)
    return failure(500, "control failed at this; its log says why")
