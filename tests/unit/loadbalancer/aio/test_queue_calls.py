"""The queue's calls in control's loop: a fleet of the test's, and a cluster in memory in librdkafka's place."""

import asyncio
import json
import sys
import types
import unittest
from collections.abc import Coroutine
from typing import Any
from unittest import mock

from support.fake_cluster import FakeCluster
from support.fake_port import FakePort

from loadbalancer import fleet_words as f
from loadbalancer import queue_calls as c
from loadbalancer.aio import queue_calls as module
from loadbalancer.aio.queue_calls import QueueAddresses, QueueCalls, queue_addresses
from loadbalancer.aio.tickets import MAX_WAITING, Tickets
from loadbalancer.event_log import EventLog
from loadbalancer.partition_adding import Refused, Unavailable
from loadbalancer.requests import Add, Remove
from loadbalancer.rest.port import Busy
from wire.cluster import Broker
from wire.exchange import Request
from wire.http1 import parse_request


class Opened(FakeCluster):
    """A FakeCluster that is opened and closed as librdkafka's is."""

    opened: list["Opened"]
    fault: Exception | None = None

    def __init__(self, bootstrap: str) -> None:
        super().__init__()
        self.bootstrap, self.is_open = bootstrap, True
        if self.opened:
            last = self.opened[-1]
            self.topics, self.log = last.topics, last.log
        self.opened.append(self)

    def close(self) -> None:
        self.is_open = False

    def partitions(self, topic: str) -> int:
        assert self.is_open
        if (fault := type(self).fault) is not None:
            raise fault
        return super().partitions(topic)


class Case(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.fleet = FakePort()
        self.tickets = Tickets(EventLog())
        self.sent: list[f.Event] = []
        self.bootstrap = "k:1"
        self.calls = self.make(lambda node_id: f"own:{node_id}")
        self.cluster = type("Cluster", (Opened,), {"opened": []})
        self.tested: list[Any] = []
        self.result = (True, "fine")
        cluster: Any = types.ModuleType("cluster")
        cluster.KafkaCluster = self.cluster
        self_test: Any = types.ModuleType("self_test")
        self_test.Target, self_test.run = lambda *told: told, self.run_test
        modules = {"loadbalancer.kafka.cluster": cluster, "loadbalancer.kafka.self_test": self_test}
        patched = mock.patch.dict(sys.modules, modules)
        patched.start()
        self.addCleanup(patched.stop)
        self.jobs: set[asyncio.Task[None]] = set()

    def make(self, of_node: Any) -> QueueCalls:
        where = QueueAddresses(lambda: self.bootstrap, of_node)
        return QueueCalls(self.tickets, self.view(), self.send, self.start, where, "/heartbeat")

    def view(self) -> Any:
        return types.SimpleNamespace(replicas=self.fleet.replicas, view=self.fleet.cluster)

    def run_test(self, target: Any) -> tuple[bool, str]:
        self.tested.append(target)
        return self.result

    def start(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(job)
        self.jobs.add(task)
        task.add_done_callback(self.jobs.discard)

    def send(self, event: f.Event) -> None:
        self.sent.append(event)
        match event:
            case f.AddRequested():
                self.fleet.submit(Add(event.n, event.hostnames), "")
            case f.RemoveRequested():
                self.fleet.submit(Remove(event.n, event.hostnames), "")
            case _:
                self.fail(str(event))
        self.tickets.answer(event.command, *self.fleet.answers[f"ticket-{len(self.fleet.submitted)}"])

    async def answer(self, call: c.QueueCall) -> tuple[int, str]:
        async with asyncio.timeout(20):
            response = await self.tickets.wait(self.calls.submit(call))
        body = json.loads(response.body)
        self.assertEqual(body["status"], "success" if response.status == 200 else "failure")
        return response.status, body["message"]


class Servers(Case):
    async def test_add(self) -> None:
        self.assertEqual(await self.answer(c.AddBroker("b1")), (200, "successfully added b1"))
        self.assertEqual(await self.answer(c.AddBroker("B1")), (400, "B1 already exist"))
        self.assertEqual(len(self.sent), 1)
        self.fleet.max_replicas = 4
        self.assertEqual(await self.answer(c.AddBroker("b2")), (400, "more than 4 replicas"))

    async def test_remove(self) -> None:
        self.assertEqual(await self.answer(c.RemoveBroker("nix")), (400, "nix does not exist"))
        self.assertEqual(await self.answer(c.RemoveBroker("SERVER2")), (200, "Removed SERVER2"))
        self.assertEqual(self.fleet.replicas()["replicas"], ["server1", "server3"])
        self.assertEqual(await self.answer(c.RemoveBroker("all")), (200, "Removed all"))
        self.assertEqual(self.fleet.replicas()["replicas"], [])
        self.assertEqual(await self.answer(c.RemoveBroker("all")), (200, "Removed all"))
        self.assertEqual(len(self.sent), 2)

    async def test_a_server_is_tested_by_its_own_address(self) -> None:
        self.assertEqual(await self.answer(c.CheckBroker("nix")), (400, "nix does not exist"))
        self.assertEqual(await self.answer(c.CheckBroker("Server2")), (200, "fine"))
        self.assertEqual(self.tested, [("server2", "127.0.0.1", 1, "/heartbeat", "own:2", 2)])
        self.result = (False, "5 of 6")
        self.assertEqual(await self.answer(c.CheckBroker("server2")), (400, "5 of 6"))

    async def test_over_another_cluster_by_that_one_s(self) -> None:
        self.calls = self.make(None)
        self.assertEqual(await self.answer(c.CheckBroker("server2")), (200, "fine"))
        self.assertEqual(self.tested, [("server2", "127.0.0.1", 1, "/heartbeat", "k:1", None)])

    async def test_one_that_has_not_registered(self) -> None:
        looks: list[int] = []

        def address(node_id: int) -> str:
            looks.append(node_id)
            return "" if len(looks) < 3 else "own"

        self.calls = self.make(address)
        with mock.patch.object(module, "LOOK_S", 0):
            self.assertEqual(await self.answer(c.CheckBroker("server2")), (200, "fine"))
        self.calls = self.make(lambda _: "")
        with mock.patch.object(module, "LOOKS", 1):
            self.assertEqual(
                await self.answer(c.CheckBroker("server2")), (400, "server2 does not serve the queue: it is healthy")
            )


class Partitions(Case):
    async def test_add(self) -> None:
        call = c.AddPartition("T1", "P1")
        self.assertEqual(await self.answer(call), (200, "Topic:T1xP1 created successfully"))
        self.assertEqual(await self.answer(call), (400, "T1:P1 already exist"))
        self.assertEqual(len(self.cluster.opened), 1)

    async def test_one_at_a_time(self) -> None:
        calls = [c.AddPartition("T1", f"q{number % 5}") for number in range(40)]
        answers = await asyncio.gather(*map(self.answer, calls))
        self.assertEqual([status for status, _ in answers].count(200), 5)
        self.assertEqual(sorted(self.cluster.opened[0].shown("T1")), [f"q{number}" for number in range(5)])

    async def test_topics_that_are_gone_leave_no_names(self) -> None:
        for topic in ("T1", "T2"):
            await self.answer(c.AddPartition(topic, "left"))
        cluster = self.cluster.opened[0]
        del cluster.topics["T1"]
        with mock.patch.object(module, "SWEEP_S", 0):
            self.calls.topics_gone({"__carousel_test_1"})
            self.assertEqual(self.jobs, set())
            self.calls.topics_gone({"T1"})
            self.calls.topics_gone({"T3"})
            async with asyncio.timeout(20):
                await asyncio.gather(*self.jobs)
        self.assertEqual(cluster.log, {("T2", 0): "left"})

    async def test_no_server_is_there(self) -> None:
        self.bootstrap = ""
        with mock.patch.object(module, "LOOKS", 1):
            self.assertEqual(
                await self.answer(c.AddPartition("T1", "P1")), (503, "<Error> no server of the queue is there")
            )

    async def test_faults(self) -> None:
        call = c.AddPartition("T1", "P1")
        self.cluster.fault = Refused("no such luck")
        self.assertEqual(await self.answer(call), (400, "no such luck"))
        self.cluster.fault = Unavailable("away")
        self.assertEqual(await self.answer(call), (503, "<Error> away"))
        self.assertFalse(self.cluster.opened[-1].is_open)
        self.cluster.fault = ValueError("ours")
        with mock.patch.object(module.log, "exception") as told:
            self.assertEqual(
                await self.answer(call), (500, "<Error> control failed at this; its log says why")
            )  # fmt: skip
        told.assert_called_once()
        self.cluster.fault = None
        self.assertEqual((await self.answer(call))[0], 200)
        self.assertEqual(len(self.cluster.opened), 2)

    async def test_other_servers(self) -> None:
        await self.answer(c.AddPartition("T1", "P1"))
        self.bootstrap = "k:2"
        self.assertEqual((await self.answer(c.AddPartition("T1", "P2")))[0], 200)
        self.assertEqual([cluster.is_open for cluster in self.cluster.opened], [False, True])

    async def test_who_waited_too_long_is_told_to_come_again(self) -> None:
        with mock.patch.object(module, "PATIENCE_S", -1):
            status, text = await self.answer(c.AddPartition("T1", "P1"))
        self.assertEqual((status, text), (503, "<Error> calls before this one took too long"))
        self.assertEqual(self.cluster.opened, [])

    async def test_too_many(self) -> None:
        for _ in range(MAX_WAITING):
            self.tickets.open()
        for call in (c.AddPartition("T1", "P1"), c.CheckBroker("server1"), c.AddBroker("b1"), c.RemoveBroker("nix")):
            with self.assertRaises(Busy):
                self.calls.submit(call)
        self.assertEqual((await self.post(b'{"topic": "T1", "part": "P1"}'))[0], 503)

    async def post(self, body: bytes, method: str = "POST") -> tuple[int, Any]:
        head = f"{method} /topics/add HTTP/1.1\r\nHost: l\r\nContent-Length: {len(body)}\r\n\r\n"
        parsed = parse_request(head.encode())
        assert parsed is not None
        response = await self.calls.handle(Request(parsed[0], body, ""))
        return response.status, json.loads(response.body)["message"]

    async def test_a_server_of_ours_asks(self) -> None:
        self.assertEqual(await self.post(b'{"topic": "T1", "part": "P1"}'), (200, "Topic:T1xP1 created successfully"))
        self.assertEqual(await self.post(b'{"topic": "T1", "part": "P1"}'), (400, "T1:P1 already exist"))
        self.assertEqual(await self.post(b'{"topic": "T1"}'), (400, "part is missing"))
        self.assertEqual((await self.post(b"", "GET"))[0], 405)


class Addresses(unittest.TestCase):
    def test_of_those_that_take_part(self) -> None:
        def broker(node_id: int, fenced: bool = False, **listeners: tuple[str, int]) -> Broker:
            return Broker(node_id, "0" * 32, "0" * 32, 1, fenced, listeners)

        brokers = {
            1: broker(1, CLIENT=("a", 1), EXTERNAL=("x", 1)),
            2: broker(2, fenced=True, CLIENT=("b", 2)),
            3: broker(3, CLIENT=("c", 3)),
            4: broker(4),
        }
        inside, outside = queue_addresses(lambda: brokers, "CLIENT"), queue_addresses(lambda: brokers, "EXTERNAL")
        self.assertEqual((inside.bootstrap(), outside.bootstrap()), ("a:1,c:3", "x:1"))
        assert inside.of_node is not None
        self.assertEqual([inside.of_node(node_id) for node_id in (1, 2, 3, 4, 5)], ["a:1", "", "c:3", "", ""])


if __name__ == "__main__":
    unittest.main()
