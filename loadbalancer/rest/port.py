"""What Flask sees of the controller: a published view to read, and a place to leave commands.

The controller's loop is the one writer of the cluster's state, and it lives in another thread. So reads
return values that nobody changes any more, and a command is answered by a ticket: who waits for its
outcome waits at the loop, where waiting holds no thread.
"""

from typing import Any, Protocol

from loadbalancer.queue_calls import QueueCall
from loadbalancer.requests import Command

MAX_STREAMS = 32
"""The spec's number; each costs a connection at the data path and one at the loop."""


class Busy(Exception):
    """Control can't take this now (it starts, its loop is late, too much waits); trying again may help."""


class ControlPort(Protocol):
    """Every method may be called from any thread, returns within seconds, and may raise Busy."""

    def ready(self) -> bool:
        """Whether control holds its lock and has adopted the fleet; until then Flask asks nothing else."""
        ...

    def replicas(self) -> dict[str, Any]:
        """The message of GET /rep: {"N": the target, "replicas": names in the order of their indexes}."""
        ...

    def cluster(self) -> dict[str, Any]:
        """The body of GET /admin/cluster."""
        ...

    def events(self, since: int, limit: int) -> list[dict[str, Any]]:
        """The first `limit` kept events with an id above `since`, oldest first.

        Each is {"id", "time", "kind", "replica", "reason"}; `time` is in seconds since 1970.
        """
        ...

    def submit(self, command: Command, request_id: str) -> str:
        """Queue the command. The ticket (URL-safe) fetches its answer from the loop at /wait/<ticket>."""
        ...

    def submit_queue(self, call: QueueCall, request_id: str) -> str:
        """The same for a call of the queue's HTTP interface."""
        ...

    def open_streams(self) -> int:
        """How many live streams of events there are."""
        ...

    def metrics(self) -> bytes:
        """The body of GET /metrics (metrics.render)."""
        ...
