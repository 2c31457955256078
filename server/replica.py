"""What a replica answers: `/home`, `/heartbeat`, `/metrics`, and an honest 404 or 405 for the rest. Pure.

Every answer that never changes is made once. Labels of the metrics stay few: any path that we don't know
counts as `other`, or a scanner would grow them without end.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from server.exposition import family, gauge, labels
from wire.exchange import Request, Response, error_response, json_response

HOME_FORMAT: Final = "Hello from Server: {id}"
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus's text exposition format."""


@dataclass(frozen=True, slots=True)
class Gauges:
    """What only the process around the replica knows, at one moment."""

    in_flight: int
    connections: int
    resident_bytes: int
    refused: Mapping[int, int]
    """Answers that the replica never saw, by status: malformed or slow requests."""


def server_id(environ: Mapping[str, str], hostname: str) -> str:
    """`SERVER_ID`, then `ID`, then the host's name; a variable that is set but empty counts as absent."""
    return environ.get("SERVER_ID") or environ.get("ID") or hostname


class Replica:
    """Answers requests and counts them. `started_at` is Unix time, in seconds."""

    def __init__(self, identity: str, home_format: str, started_at: float, gauges: Callable[[], Gauges]) -> None:
        # Not str.format: clients in the field choose formats with braces and brackets of their own.
        message = home_format.replace("{id}", identity)
        self._home = json_response(200, {"message": message, "status": "successful"})
        self._heartbeat = Response(200, content_type="")
        self._started_at = started_at
        self._gauges = gauges
        self._counts: Counter[tuple[str, int]] = Counter()
        self._more: list[Callable[[], str]] = []
        self._others: Callable[[Request], Response | Awaitable[Response] | None] = _nobody
        self._routes: dict[str, Callable[[], Response]] = {
            "/home": lambda: self._home,
            "/heartbeat": lambda: self._heartbeat,
            "/metrics": self._metrics,
        }

    def add_metrics(self, text: Callable[[], str]) -> None:
        """Whole families of somebody else's, asked for with every reading."""
        self._more.append(text)

    def add_paths(self, answer: Callable[[Request], Response | Awaitable[Response] | None]) -> None:
        """Somebody else's, who counts them: asked about every path that isn't one of these; None: unknown there too."""
        self._others = answer

    def answer(self, request: Request) -> Response | Awaitable[Response]:
        """The answer to `request`, counted. The handler of a `wire.aio.service.Service`."""
        route = self._routes.get(request.path)
        if route is None:
            answered = self._others(request)
            if answered is not None:
                return answered
            self._counts["other", 404] += 1
            return error_response(404, f"'{request.path}' endpoint does not exist in server replicas")
        if request.method not in ("GET", "HEAD"):
            self._counts[request.path, 405] += 1
            return _METHOD_NOT_ALLOWED
        self._counts[request.path, 200] += 1
        return route()

    def _metrics(self) -> Response:
        return Response(200, self.metrics_text().encode(), METRICS_TYPE)

    def metrics_text(self) -> str:
        """All counters in Prometheus's text format."""
        gauges = self._gauges()
        counts = sorted(self._counts.items())
        requests = [(labels({"path": path, "code": code}), count) for (path, code), count in counts]
        refused = [(labels({"code": code}), count) for code, count in sorted(gauges.refused.items())]
        return "".join(
            (
                family("carousel_replica_requests_total", "counter", "Requests answered.", requests),
                family("carousel_replica_refused_total", "counter", "Requests refused unread.", refused),
                gauge("carousel_replica_in_flight", "Requests being answered.", gauges.in_flight),
                gauge("carousel_replica_connections", "Open connections.", gauges.connections),
                gauge("process_start_time_seconds", "Start, Unix time.", round(self._started_at, 3)),
                gauge("process_resident_memory_bytes", "Resident memory.", gauges.resident_bytes),
                *(text() for text in self._more),
            )
        )


def _nobody(request: Request) -> None:
    return None


_METHOD_NOT_ALLOWED: Final = error_response(405, "only GET and HEAD are answered here", (("Allow", "GET, HEAD"),))
