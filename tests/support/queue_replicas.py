"""Replicas' plain HTTP interfaces over one cluster in memory, and the control that makes topics for them."""

import json
from collections.abc import Awaitable
from typing import Any
from urllib.parse import urlencode

from server.rest.memory_cluster import MemoryCluster, Topics
from server.rest.queue_http import QueueHttp
from wire.exchange import Request, Response
from wire.http1 import parse_request
from wire.http_queue import NAMES_TOPIC, encode_name, name_key, partition_names

Answer = tuple[int, dict[str, Any]]


class MemoryControl:
    """Control's side of POST /topics/add; names are written before the answer."""

    def __init__(self, topics: Topics) -> None:
        self.topics = topics
        self.names: dict[str, dict[int, str]] = {}

    async def add_topic(self, topic: str, part: str) -> None:
        names = self.names.setdefault(topic, {})
        count = len(self.topics.logs.get(topic, ()))
        if part in partition_names(count, names):
            return
        names[count] = part
        self.topics.make(topic, count + 1)
        self.topics.make(NAMES_TOPIC, 1)
        self.topics.append(NAMES_TOPIC, 0, name_key(topic, count), encode_name(part))


def request(method: str, path: str, query: str = "", body: bytes = b"") -> Request:
    target = f"{path}?{query}" if query else path
    parsed = parse_request(f"{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert parsed is not None
    return Request(parsed[0], body, "127.0.0.1")


class Replica:
    """One replica of `topics`; calls as a client makes them."""

    def __init__(self, topics: Topics, control: MemoryControl) -> None:
        self.cluster = MemoryCluster(topics)
        self.http = QueueHttp(self._made, control)

    async def _made(self) -> MemoryCluster:
        return self.cluster

    async def ask(self, method: str, path: str, query: str = "", body: bytes = b"") -> Answer:
        answered = self.http.answer(request(method, path, query, body))
        assert answered is not None, "none of its paths"
        response: Response = await answered if isinstance(answered, Awaitable) else answered
        assert response.content_type == "application/json"
        return response.status, json.loads(response.body)

    async def get(self, path: str, **parameters: Any) -> Answer:
        return await self.ask("GET", path, urlencode(parameters))

    async def post(self, path: str, **told: Any) -> Answer:
        return await self.ask("POST", path, body=json.dumps(told).encode())
