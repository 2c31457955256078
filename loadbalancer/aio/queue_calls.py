"""The queue's HTTP calls that control answers, carried out beside its loop (specs/queue-http-api.md).

What asks a Kafka cluster blocks, so it happens in two threads of their own: one adds partitions, one after another,
which is what makes their names safe (partition_adding.py); the other tests servers. The loop hands over and takes back,
a ticket is what the caller waits for. Servers of ours ask the same at loop.sock (CONTROL_HTTP), since registering may
have to make a partition.

librdkafka is loaded at the first such call, and its connections end when none has come for a minute.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from loadbalancer import fleet_words as f
from loadbalancer import names
from loadbalancer import queue_calls as c
from loadbalancer.aio.helper import Helper
from loadbalancer.aio.tickets import Tickets
from loadbalancer.commands import BadCommand
from loadbalancer.logs import get_logger
from loadbalancer.partition_adding import AlreadyThere, Refused, Unavailable, add_partition, sweep_names
from loadbalancer.rest.port import Busy
from wire import http_queue
from wire.cluster import Broker
from wire.exchange import Request, Response, error_response, json_response

if TYPE_CHECKING:
    from loadbalancer.kafka.cluster import KafkaCluster

TOPICS_ADD: Final = "/topics/add"
PATIENCE_S: Final = 20.0
"""How long a call may wait for those before it: who asked has most likely given up."""
LOOKS, LOOK_S = 100, 0.05
"""For a newcomer's registration, or the first server's at a start: five seconds in all."""
SWEEP_S: Final = 1.0
"""From a topic's end until its names are taken away, so that all servers know, and of many topics at once."""
COME_AGAIN: Final = (("Retry-After", "1"),)

Work = Callable[[], Awaitable[c.Told]]

log = get_logger("control")


class Fleet(Protocol):
    """What is asked of the controller; see its own words."""

    def replicas(self) -> dict[str, Any]: ...
    def view(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class QueueAddresses:
    """Where the Kafka protocol is, HOST:PORT,…, "" while nobody speaks it; and the same of one node of ours (None: the
    queue is another cluster)."""

    bootstrap: Callable[[], str]
    of_node: Callable[[int], str] | None


def queue_addresses(brokers: Callable[[], Mapping[int, Broker]], listener: str) -> QueueAddresses:
    """Of our own servers, as they are registered now, by one of their listeners."""

    def address(broker: Broker | None) -> str:
        found = None if broker is None or broker.fenced else broker.listeners.get(listener)
        return f"{found[0]}:{found[1]}" if found else ""

    return QueueAddresses(
        lambda: ",".join(sorted(found for broker in brokers().values() if (found := address(broker)))),
        lambda node_id: address(brokers().get(node_id)),
    )


class QueueCalls:
    """All methods are the loop's own. `send` takes events for the fleet, `start` what takes its time."""

    def __init__(
        self, tickets: Tickets, fleet: Fleet, send: Callable[[f.Event], None], start: Callable[[Any], None],
        where: QueueAddresses, health_path: str,
    ) -> None:  # fmt: skip
        self._tickets = tickets
        self._fleet = fleet
        self._send = send
        self._start = start
        self._where = where
        self._health_path = health_path
        self._adder = _Adder()
        self._adding = Helper("queue-adder", self._adder.close)
        self._testing = Helper("queue-tester")
        self._sweeps = False

    def submit(self, call: c.QueueCall) -> str:
        """The ticket of its answer. Raises Busy."""
        match call:
            case c.AddBroker():
                return self._add_broker(call)
            case c.RemoveBroker():
                return self._remove_broker(call)
            case c.AddPartition():
                return self._later(lambda: self._add_partition(call))
            case c.CheckBroker():
                return self._later(lambda: self._check_broker(call))

    def _later(self, work: Work) -> str:
        number, ticket = self._tickets.open()
        self._start(self._answer(number, work))
        return ticket

    async def _answer(self, number: int, work: Work) -> None:
        """Whatever happens, who waits is told."""
        try:
            status, body = await work()
        except (Unavailable, TimeoutError) as fault:
            status, body = _unavailable(str(fault) or "calls before this one took too long")
        except Exception as error:
            log.exception("a call of the queue's HTTP interface failed", error=repr(error))
            status, body = 500, {"message": "<Error> control failed at this; its log says why", "status": "failure"}
        self._tickets.answer(number, status, body)

    def _now(self, told: c.Told) -> str:
        number, ticket = self._tickets.open()
        self._tickets.answer(number, *told)
        return ticket

    # --- servers ---------------------------------------------------------------------------------------------

    def _add_broker(self, call: c.AddBroker) -> str:
        if self._is_there(call.name):
            return self._now(c.existing(call))
        number, ticket = self._tickets.open(partial(self._say, call))
        self._send(f.AddRequested(number, 1, (call.name,)))
        return ticket

    def _remove_broker(self, call: c.RemoveBroker) -> str:
        listed: list[str] = self._fleet.replicas()["replicas"]
        leavers = [name for name in listed if call.name == c.ALL or names.fold(name) == names.fold(call.name)]
        if not leavers:
            return self._now(c.removed(call) if call.name == c.ALL else c.missing(call))
        number, ticket = self._tickets.open(partial(self._say, call))
        self._send(f.RemoveRequested(number, len(leavers), tuple(leavers)))
        return ticket

    def _is_there(self, name: str) -> bool:
        return any(names.fold(known) == names.fold(name) for known in self._fleet.replicas()["replicas"])

    def _say(self, call: c.AddBroker | c.RemoveBroker, status: int, body: Any) -> tuple[int, Any]:
        return c.in_queue_words(call, status, body, there=self._is_there(call.name))

    async def _check_broker(self, call: c.CheckBroker) -> c.Told:
        row = self._row(call.name)
        if row is None:
            return c.missing(call)
        own, node_id = self._where.of_node, row["node_id"]
        bootstrap = await _soon(self._where.bootstrap if own is None else lambda: own(node_id))
        if not bootstrap or not row["address"]:
            return 400, c.failure(f"{row['name']} does not serve the queue: it is {row['state']}")
        due = time.monotonic() + PATIENCE_S
        passed, text = await self._testing.call(
            partial(_check, row, bootstrap, own is not None, self._health_path, due)
        )
        return (200, c.success(text)) if passed else (400, c.failure(text))

    def _row(self, name: str) -> Mapping[str, Any] | None:
        rows = self._fleet.view()["replicas"]
        return next((row for row in rows if names.fold(row["name"]) == names.fold(name)), None)

    # --- partitions ------------------------------------------------------------------------------------------

    async def _add_partition(self, call: c.AddPartition) -> c.Told:
        bootstrap = await _soon(self._where.bootstrap)
        if not bootstrap:
            raise Unavailable("no server of the queue is there")
        due = time.monotonic() + PATIENCE_S
        try:
            await self._adding.call(partial(self._adder.add, bootstrap, call, due))
        except AlreadyThere:
            return 400, c.failure(http_queue.topic_exists(call.topic, call.part))
        except Refused as fault:
            return 400, c.failure(str(fault))
        return 200, c.success(http_queue.topic_created(call.topic, call.part))

    def topics_gone(self, gone: Collection[str]) -> None:
        """Their partitions' names go too: a topic that is made anew by the Kafka protocol has the usual ones."""
        if not self._sweeps and not all(map(http_queue.is_hidden, gone)):
            self._sweeps = True
            self._start(self._sweep())

    async def _sweep(self) -> None:
        await asyncio.sleep(SWEEP_S)
        self._sweeps = False
        try:
            await self._adding.call(partial(self._adder.sweep, self._where.bootstrap()))
        except (Refused, Unavailable) as fault:
            log.warning("names of deleted topics are kept until the next one is added", error=str(fault))

    async def handle(self, request: Request) -> Response:
        """POST /topics/add from a server of ours, waited for here."""
        if request.method != "POST":
            return error_response(405, "method not allowed", (("Allow", "POST"),))
        try:
            call = c.parse_add_partition(request.body, request.get("Content-Type") or "")
            ticket = self.submit(call)
        except BadCommand as fault:
            return json_response(400, c.failure(fault.message))
        except Busy as fault:
            return error_response(503, str(fault), COME_AGAIN)
        return await self._tickets.wait(ticket)


async def _soon(address: Callable[[], str]) -> str:
    """What it is when it is there; "" if that takes too long. A server answers heartbeats before it has registered."""
    for _ in range(LOOKS):
        if found := address():
            return found
        await asyncio.sleep(LOOK_S)
    return ""


class _Adder:
    """Adds partitions. All methods are the helper thread's."""

    def __init__(self) -> None:
        self._cluster: KafkaCluster | None = None
        self._swept = False

    def add(self, bootstrap: str, call: c.AddPartition, due: float) -> None:
        _in_time(due)
        cluster = self._open(bootstrap)
        try:
            if not self._swept:
                self.sweep(bootstrap)
            add_partition(cluster, call.topic, call.part)
        except Unavailable:
            self.close()  # the addresses that it knows may be of yesterday
            raise

    def sweep(self, bootstrap: str) -> None:
        self._swept = False  # if this fails, before the next partition is added
        sweep_names(self._open(bootstrap))
        self._swept = True

    def _open(self, bootstrap: str) -> "KafkaCluster":
        from loadbalancer.kafka.cluster import KafkaCluster  # librdkafka: 10 MB, for those who use it

        if self._cluster is not None and self._cluster.bootstrap != bootstrap:
            self.close()
        self._cluster = self._cluster or KafkaCluster(bootstrap)
        return self._cluster

    def close(self) -> None:
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None


def _check(row: Mapping[str, Any], bootstrap: str, own: bool, health_path: str, due: float) -> tuple[bool, str]:
    """In the helper thread."""
    from loadbalancer.kafka.self_test import Target, run

    _in_time(due)
    host, _, port = row["address"].rpartition(":")
    node_id = row["node_id"] if own else None
    return run(Target(row["name"], host.strip("[]"), int(port), health_path, bootstrap, node_id))


def _in_time(due: float) -> None:
    if time.monotonic() > due:
        raise TimeoutError


def _unavailable(reason: str) -> c.Told:
    return 503, {"message": f"<Error> {reason}", "status": "failure"}
