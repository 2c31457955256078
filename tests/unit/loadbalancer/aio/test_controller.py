import asyncio
import json
import unittest
from types import SimpleNamespace
from typing import Any

from loadbalancer import fleet_words as f
from loadbalancer.aio import controller as module
from loadbalancer.aio.controller import Controller
from loadbalancer.aio.tickets import Tickets
from loadbalancer.disk.store import StoreError
from loadbalancer.event_log import Event, EventLog
from loadbalancer.fleet import Fleet
from loadbalancer.fleet_state import FleetSettings
from loadbalancer.layout import Layout
from loadbalancer.queue_words import Ended, Muted
from loadbalancer.ring import RingSpec
from loadbalancer.snapshot import Snapshot
from loadbalancer.spawn.fake import FakeRuntime
from wire.exchange import Request, Response
from wire.http1 import parse_request

LIMIT_S = 10.0


class Keeper:
    """Remembers what was committed; fails or hangs at will."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.events: list[Event] = []
        self.full = False
        self.stuck: asyncio.Event | None = None

    async def commit(self, record: dict[str, Any] | None, events: list[Event]) -> None:
        if self.stuck is not None:
            await self.stuck.wait()
        if self.full:
            raise StoreError("database or disk is full")
        self.events += events
        if record is not None:
            self.records.append(json.loads(json.dumps(record)))


class Feed:
    """Takes the snapshots, and knows what was committed by then."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.snapshots: list[Snapshot] = []
        self.committed: list[int] = []

    def publish(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)
        self.committed.append(len(self.keeper.records))

    async def settled(self, timeout_s: float) -> bool:
        return True


class ControllerTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.keeper = Keeper()
        self.feed = Feed(self.keeper)
        self.runtime = FakeRuntime()
        self.events = EventLog()
        self.tickets = Tickets(self.events)
        self.stepped = asyncio.Event()
        await self.start(2)

    async def start(self, replicas: int) -> None:
        self.controller = Controller(
            Fleet(FleetSettings(replicas=replicas)), Layout(RingSpec("spec")), self.runtime, self.keeper,
            self.feed, self.events, self.tickets, 7, self.stepped.set,  # type: ignore[arg-type]
        )  # fmt: skip
        await self.runtime.open(self.controller.exited)
        self.addAsyncCleanup(self.runtime.close)
        await self.controller.step(f.Started((), cold=True))
        task = asyncio.ensure_future(self.controller.run())

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self.addAsyncCleanup(end)
        await self.until(lambda: self.states() == ["starting"] * replicas and self.instances() == replicas)

    async def until(self, condition: Any) -> None:
        """Let the controller work until `condition()`; each step wakes this."""

        async def wait() -> None:
            while not condition():
                self.stepped.clear()
                await self.stepped.wait()

        await asyncio.wait_for(wait(), LIMIT_S)

    def states(self) -> list[str]:
        return [replica["state"] for replica in self.controller.fleet.view()["replicas"]]

    def instances(self) -> int:
        return sum(
            replica["pid"] is not None or replica["address"] is not None
            for replica in self.controller.fleet.view()["replicas"]
        )

    def answer_heartbeats(self) -> None:
        for target in self.controller.fleet.probe_targets():
            self.controller.heard(target, "", False)

    async def serve(self) -> None:
        self.answer_heartbeats()
        await self.until(lambda: set(self.states()) == {"healthy"})

    async def wait_for(self, ticket: str) -> tuple[int, Any]:
        parsed = parse_request(f"GET /wait/{ticket} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert parsed is not None
        answer = await asyncio.wait_for(self.tickets.handle(Request(parsed[0], b"", "")), LIMIT_S)
        assert isinstance(answer, Response)
        return answer.status, json.loads(answer.body)

    async def test_commit_then_push(self) -> None:
        await self.serve()
        self.assertTrue(self.feed.snapshots)
        self.assertEqual(self.feed.snapshots[-1].epoch.generation, 7)
        self.assertEqual([s.epoch.version for s in self.feed.snapshots], list(range(1, len(self.feed.snapshots) + 1)))
        self.assertTrue(all(count > 0 for count in self.feed.committed))
        self.assertEqual(len(self.feed.snapshots[-1].members[0].slots), 9)
        self.assertEqual(
            self.keeper.records[-1]["layout"]["slots"]["1"], list(self.feed.snapshots[-1].members[0].slots)
        )

    async def test_a_crash_is_replaced_under_a_new_name(self) -> None:
        await self.serve()
        self.runtime.crash("server1")
        await self.until(lambda: "server3" in self.runtime.replicas)
        self.answer_heartbeats()
        await self.serve()
        self.assertEqual(self.controller.respawns, 1)
        self.assertIn(("dead", "server1"), [(event.kind, event.replica) for event in self.events.since(0)])
        self.assertEqual(self.keeper.events, self.events.since(0))

    async def test_what_is_silent_is_told_to_the_queue_which_knows_who_lives(self) -> None:
        await self.serve()
        told: list[Any] = []
        queue = SimpleNamespace(send=told.append, tell_members=lambda *_: None, is_alive=lambda node_id: node_id == 2)
        self.controller.queue = queue
        self.controller.fleet._settings = self.controller.fleet._roster.settings = FleetSettings(
            replicas=2, queue=True, kill_fall=4, alive_fall=6
        )

        async def fail(times: int) -> None:
            for _ in range(times):
                for target in self.controller.fleet.probe_targets():
                    self.controller.heard(target, "no answer", False)
            await self.controller.settled()

        await fail(3)
        self.assertEqual(told, [Muted(1, True), Muted(2, True)])
        self.assertEqual(self.states(), ["suspect", "suspect"])
        self.assertFalse(any(member.routable for member in self.feed.snapshots[-1].members))
        await fail(1)
        self.assertIn(Ended(1), told)
        self.assertNotIn(Ended(2), told)
        await self.until(lambda: "server3" in self.runtime.replicas and self.instances() == 2)

    async def test_a_full_disk_stops_no_respawn_and_is_made_up_for(self) -> None:
        await self.serve()
        self.keeper.full = True
        kept = len(self.keeper.records)
        self.runtime.crash("server1")
        await self.until(lambda: "server3" in self.runtime.replicas)
        await self.serve()
        self.assertEqual(len(self.keeper.records), kept)
        self.assertIn("server3", [event.replica for event in self.events.since(0)])
        self.keeper.full = False
        self.controller.send(f.Tick())
        await self.until(lambda: len(self.keeper.records) > kept)
        names = [place["name"] for place in self.keeper.records[-1]["fleet"]["places"]]
        self.assertEqual(sorted(names), ["server2", "server3"])
        self.assertEqual(self.keeper.events, self.events.since(0))

    async def test_a_disk_that_hangs_stops_no_respawn(self) -> None:
        await self.serve()
        self.addCleanup(setattr, module, "COMMIT_TIMEOUT_S", module.COMMIT_TIMEOUT_S)
        module.COMMIT_TIMEOUT_S = 0.01
        self.keeper.stuck = asyncio.Event()
        self.runtime.crash("server2")
        await self.until(lambda: "server3" in self.runtime.replicas)

    async def test_a_command_is_answered_when_it_is_done(self) -> None:
        await self.serve()
        number, ticket = self.tickets.open()
        self.controller.send(f.AddRequested(number, 1, ("blue",)))
        await self.until(
            lambda: "blue" in self.runtime.replicas and "starting" in self.states() and self.instances() == 3
        )
        self.answer_heartbeats()
        status, body = await self.wait_for(ticket)
        self.assertEqual((status, body["status"]), (200, "successful"))
        self.assertEqual(body["message"], {"N": 3, "replicas": ["server1", "server2", "blue"]})

    async def test_a_leaver_is_stopped_when_it_is_drained(self) -> None:
        await self.serve()
        number, ticket = self.tickets.open()
        self.controller.send(f.RemoveRequested(number, 1, ("server1",)))
        await self.until(lambda: "draining" in self.states())
        self.assertTrue(self.feed.snapshots[-1].members[0].draining)
        self.controller.send(f.Drained("server1"))
        status, body = await self.wait_for(ticket)
        self.assertEqual((status, body["message"]["replicas"]), (200, ["server2"]))
        self.assertEqual(set(self.runtime.replicas), {"server2"})

    async def test_a_spawn_that_fails_is_tried_again(self) -> None:
        await self.serve()
        self.runtime.fail_next_spawns(1, "no memory")
        self.runtime.crash("server1")
        await self.until(lambda: any("no memory" in event.reason for event in self.events.since(0)))
        await self.until(lambda: len(self.runtime.replicas) == 2)

    async def test_a_refused_command_changes_nothing(self) -> None:
        await self.serve()
        number, ticket = self.tickets.open()
        self.controller.send(f.RemoveRequested(number, 1, ("nobody",)))
        status, body = await self.wait_for(ticket)
        self.assertEqual((status, body["status"]), (400, "failure"))
        self.assertEqual(len(self.states()), 2)

    async def test_remarks_become_events(self) -> None:
        self.controller.remark("ejected", "server1", "refused")
        await self.until(lambda: any(event.kind == "ejected" for event in self.events.since(0)))
