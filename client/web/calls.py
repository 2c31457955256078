"""Each call of the plain HTTP interface as a method, over connections that are kept.

Nothing is retried here: a call that broke off may have been carried out, and only the caller knows what a second one
would do. Errors tell the two apart that matter: `Refused` (the answer was no, and its message is the server's own) and
`Unreachable` or `TimedOut` (there was no answer, or none of the queue's).
"""

import json
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import urlsplit

import urllib3

from client.errors import CarouselError, ConfigError, Refused, TimedOut, Unreachable
from wire.http_queue import FAILURE, SUCCESS

PORT: Final = 5000
TIMEOUT_S: Final = 30.0
"""For one call. The front door gives up on a replica sooner, and says so."""

OK: Final = 200
BAD: Final = 400
TRANSIENT_STATUS: Final = frozenset((429, 500, 502, 503, 504))
NOTHING: Final = -1
"""The ack of a consumer that has nothing to acknowledge yet."""


@dataclass(frozen=True, slots=True)
class Consumed:
    """A message as /consumer/consume answers it; `topic` is `T1:P1`. `offset` None: the server doesn't tell it."""

    topic: str
    message: str
    offset: int | None


class QueueCalls:
    """The calls at one address: `HOST`, `HOST:PORT` or a URL; without a port 5000. Threads may share one."""

    def __init__(self, address: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url_of(address)
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(total=timeout_s), retries=False, maxsize=8)

    def topics(self) -> dict[str, dict[str, str]]:
        """The server of each partition, by topic and partition's name."""
        told = self._message("GET", "/topics")
        if not isinstance(told, dict):
            raise Unreachable(f"{self.url}/topics: an answer that isn't the queue's")
        return cast("dict[str, dict[str, str]]", told)

    def add_topic(self, topic: str, part: str) -> str:
        return str(self._message("POST", "/topics/add", body={"topic": topic, "part": part}))

    def register_producer(self, topic: str, part: str | None = None) -> int:
        return int(self._message("POST", "/producer/register", body=_of(topic, part)))

    def produce(self, producer_id: int, message: str) -> str:
        body = {"producer_id": producer_id, "message": message}
        return str(self._message("POST", "/producer/produce", body=body))

    def register_consumer(self, topic: str, part: str | None = None) -> int:
        return int(self._message("POST", "/consumer/register", body=_of(topic, part)))

    def consume(self, consumer_id: int, ack: int | None = None) -> Consumed | None:
        """The next message, None if there is none. Without `ack` the cursor moves with the answer; with it (NOTHING,
        then each answer's offset) only with the next call's ack, so a lost answer loses nothing."""
        query = {"consumer_id": str(consumer_id)} | ({} if ack is None else {"ack": str(ack)})
        status, told = self._call("GET", "/consumer/consume", query=query)
        if status == BAD and "topic" in told:  # no message: the only refusal that names the topic
            return None
        message = self._told("/consumer/consume", status, told)
        offset = told.get("offset")
        return Consumed(str(told.get("topic", "")), str(message), offset if isinstance(offset, int) else None)

    def size(self, consumer_id: int) -> int:
        return int(self._message("GET", "/size", query={"consumer_id": str(consumer_id)}))

    def brokers(self) -> list[str]:
        return [str(name) for name in self._message("GET", "/brokers")]

    def add_broker(self, name: str) -> str:
        return str(self._message("GET", "/brokers/add", query={"broker_name": name}))

    def remove_broker(self, name: str) -> str:
        return str(self._message("GET", "/brokers/rm", query={"broker_name": name}))

    def test_broker(self, name: str) -> str:
        return str(self._message("GET", "/brokers/test", query={"broker_name": name}))

    def cluster(self) -> dict[str, Any] | None:
        """GET /admin/cluster; None where there is no such thing, or not for us."""
        status, told = self._call("GET", "/admin/cluster")
        return told if status == OK else None

    def close(self) -> None:
        self._pool.clear()

    def _message(
        self, method: str, path: str, body: dict[str, Any] | None = None, query: dict[str, str] | None = None
    ) -> Any:
        status, told = self._call(method, path, body, query)
        return self._told(path, status, told)

    def _told(self, path: str, status: int, told: dict[str, Any]) -> Any:
        if status == OK and told.get("status") == SUCCESS and "message" in told:
            return told["message"]
        if told.get("status") == FAILURE:
            raise Refused(str(told.get("message", "")))
        raise CarouselError(f"{self.url}{path}: {status}, which isn't the queue's. What to do: check the address")

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, query: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """The status and the JSON of an answer, empty if it has none. Raises Unreachable, TimedOut."""
        where = f"{self.url}{path}"
        try:
            answer = self._pool.request(method, where, json=body, fields=query)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise TimedOut(f"{where}: no answer in time") from error
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(f"{where}: {error}") from error
        told = _json(answer.data)
        if answer.status in TRANSIENT_STATUS:
            raise Unreachable(f"{where}: {answer.status} {told.get('message', '')}".rstrip())
        return answer.status, told


def url_of(address: str) -> str:
    """`http://host:port` of an address as people write it. Raises ConfigError."""
    plain = address.strip().rstrip("/")
    url = plain if "://" in plain else f"http://{plain}"
    try:
        parts = urlsplit(url)
        port = PORT if parts.port is None else parts.port
    except ValueError as error:
        raise ConfigError(f"{address!r} is no address: {error}. What to do: write HOST or HOST:PORT") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query:
        raise ConfigError(f"{address!r} is no address: write HOST or HOST:PORT")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


def _of(topic: str, part: str | None) -> dict[str, str]:
    return {"topic": topic} if part is None else {"topic": topic, "part": part}


def _json(data: bytes) -> dict[str, Any]:
    try:
        told: Any = json.loads(data)
    except ValueError:
        return {}
    return cast("dict[str, Any]", told) if isinstance(told, dict) else {}
