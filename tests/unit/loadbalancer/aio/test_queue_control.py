"""The queue's controller with its real store and link, and make-believe servers at the far end."""

import asyncio
import shutil
import stat
import tempfile
import unittest
from pathlib import Path
from typing import Any

from support.link_server import LinkedServer

from loadbalancer.aio.queue_control import SIGN_S, QueueControl, load_tail
from loadbalancer.aio.queue_link import LinkServer
from loadbalancer.disk.keeper import Keeper
from loadbalancer.disk.secret import cluster_secret
from loadbalancer.fleet_words import Holdings
from loadbalancer.queue_recovery import CantRecover
from loadbalancer.queue_words import Ended, QueueSettings
from wire import versions as v
from wire.cluster_link import Offer, Position, Stop, offer_request
from wire.errors import ErrorCode as E


class Ground:
    """One control over a state directory; `full`: its disk takes nothing."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.keeper = Keeper(state / "state.sqlite")
        self.secret = cluster_secret(state / "cluster.secret")
        self.path = state / "queue.sock"
        self.told: list[Any] = []
        self.events: list[tuple[str, str, str]] = []
        self.full = False

    async def open(self, *nodes: int) -> "Ground":
        generation, _, _ = await self.keeper.open(1)
        tail = await load_tail(self.keeper, generation)
        self.control = QueueControl(
            tail, QueueSettings(), self, self.told.append, lambda *words: self.events.append(words)
        )
        self.links = self.control.links = LinkServer(self.control, self.secret, "c")
        await self.links.listen_unix(self.path)
        self.task = asyncio.create_task(self.control.run())
        self.control.tell_members(frozenset(nodes), frozenset(), frozenset())
        return self

    async def load_queue(self) -> Any:
        return await self.keeper.load_queue()

    async def append_queue(self, after: int, records: Any, snapshot: Any) -> None:
        if self.full:
            raise OSError("disk full")
        await self.keeper.append_queue(after, records, snapshot)

    async def recover_queue(self, generation: int, state: Any) -> None:
        await self.keeper.recover_queue(generation, state)

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.links.close()
        self.keeper.close()


class TestQueueControl(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.state = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.state)
        self.servers: list[LinkedServer] = []
        self.ground = await Ground(self.state).open(1, 2)

    async def asyncTearDown(self) -> None:
        for server in self.servers:
            await server.close()
        await self.ground.close()

    async def server(self, node_id: int, **fields: str) -> LinkedServer:
        server = await LinkedServer(node_id, **fields).connect(self.ground.path, self.ground.secret)
        self.servers.append(server)
        return server

    async def fleet(self) -> list[LinkedServer]:
        made = [await self.server(1), await self.server(2)]
        for server in made:
            self.assertEqual((await server.register()).error_code, 0)
        for server in made:
            await server.until(lambda image: image.is_live(1) and image.is_live(2))
        return made

    async def create(self, server: LinkedServer, name: str, count: int = 4, version: int | None = None) -> Any:
        topic = {"name": name, "num_partitions": count, "replication_factor": -1, "assignments": (), "configs": ()}
        answer = await server.ask(v.CREATE_TOPICS, version, topics=[topic], timeout=30_000, validate_only=False)
        return answer.topics[0]

    async def test_the_secret_and_the_socket_are_their_owners_only(self) -> None:
        for name in ("cluster.secret", "queue.sock"):
            self.assertEqual(stat.S_IMODE((self.state / name).stat().st_mode), 0o600)
        self.assertEqual(cluster_secret(self.state / "cluster.secret"), self.ground.secret)

    async def test_who_was_heard_just_now_is_alive(self) -> None:
        await self.fleet()
        self.assertTrue(self.ground.control.is_alive(1))
        self.assertFalse(self.ground.control.is_alive(7))
        (link,) = [link for link in self.ground.links.links if link.node_id == 1]
        link.heard_at -= SIGN_S + 1
        self.assertFalse(self.ground.control.is_alive(1))

    async def test_what_is_whole_is_told_behind_the_step(self) -> None:
        told: list[bool] = []
        self.ground.control._on_step = lambda: told.append(self.ground.control.queue.is_whole())
        await self.fleet()
        async with asyncio.timeout(10):
            while not told or not told[-1]:
                await asyncio.sleep(0.005)
        self.assertIn(False, told)

    async def test_a_wrong_secret_is_hung_up_on(self) -> None:
        server = LinkedServer(1)
        self.servers.append(server)
        with self.assertRaises(ConnectionError):
            await server.connect(self.ground.path, "wrong")

    async def test_nobody_speaks_for_another_or_for_another_cluster(self) -> None:
        stranger = await self.server(1, cluster_id="other")
        self.assertEqual((await stranger.register()).error_code, E.INCONSISTENT_CLUSTER_ID)
        with self.assertRaises(ConnectionError):
            await stranger.ask(v.ALLOCATE_PRODUCER_IDS, broker_id=2, broker_epoch=1)

    async def test_a_topic_is_committed_told_to_all_and_then_answered(self) -> None:
        one, two = await self.fleet()
        for number, version in enumerate((2, 3, 4, 5, 6, 7)):
            made = await self.create(one, f"orders{number}", 4, version)
            self.assertEqual(made.error_code, 0)
            self.assertIn(f"orders{number}", one.image.topics)
        await two.until(lambda image: len(image.topics) == 6)
        kept = await self.ground.keeper.load_queue()
        self.assertEqual(kept.version + len(kept.records), one.image.version)
        self.assertEqual((await self.create(one, "orders0")).error_code, E.TOPIC_ALREADY_EXISTS)
        self.assertIn("topic-created", [kind for kind, _, _ in self.ground.events])

    async def test_every_admin_request_of_a_server_is_answered_in_its_shape(self) -> None:
        one, _ = await self.fleet()
        await self.create(one, "orders")
        grown = {"name": "orders", "count": 6, "assignments": None}
        answer = await one.ask(v.CREATE_PARTITIONS, topics=[grown], timeout=5000, validate_only=False)
        self.assertEqual(answer.results[0].error_code, 0)
        config = {"name": "retention.ms", "config_operation": 0, "value": "5"}
        resource = {"resource_type": 2, "resource_name": "orders", "configs": [config]}
        answer = await one.ask(v.INCREMENTAL_ALTER_CONFIGS, resources=[resource], validate_only=False)
        self.assertEqual((answer.responses[0].error_code, answer.responses[0].resource_name), (0, "orders"))
        answer = await one.ask(v.ALTER_CONFIGS, resources=[{**resource, "configs": []}], validate_only=False)
        self.assertEqual(answer.responses[0].error_code, 0)
        answer = await one.ask(v.ELECT_LEADERS, election_type=0, topic_partitions=None, timeout=5000)
        self.assertEqual((answer.error_code, answer.replica_election_results), (0, ()))
        answer = await one.ask(v.ALLOCATE_PRODUCER_IDS, broker_id=1, broker_epoch=one.epoch)
        self.assertEqual((answer.producer_id_start, answer.producer_id_len), (0, 1000))
        beat = {"want_fence": False, "want_shut_down": False, "current_metadata_offset": one.image.version}
        answer = await one.ask(v.BROKER_HEARTBEAT, broker_id=1, broker_epoch=one.epoch, **beat)
        self.assertFalse(answer.is_fenced)
        answer = await one.ask(v.DELETE_TOPICS, topics=[{"name": "orders", "topic_id": None}], timeout=5000)
        self.assertEqual(answer.responses[0].error_code, 0)
        answer = await one.ask(v.DELETE_TOPICS, 5, topic_names=["orders"], timeout=5000)
        self.assertEqual(answer.responses[0].error_code, E.UNKNOWN_TOPIC_OR_PARTITION)

    async def test_who_wants_to_know_is_told_of_a_topic_s_end(self) -> None:
        one, _ = await self.fleet()
        gone: list[set[str]] = []
        self.ground.control.on_topics_gone = lambda names: gone.append(set(names))
        for name in ("orders", "bills"):
            await self.create(one, name)
        await one.ask(v.DELETE_TOPICS, 5, topic_names=["nothing"], timeout=5000)
        self.assertEqual(gone, [])
        await one.ask(v.DELETE_TOPICS, 5, topic_names=["orders", "bills"], timeout=5000)
        self.assertEqual(gone, [{"orders", "bills"}])

    async def test_what_a_full_disk_refuses_has_not_happened(self) -> None:
        one, _ = await self.fleet()
        version = one.image.version
        self.ground.full = True
        self.assertEqual((await self.create(one, "orders")).error_code, E.NOT_CONTROLLER)
        answer = await one.ask(v.ALLOCATE_PRODUCER_IDS, broker_id=1, broker_epoch=one.epoch)
        self.assertEqual(answer.error_code, E.NOT_CONTROLLER)
        self.assertEqual(one.image.version, version)
        self.ground.full = False
        self.assertEqual((await self.create(one, "orders")).error_code, 0)

    async def test_an_end_is_elected_on_and_told_to_the_living(self) -> None:
        one, two = await self.fleet()
        await self.create(one, "orders", 8)
        led = [p.key for p in one.image.partitions.values() if p.leader == 2]
        self.ground.control.send(Ended(2))
        await one.until(lambda image: not image.is_live(2))
        self.assertEqual({one.image.partitions[key].leader for key in led}, {-1})
        two.incarnation = "e" * 32
        await two.register(Stop.SAME_BOOT)
        await one.until(lambda image: all(p.leader != -1 for p in image.partitions.values()))

    async def end(self, *servers: LinkedServer) -> None:
        """Of these, and of control."""
        for server in servers:
            await server.close()
        await self.ground.close()

    async def test_the_fleet_hears_who_holds_what(self) -> None:
        one, _ = await self.fleet()
        await self.create(one, "orders", 8)
        self.assertEqual(self.ground.told[-1], Holdings(frozenset({1, 2}), frozenset()))

    async def test_a_control_without_its_state_goes_on_from_a_server_s_copy(self) -> None:
        one, two = await self.fleet()
        await self.create(one, "orders", 8)
        before = one.image
        await self.end(one, two)
        for path in self.state.glob("state.sqlite*"):
            path.unlink()
        self.ground = await Ground(self.state).open(1, 2)
        with self.assertRaisesRegex(CantRecover, "is not lost"):
            await self.ground.control.recover(frozenset())
        again = await self.server(1)
        again.epoch = one.epoch
        self.assertEqual((await again.register()).error_code, E.NOT_CONTROLLER)
        self.assertIn("queue-state-lost", [kind for kind, _, _ in self.ground.events])
        again = await self.server(1)  # all are hung up on when it is found out
        again.epoch = one.epoch
        self.assertEqual((await again.register()).error_code, E.NOT_CONTROLLER)
        at = Position(before.generation, before.version)
        offer = Offer(at, before.records(), one.epoch, one.incarnation, f"{101:032x}")
        again._writer.write(offer_request(9, "s", offer))
        async with asyncio.timeout(5):
            while not self.ground.links.offers():
                await asyncio.sleep(0.001)
        with self.assertRaisesRegex(CantRecover, "node 2 is registered and not here"):
            await self.ground.control.recover(frozenset())
        self.assertIn("1 topics, 8 partitions", await self.ground.control.recover(frozenset({2})))
        await self.ground.close()
        self.ground = await Ground(self.state).open(1, 2)
        last = await self.server(1)
        last.epoch, last.image = one.epoch, before
        self.assertEqual((await last.register()).broker_epoch, one.epoch)
        await last.until(lambda image: image.generation > before.generation)
        self.assertEqual(last.image.topics, before.topics)
        self.assertTrue(all(p.leader_epoch >= 1000 for p in last.image.partitions.values()))

    async def test_a_new_control_goes_on_from_what_was_committed(self) -> None:
        one, two = await self.fleet()
        await self.create(one, "orders", 8)
        before = one.image
        await self.end(one, two)
        self.ground = await Ground(self.state).open(1, 2)
        again = await self.server(1)
        again.epoch, again.image = one.epoch, before
        self.assertEqual((await again.register()).broker_epoch, one.epoch)
        await again.until(lambda image: image.generation == before.generation + 1)
        self.assertEqual(again.image.partitions, before.partitions)
        self.assertEqual(again.snapshots, 0, "who is nearly up to date gets the rest only")


if __name__ == "__main__":
    unittest.main()
