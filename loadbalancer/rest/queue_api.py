"""The queue's HTTP interface, as far as control answers it: POST /topics/add and the servers (/brokers…).

As in the admin API no thread waits: a call is submitted, and the data path fetches its answer from the controller's
loop. Here GETs change things, so a HEAD is refused (it must not), and the guard looks at them: adding, removing and
testing a server is the operator's, like /add and /rm. /topics/add is any client's, by whatever name it knows us, as
making a topic by the Kafka protocol is, or by registering at a replica; only a foreign web page may not.
"""

from collections.abc import Callable
from typing import Final

from flask import Flask, Response, request

from loadbalancer.guard import FOREIGN_PAGE, Caller, Guard, Refusal, is_foreign_page, refusal
from loadbalancer.logs import get_logger
from loadbalancer.queue_calls import QueueCall, parse_add_partition, parse_broker, success
from loadbalancer.rest.errors import answer, failure
from loadbalancer.rest.port import ControlPort

TOPICS_ADD: Final = "topics_add"
BROKER: Final = "broker"
"""The endpoints that change something."""

log = get_logger("control")


def add_queue_routes(app: Flask, port: ControlPort, body: Callable[[], bytes], redirect: Callable[[str], Response],
                     request_id: Callable[[], str]) -> None:  # fmt: skip
    """`body` reads a request's, `redirect` leads the data path to where the answer will be."""

    def submit(call: QueueCall) -> Response:
        ticket = port.submit_queue(call, request_id())
        log.info("call submitted", call=type(call).__name__, path=request.path)
        return redirect(f"/wait/{ticket}")

    def topics_add() -> Response:
        return submit(parse_add_partition(body(), request.headers.get("Content-Type", "")))

    def broker(action: str) -> Response:
        if request.method != "GET":
            response = failure(405, "method not allowed")
            response.headers["Allow"] = "GET"
            return response
        return submit(parse_broker(action, request.args.getlist("broker_name")))

    app.add_url_rule("/topics/add", TOPICS_ADD, topics_add, methods=["POST"])
    app.add_url_rule("/brokers", "brokers", lambda: answer(success(port.replicas()["replicas"])))
    app.add_url_rule("/brokers/<any(add, rm, test):action>", BROKER, broker)


def queue_refusal(guard: Guard, caller: Caller, endpoint: str) -> Refusal | None:
    """Why this caller may not make the call of this endpoint (TOPICS_ADD, BROKER); None: it may."""
    if endpoint == BROKER:
        return refusal(guard, caller)
    return FOREIGN_PAGE if is_foreign_page(caller) else None
