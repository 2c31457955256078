"""The queue's cluster as a user runs it, harmed at its joints: control, a server, the fleet, a restart, the state file.

Producers run meanwhile and write down what they are told; the drills' judge says whether that was kept.
"""

import contextlib
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from collections.abc import Generator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pytest
from support.kafka_raw import Raw, array, request, text

from analysis.ports import free_ports
from analysis.queue_drills.engines import CarouselEngine
from analysis.queue_drills.figures import acks, worst_pause
from analysis.queue_drills.judge import judge
from analysis.queue_drills.load import PARTITIONS, Load
from analysis.running import Running, alive, descendants, running, wait_until
from server.image import read_lines
from wire.cluster import Image
from wire.errors import ErrorCode

LIMIT_S = 30.0
RATE = 300.0
CREATE_TOPICS = 19
FLAGS = ("--workers", "1", "--queue-moves", "1")
AWAY_S = 0.6
"""A request's time-out, for what control would have to do while it is away."""


def create(topic: str, timeout_s: float) -> bytes:
    """CreateTopics 2 of one partition."""
    wish = text(topic) + struct.pack(">ih", 1, 1) + array() + array()
    return request(CREATE_TOPICS, 2, array(wish) + struct.pack(">ib", int(timeout_s * 1000), 0))


def created(answer: bytes) -> int:
    """The error code of its one topic, behind the correlation id and the throttle time."""
    (size,) = struct.unpack_from(">h", answer, 12)
    (code,) = struct.unpack_from(">h", answer, 14 + size)
    return code


def carousel(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "loadbalancer", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)


class System:
    """A running one, and what a test does to it."""

    def __init__(self, running: Running, servers: int) -> None:
        self.running = running
        self._servers = servers

    @cached_property
    def engine(self) -> CarouselEngine:
        """With the address of those that are registered then, so all should be."""
        wait_until(lambda: self.queue()["brokers"] == self._servers, LIMIT_S, "all are registered")
        return CarouselEngine(self.running, self._servers)

    @property
    def state_dir(self) -> Path:
        return self.running.state_dir

    def queue(self) -> dict[str, Any]:
        return self.running.cluster()["queue"]

    def image(self, node_id: int) -> Image:
        """The copy of the cluster's records that a server keeps."""
        return read_lines((self.state_dir / "nodes" / str(node_id) / "cluster.records").read_bytes())[0]

    def control(self) -> list[int]:
        """gunicorn's arbiter and its worker."""
        (arbiter,) = (child["pid"] for child in self.running.children("control"))
        return [arbiter, *descendants(arbiter)]

    def carousel(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return carousel(*arguments, "--state-dir", str(self.state_dir))

    def ask_for(self, topic: str, timeout_s: float) -> int:
        with Raw(self.server()) as raw:
            return created(raw.ask(create(topic, timeout_s)))

    def server(self) -> tuple[str, int]:
        host, _, port = self.engine.bootstrap.split(",")[0].rpartition(":")
        return host, int(port)

    def settled(self) -> None:
        """All there, nothing moving, everything led."""

        def holds() -> bool:
            with contextlib.suppress(OSError, KeyError, ValueError):
                cluster = self.running.cluster()
                queue, replicas = cluster["queue"], cluster["replicas"]
                busy = queue["lost"] or queue["offline"] or any(queue["moves"].values())
                healthy = {replica["state"] for replica in replicas} == {"healthy"}
                brokers = self.image(replicas[0]["node_id"]).brokers.values()
                served = [broker for broker in brokers if broker.welcomed and not broker.fenced]
                return healthy and not busy and len(served) == len(replicas) == queue["brokers"]
            return False

        wait_until(holds, LIMIT_S, "settled")


class ClusterCase(unittest.TestCase):
    system: System

    @contextlib.contextmanager
    def under_load(self, topic: str) -> Generator[Load]:
        """Producers while the block runs; afterwards nothing of what they were told is broken."""
        load = Load(self.system.engine, RATE, random.randrange(1 << 32), topic)
        load.start()
        self.begun_s = time.monotonic()
        try:
            yield load
        except BaseException:
            load.end()
            raise
        load.wait_fresh(time.monotonic(), LIMIT_S)
        self.lanes, self.ended_s = load.end(), load.end_s
        verdict = judge(self.lanes, load.read())
        self.assertEqual(dict(verdict.broken), {}, verdict.examples)
        self.assertEqual(load.broken(), [])
        self.assertGreater(verdict.acked, 100)

    def pause_s(self) -> float:
        """The longest time in which a partition with messages under way acknowledged none."""
        return worst_pause(acks(self.lanes), self.begun_s, self.ended_s).lasted_s


@pytest.mark.system
class QueueClusterTest(ClusterCase):
    """One system of three servers for all of these; each leaves it whole."""

    shared: ClassVar[System]

    @classmethod
    def setUpClass(cls) -> None:
        directory = Path(tempfile.mkdtemp(prefix="carousel-", dir="/tmp"))
        cls.addClassCleanup(shutil.rmtree, directory, ignore_errors=True)
        flags = (*FLAGS, "--queue-port", str(free_ports(1)[0]))
        cls.shared = System(cls.enterClassContext(running(*flags, state_dir=directory)), 3)

    def setUp(self) -> None:
        self.system = self.shared
        self.system.settled()

    def test_control_s_end_interrupts_no_producer(self) -> None:
        with self.under_load("control-killed"):
            for pid in reversed(self.system.control()):
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.2)
            self.system.settled()
        self.assertLess(self.pause_s(), 1.0)

    def test_topics_while_control_is_away(self) -> None:
        arbiter, *workers = self.system.control()
        os.kill(arbiter, signal.SIGSTOP)  # so that no other worker comes
        try:
            for pid in workers:
                os.kill(pid, signal.SIGKILL)
            begun = time.monotonic()
            self.assertEqual(self.system.ask_for("away", AWAY_S), ErrorCode.NOT_CONTROLLER)
            self.assertLess(time.monotonic() - begun, AWAY_S + 1.0)
        finally:
            os.kill(arbiter, signal.SIGCONT)
        self.system.settled()
        self.assertEqual(self.system.ask_for("away", 10.0), ErrorCode.NONE)

    def test_a_killed_server_s_successor_has_its_data_its_ports_and_a_higher_epoch(self) -> None:
        with self.under_load("server-killed"):
            before = self.system.image(1)
            victim = self.system.running.cluster()["replicas"][0]
            os.kill(victim["pid"], signal.SIGKILL)
            wait_until(lambda: not alive(victim["pid"]), LIMIT_S, "its end")
            self.system.settled()
            node = victim["node_id"]
            wait_until(lambda: self.epochs_of(node) > self.epochs_of(node, before), LIMIT_S, "a higher epoch")
        after = self.system.image(node)
        self.assertEqual(after.brokers[node].listeners, before.brokers[node].listeners)
        led = [key for key, partition in before.partitions.items() if partition.leader == node]
        self.assertTrue(led)
        for key in led:
            self.assertEqual(after.partitions[key].leader, node)
            self.assertGreater(after.partitions[key].leader_epoch, before.partitions[key].leader_epoch)

    def epochs_of(self, node: int, image: Image | None = None) -> int:
        return (image or self.system.image(node)).brokers[node].epoch

    def test_newcomers_get_their_share_and_leavers_give_it_back(self) -> None:
        with self.under_load("added"):
            moving = self.watched_moves()
            self.system.engine.change(adds=True, count=1)
            self.system.settled()
            self.assertGreater(max(moving()), 0)
            image = self.system.image(1)
            newest = max(image.brokers)
            held = sum(newest in partition.replicas for partition in image.partitions.values())
            self.assertGreater(held, 0)
            self.assertLess(held, len(image.partitions) * 0.6)  # 1/4 of some dozens, by hashes
            self.system.engine.change(adds=False, count=1)
            self.system.settled()

    def watched_moves(self) -> Any:
        """Look at `carousel status`'s numbers until the returned function is called, which gives what was seen."""
        seen, over = [0], threading.Event()

        def watch() -> None:
            while not over.wait(0.005):
                with contextlib.suppress(Exception):  # it may be asked at a bad moment
                    seen.append(sum(self.system.queue()["moves"].values()))

        thread = threading.Thread(target=watch)
        thread.start()

        def end() -> list[int]:
            over.set()
            thread.join()
            return seen

        self.addCleanup(end)
        return end

    def test_the_last_holder_can_t_be_removed(self) -> None:
        self.assertEqual(self.system.ask_for("kept", 10.0), ErrorCode.NONE)
        status, told = self.system.running.call("DELETE", "/rm", {"n": len(self.system.engine.servers())})
        self.assertEqual(status, 400, told)
        self.system.settled()

    @pytest.mark.slow
    def test_a_reload_interrupts_no_producer(self) -> None:
        with self.under_load("reloaded"):
            before = self.system.control()
            self.assertEqual(self.system.carousel("reload").returncode, 0)
            wait_until(lambda: not any(map(alive, before)), LIMIT_S, "the old control's end")
            self.system.settled()

    def test_status_shows_the_queue(self) -> None:
        told = self.system.carousel("status").stdout
        queue = self.system.queue()
        self.assertIn(f"queue {queue['bootstrap']}: {queue['topics']} topics, {queue['partitions']} partitions", told)


@pytest.mark.system
@pytest.mark.slow
class ColdStartTest(ClusterCase):
    """What is there after an end of all."""

    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="carousel-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.flags = (*FLAGS, "--queue-port", str(free_ports(1)[0]))

    @contextlib.contextmanager
    def up(self) -> Generator[System]:
        with running(*self.flags, state_dir=self.directory) as system:
            self.system = System(system, 3)
            yield self.system

    def fill(self) -> Load:
        load = Load(self.system.engine, RATE, random.randrange(1 << 32))
        load.start()
        self.lanes = load.end()
        return load

    def check_kept(self, load: Load) -> None:
        verdict = judge(self.lanes, load.read())
        self.assertEqual(dict(verdict.broken), {}, verdict.examples)
        self.assertGreater(verdict.acked, 50)

    def test_topics_and_messages_are_kept(self) -> None:
        with self.up():
            load = self.fill()
            before = self.system.image(1)
        with self.up() as system:
            system.settled()
            self.assertEqual(system.queue()["partitions"], PARTITIONS)
            self.assertEqual(system.image(1).topics, before.topics)
            self.check_kept(load)
            self.assertEqual(system.ask_for("more", 10.0), ErrorCode.NONE)

    def test_control_without_its_state_does_not_lead_until_it_is_recovered(self) -> None:
        with self.up():
            load = self.fill()
            before = self.system.image(1)
        for path in self.directory.glob("state.sqlite*"):
            path.unlink()
        with self.up() as system:
            wait_until(lambda: bool(system.queue()["lost"]), LIMIT_S, "it is found out")
            self.assertIn("carousel recover", system.carousel("status").stdout)
            self.assertIn("see `carousel recover`", (self.directory / "system.log").read_text())
            self.assertIn("kafka_controller_kafkacontroller_activecontrollercount 0.0", self.metrics())
            recovered = self.recovered()
            self.assertIn("12 partitions from 3 servers' copies", recovered)
            wait_until(lambda: not self.is_lost(), LIMIT_S, "control leads again")
            system.settled()
            wait_until(lambda: system.image(1).generation > before.generation, LIMIT_S, "servers have heard")
            self.check_jumped(before, system.image(1))
            self.check_kept(load)
            with self.under_load("afterwards"):
                pass

    def recovered(self) -> str:
        """What the command says when all have offered their copies."""
        while (done := self.system.carousel("recover")).returncode and "not here" in done.stderr + done.stdout:
            time.sleep(0.05)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def is_lost(self) -> bool:
        with contextlib.suppress(OSError, KeyError, ValueError):
            return bool(self.system.queue()["lost"])
        return True

    def metrics(self) -> str:
        return self.system.running.call("GET", "/metrics")[1]

    def check_jumped(self, before: Image, after: Image) -> None:
        self.assertEqual(after.topics, before.topics)
        self.assertGreaterEqual(after.next_producer_id, before.next_producer_id + 1_000_000)
        for key, partition in before.partitions.items():
            self.assertGreaterEqual(after.partitions[key].leader_epoch, partition.leader_epoch + 1000)
            self.assertEqual(after.partitions[key].replicas, partition.replicas)
