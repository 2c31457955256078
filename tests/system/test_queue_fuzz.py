"""A minute of nonsense for the CLIENT listener of a real `python -m server`: it lives, stays small, and serves others.

The seed is printed; SEED=… repeats a run (as far as threads let it), SECONDS=… makes it longer.
"""

import asyncio
import json
import os
import secrets
import select
import shutil
import sys
import tempfile
import threading
import time
import unittest
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support import kafka_raw as raw
from support.fake_control import FakeControl
from support.kafka_raw import Raw
from support.kio_messages import harmed, random_message

from wire.messages import encode
from wire.schemas import message_class
from wire.versions import APIS, REQUEST_HEADERS

SEED = int(os.environ.get("SEED") or secrets.randbelow(1 << 40))
SECONDS = float(os.environ.get("SECONDS") or 60)
STRANGERS = 4
TOPIC = "orders"
"""A name that random messages have too, so that some of them reach its partition."""
FORWARDED = (19, 20, 33, 37, 43, 44)
"""What control decides, which is a simple fake here."""
KEYS = [api.key for api in APIS.values() if api.key not in FORWARDED]
ANSWER_S = 0.02
SOON_S = 5.0
MOST_MIB = 300
"""Resident: the server itself has 50, and up to 64 of what nobody takes."""


def request(random: Random) -> bytes:
    """A request with nonsense in it, or a sound one, without its length."""
    if random.random() < 0.2:
        values = [random.randbytes(random.choice((1, 100, 5000))) for _ in range(random.choice((1, 3)))]
        producer = random.choice(((-1, -1, -1), (7, 0, 0), (2**62, 32767, 2**31 - 1)))
        return raw.produce(TOPIC, 0, raw.batch(*values, producer=producer), random.choice((-1, 0, 1)))[4:]
    if random.random() < 0.2:
        return raw.fetch(TOPIC, random.choice((0, 1, 2**40)), wait_ms=random.choice((0, 10_000)))[4:]
    api = APIS[random.choice(KEYS)]
    version = random.randint(api.lowest, api.highest)
    body = encode(random_message(message_class(api.key, version, "request"), random))
    return raw.request(api.key, version, body, 7, REQUEST_HEADERS[api.key, version] == 2)[4:]


def bother(address: tuple[str, int], seed: int, until: float) -> int:
    """Connection after connection; how many."""
    random, count = Random(seed), 0
    while time.monotonic() < until:
        frames = [request(random) for _ in range(random.choice((1, 1, 3, 20)))]
        if random.random() < 0.8:
            frames = [harmed(one, random) if random.random() < 0.5 else one for one in frames]
        data = b"".join(raw.frame(one) for one in frames)
        with suppress(OSError), Raw(address) as connection:
            connection.socket.sendall(data[: random.randrange(len(data))] if random.random() < 0.1 else data)
            while random.random() < 0.9 and select.select([connection.socket], [], [], ANSWER_S)[0]:
                if not connection.socket.recv(1 << 16):
                    break
        count += 1
    return count


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


@pytest.mark.slow
@pytest.mark.system
@pytest.mark.timeout(300)
class TestFuzz(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.path = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.path)
        self.control = FakeControl(str(self.path / "queue.sock"))
        await self.control.__aenter__()
        self.addAsyncCleanup(self.control.__aexit__)
        self.log = self.path / "log"
        environ = os.environ | {"CONTROL": self.control.address, "CLUSTER_SECRET": self.control.secret, "PORT": "0"}
        environ |= {"DATA_DIR": str(self.path / "data"), "CAROUSEL_CLUSTER": "c", "NODE_ID": "1"}
        with self.log.open("w") as log:
            self.process = await asyncio.create_subprocess_exec(sys.executable, "-m", "server", env=environ, stderr=log)
        self.addAsyncCleanup(self.end)

    async def end(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("}")]

    async def address(self) -> tuple[str, int]:
        async with asyncio.timeout(20):
            while not (found := [line["client"] for line in self.lines() if line["event"] == "queue"]):
                await asyncio.sleep(0.05)
            host, _, port = found[0].rpartition(":")
            while True:  # refused until it is registered
                with suppress(ConnectionRefusedError), Raw((host, int(port))):
                    return host, int(port)
                await asyncio.sleep(0.05)

    async def test_it_lives_stays_small_and_serves_others(self) -> None:
        print(f"SEED={SEED} SECONDS={SECONDS:g}")
        address = await self.address()
        self.control.create_topic(TOPIC)
        self.control.create_topic("mine")
        until = time.monotonic() + SECONDS
        counts: list[int] = []
        threads = [
            threading.Thread(target=lambda n=n: counts.append(bother(address, SEED + n, until)))
            for n in range(STRANGERS)
        ]
        for thread in threads:
            thread.start()
        served = await asyncio.to_thread(self.work, address, until)
        for thread in threads:
            await asyncio.to_thread(thread.join)
        self.assertIsNone(self.process.returncode)
        size = resident_mib(self.process.pid)
        failures = [line for line in self.lines() if "exception" in line]
        print(f"{sum(counts)} connections, {served} messages of another client meanwhile, at most {size:.0f} MiB")
        self.assertEqual(failures[:3], [])
        self.assertLess(size, MOST_MIB)
        self.assertGreater(sum(counts), SECONDS)

    def work(self, address: tuple[str, int], until: float) -> int:
        """Another client, on one connection from the first to the last: every message at the next offset, and soon."""
        offset = 0
        with Raw(address) as connection:
            while time.monotonic() < until:
                begun = time.monotonic()
                error, at = raw.produced(connection.ask(raw.produce("mine", 0, raw.batch(b"m"))))
                assert time.monotonic() - begun < SOON_S
                if error in (3, 6) and not offset:
                    continue  # not known there yet
                assert (error, at) == (0, offset)
                offset += 1
                select.select([], [], [], 0.005)
            error, high, _ = raw.fetched(connection.ask(raw.fetch("mine", 0)))
            assert (error, high) == (0, offset)
        return offset


if __name__ == "__main__":
    unittest.main()
