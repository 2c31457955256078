"""A second implementation of the controller, as Flask sees it, and the little of the data path that its answers need.

FakePort keeps the spec's rules for the fleet (names in use, the most replicas, how many may go) in a list and carries
each command out at once. FakeDoor is WSGI middleware that does what the data path does for control: it vouches for the
client's address, follows X-Accel-Redirect, and answers /admin/live and /admin/ready itself.
"""

import json
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from loadbalancer import metrics, names, queue_calls
from loadbalancer.queue_calls import AddBroker, AddPartition, CheckBroker, QueueCall
from loadbalancer.requests import Add, Command, Drain, Recover, Remove, SetWeight, Undrain
from loadbalancer.rest.port import Busy
from wire import http_queue

Answer = tuple[int, dict[str, Any]]
StartResponse = Callable[..., Any]
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 503: "Service Unavailable"}


@dataclass
class Replica:
    name: str
    node_id: int
    state: str = "healthy"
    weight: int = 1


@dataclass
class FakePort:
    """A ControlPort whose every command is done when `submit` returns; its attributes may be set by tests."""

    is_ready: bool = True
    is_busy: bool = False
    streams: int = 0
    max_replicas: int = 64
    fleet: list[Replica] = field(default_factory=lambda: [Replica(f"server{i}", i) for i in (1, 2, 3)])
    submitted: list[tuple[Command, str]] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    kept_events: list[dict[str, Any]] = field(default_factory=list)
    called: list[QueueCall] = field(default_factory=list)
    topics: dict[str, list[str]] = field(default_factory=dict)
    fault: Exception | None = None  # raised by `replicas`
    _lock: Any = field(default_factory=threading.Lock)
    _next_id: int = 4

    def ready(self) -> bool:
        return self.is_ready

    def replicas(self) -> dict[str, Any]:
        if self.fault is not None:
            raise self.fault
        return {"N": len(self.fleet), "replicas": [replica.name for replica in self.fleet]}

    def cluster(self) -> dict[str, Any]:
        return {
            "target": len(self.fleet),
            "replicas": [self._shown(replica) for replica in self.fleet],
            "ring": {"hash": "mmh3", "slots": 65536, "virtual_nodes": 4096 * len(self.fleet)},
            "version": 1,
        }

    def events(self, since: int, limit: int) -> list[dict[str, Any]]:
        return [event for event in self.kept_events if event["id"] > since][:limit]

    def submit(self, command: Command, request_id: str) -> str:
        if self.is_busy:
            raise Busy("256 changes are under way")
        with self._lock:
            self.submitted.append((command, request_id))
            ticket = f"ticket-{len(self.submitted)}"
            self.answers[ticket] = self._carry_out(command)
        return ticket

    def submit_queue(self, call: QueueCall, request_id: str) -> str:
        if self.is_busy:
            raise Busy("256 changes are under way")
        with self._lock:
            self.called.append(call)
            ticket = f"call-{len(self.called)}"
            self.answers[ticket] = self._answer_call(call)
        return ticket

    def open_streams(self) -> int:
        return self.streams

    def metrics(self) -> bytes:
        return metrics.render(metrics.Reading(replicas={"healthy": len(self.fleet)}))

    def _shown(self, replica: Replica) -> dict[str, Any]:
        place = {"name": replica.name, "node_id": replica.node_id, "index": replica.node_id}
        return {
            **place,
            "state": replica.state,
            "address": "127.0.0.1:1",
            "pid": 1,
            "since": 0.5,
            "weight": replica.weight,
        }

    def _carry_out(self, command: Command) -> Answer:
        match command:
            case Add():
                return self._add(command)
            case Remove():
                return self._remove(command)
            case Recover():
                return _failed("the queue's state is not lost")
            case Drain() | Undrain() | SetWeight():
                return self._set(command)

    def _answer_call(self, call: QueueCall) -> Answer:
        if isinstance(call, AddPartition):
            parts = self.topics.setdefault(call.topic, [])
            if call.part in parts:
                return 400, dict(queue_calls.failure(http_queue.topic_exists(call.topic, call.part)))
            parts.append(call.part)
            return 200, dict(queue_calls.success(http_queue.topic_created(call.topic, call.part)))
        there = [replica.name for replica in self.fleet if call.name in (replica.name, queue_calls.ALL)]
        if isinstance(call, CheckBroker):
            return (
                (200, dict(queue_calls.success(http_queue.TESTS_PASSED))) if there else _told(queue_calls.missing(call))
            )
        if isinstance(call, AddBroker):
            status, body = self._add(Add(1, (call.name,)))
        else:
            status, body = self._remove(Remove(max(len(there), 1), tuple(there or (call.name,))))
        return _told(queue_calls.in_queue_words(call, status, body, there=call.name in self.replicas()["replicas"]))

    def _add(self, command: Add) -> Answer:
        if len(self.fleet) + command.n > self.max_replicas:
            return _failed(f"more than {self.max_replicas} replicas")
        in_use = {names.fold(replica.name) for replica in self.fleet}
        if any(names.fold(name) in in_use for name in command.hostnames):
            return _failed("a name is in use")
        generated = [f"made-{self._next_id + i}" for i in range(command.n)]
        for name in [*command.hostnames, *generated][: command.n]:
            self.fleet.append(Replica(name, self._next_id))
            self._next_id += 1
        self._note("healthy", "added by /add")
        return self._now()

    def _remove(self, command: Remove) -> Answer:
        wanted = {names.fold(name) for name in command.hostnames}
        named = [replica for replica in self.fleet if names.fold(replica.name) in wanted]
        if command.n > len(self.fleet) or len(named) < len(wanted):
            return _failed("no such replica, or fewer than that")
        others = [replica for replica in self.fleet if replica not in named]
        leavers = named + others[: command.n - len(named)]
        self.fleet = [replica for replica in self.fleet if replica not in leavers]
        self._note("removed", "removed by /rm")
        return self._now()

    def _set(self, command: Drain | Undrain | SetWeight) -> Answer:
        found = [replica for replica in self.fleet if names.fold(replica.name) == names.fold(command.name)]
        if not found:
            return 404, {"message": f"<Error> no replica is called {names.shown(command.name)}", "status": "failure"}
        if isinstance(command, SetWeight):
            found[0].weight = command.weight
        else:
            found[0].state = "draining" if isinstance(command, Drain) else "healthy"
        return self._now()

    def _note(self, kind: str, reason: str) -> None:
        event = {"id": len(self.kept_events) + 1, "time": time.time(), "kind": kind, "replica": "", "reason": reason}
        self.kept_events.append(event)

    def _now(self) -> Answer:
        return 200, {"message": self.replicas(), "status": "successful"}


def _told(told: queue_calls.Told) -> Answer:
    return told[0], dict(told[1])


def _failed(text: str) -> Answer:
    return 400, {"message": f"<Error> {text}", "status": "failure"}


class FakeDoor:
    """What a client of the front door sees of `app`, whose port is `port`."""

    def __init__(self, app: Any, port: FakePort, client: str = "127.0.0.1") -> None:
        self._app = app
        self._port = port
        self._client = client

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"] in ("/admin/live", "/admin/ready"):
            return _send(start_response, 200, {"message": "live", "status": "successful"})
        environ["HTTP_X_REAL_IP"] = self._client
        seen: dict[str, Any] = {}

        def note(status: str, headers: list[tuple[str, str]], error: Any = None) -> None:
            seen.update(status=status, headers=headers)

        body = list(self._app(environ, note))
        target = dict(seen["headers"]).get("X-Accel-Redirect", "")
        if target.startswith("/wait/"):
            return _send(start_response, *self._port.answers[target.removeprefix("/wait/")])
        if target:
            start_response("200 OK", [("Content-Type", "text/event-stream"), ("X-Request-Id", "r")])
            return [b": carousel events\n\n"]
        start_response(seen["status"], seen["headers"])
        return body


def _send(start_response: StartResponse, status: int, body: dict[str, Any]) -> list[bytes]:
    headers = [("Content-Type", "application/json"), ("X-Request-Id", "r")]
    start_response(f"{status} {REASONS[status]}", headers)
    return [json.dumps(body).encode()]
