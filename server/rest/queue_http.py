"""The plain HTTP interface of the queue in a server: which requests are its own, and its start at the first of them.

A server that nobody calls so pays nothing: librdkafka is imported, and the internal topics are made, read and followed
when the first call comes. A start that fails is tried again with the next call; and where the cluster turns out to have
been emptied, all that was known of it is forgotten, and the next call starts anew.
"""

import asyncio
import importlib
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from server.exposition import family, labels
from server.http_calls import BadCall, Call, failure, read_call, refused
from server.http_paths import PATHS
from server.http_view import View
from server.rest.cluster import Away, Cluster, Emptied
from server.rest.control_http import Control, ControlHttp, NoControl
from server.rest.flights import heard
from server.rest.queue_calls import QueueCalls
from server.rest.view_follower import ViewFollower
from wire.exchange import Request, Response
from wire.http_queue import TOPICS

OPEN_S: Final = 15.0
"""How long the first calls wait for the internal topics; in a new cluster servers may be still to come."""
PAUSE_S: Final = 0.1
MAX_CALLS: Final = 5000
"""Calls under way: their memory is bounded, and more than these are not answered sooner."""


class QueueHttp:
    """`make_cluster` is awaited at the first call. All of it belongs to one event loop."""

    def __init__(self, make_cluster: Callable[[], Awaitable[Cluster]], control: Control) -> None:
        self._make_cluster = make_cluster
        self._control = control
        self._cluster: Cluster | None = None
        self._calls: QueueCalls | None = None
        self._opening: asyncio.Task[QueueCalls] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._under_way = 0
        self.counts: Counter[tuple[str, int]] = Counter()
        """Answers by path and status."""

    def answer(self, request: Request) -> Response | Awaitable[Response] | None:
        """None: the path isn't one of this interface's."""
        path = request.path
        if path not in PATHS:
            return None
        try:
            call = read_call(request.method, path, request.query, request.body)
        except BadCall as error:
            return self._counted(path, refused(path, error))
        return self._answer(path, call)

    async def _answer(self, path: str, call: Call) -> Response:
        if self._under_way >= MAX_CALLS:
            return self._counted(path, failure(503, f"{MAX_CALLS} calls are under way"))
        self._under_way += 1  # here, for a task that is cancelled before its first step never comes to `finally`
        calls: QueueCalls | None = None
        try:
            calls = self._calls or await self._opened()
            return self._counted(path, await calls.answer(call))
        except BadCall as error:
            if isinstance(error, Emptied) and calls is self._calls:
                self._forget()
            return self._counted(path, failure(error.status, error.message))
        finally:
            self._under_way -= 1

    def _forget(self) -> None:
        """Other calls may be under way with what is forgotten."""
        ending = asyncio.create_task(_end(self._calls, self._cluster))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        self._calls = self._cluster = None

    def _counted(self, path: str, response: Response) -> Response:
        self.counts[path, response.status] += 1
        return response

    async def _opened(self) -> QueueCalls:
        """Who comes while one start is under way waits for its end, good or bad: not for another OPEN_S behind it."""
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(heard)
        return await asyncio.shield(self._opening)

    async def _open(self) -> QueueCalls:
        cluster = self._cluster = self._cluster or await self._make_cluster()
        await _make_topics(cluster)
        follower = ViewFollower(View(uuid.uuid4().hex), cluster)
        follower.start()
        self._calls = QueueCalls(cluster, follower, self._control, lambda: uuid.uuid4().hex)
        return self._calls

    def metrics_text(self) -> str:
        counts = sorted(self.counts.items())
        samples = [(labels({"path": path, "code": code}), count) for (path, code), count in counts]
        return family("carousel_http_queue_calls_total", "counter", "Calls of the queue's HTTP interface.", samples)

    async def close(self) -> None:
        """Behind the last call."""
        if self._opening is not None:
            self._opening.cancel()
        await asyncio.gather(_end(self._calls, self._cluster), *self._ending)


async def _end(calls: QueueCalls | None, cluster: Cluster | None) -> None:
    if calls is not None:
        await calls.close()
    if cluster is not None:
        await cluster.close()


async def _make_topics(cluster: Cluster) -> None:
    """Return when every internal topic is there and led; those that lack are made. Raises Away."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + OPEN_S
    while True:
        try:
            if await _are_there(cluster):
                return
            why = Away("its internal topics have no leaders")
        except Away as error:  # a server may be still to come
            why = error
        if loop.time() > deadline:
            raise why
        await asyncio.sleep(PAUSE_S)


async def _are_there(cluster: Cluster) -> bool:
    leaders = (await cluster.metadata()).leaders
    missing = [topic for topic in TOPICS if topic not in leaders]
    if missing:
        await cluster.create(missing)
        return False
    return all(leaders[topic] and None not in leaders[topic] for topic in TOPICS)


def control_at(address: str | None) -> Control:
    return ControlHttp(address) if address else NoControl()


async def kafka_cluster(bootstrap: str) -> Cluster:
    """Imported in a thread: it takes a tenth of a second, in which this server's loop has others to serve."""
    module = await asyncio.to_thread(importlib.import_module, "server.rest.kafka_cluster")
    return module.KafkaCluster(bootstrap)
