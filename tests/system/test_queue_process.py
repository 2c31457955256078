"""`python -m server` with a queue: a real process, a control that speaks the link, a real client."""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import unittest
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from tests.support.fake_control import FakeControl
from wire.cluster_link import Stop


@pytest.mark.system
class TestQueueProcess(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.path = Path(tempfile.mkdtemp(dir="/tmp"))
        self.control = FakeControl(str(self.path / "queue.sock"))
        await self.control.__aenter__()
        self.process: Any = None

    async def asyncTearDown(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        await self.control.__aexit__()
        shutil.rmtree(self.path)

    async def start(self) -> str:
        """The CLIENT listener's address, once it is served."""
        lives = len(self.control.registered)
        environ = os.environ | {
            "CONTROL": self.control.address,
            "CLUSTER_SECRET": self.control.secret,
            "DATA_DIR": str(self.path / "data"),
            "CAROUSEL_CLUSTER": "c",
            "NODE_ID": "1",
            "PORT": "0",
        }
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "server", env=environ, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(20):
            while True:
                line = json.loads(await self.process.stderr.readline())
                if line["event"] == "listening":
                    self.address = line["address"]
                if line["event"] == "queue":
                    break
            while len(self.control.registered) == lives:
                await asyncio.sleep(0.01)
        return line["client"]

    async def stop(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        async with asyncio.timeout(20):
            _, rest = await self.process.communicate()
        self.assertNotIn(b"exception", rest)

    async def test_produce_stop_and_consume_from_the_next_life(self) -> None:
        where = await self.start()
        await asyncio.to_thread(self.produce, where, 0)
        await self.stop(signal.SIGKILL)
        again = await self.start()
        self.assertEqual(again, where, "the ports are kept")
        self.assertEqual(self.control.registered[-1].stop, Stop.SAME_BOOT)
        await asyncio.to_thread(self.produce, where, 100)
        self.assertEqual(await asyncio.to_thread(self.consume, where), [b"%d" % at for at in range(200)])
        await self.stop()
        await self.start()
        self.assertEqual(self.control.registered[-1].stop, Stop.CLEAN)

    async def test_metrics(self) -> None:
        where = await self.start()
        await asyncio.to_thread(self.produce, where, 0)
        await asyncio.to_thread(self.produce, where, 100)
        await asyncio.to_thread(self.consume, where)
        text = await asyncio.to_thread(self.metrics)
        samples = {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        self.assertEqual(samples["kafka_server_brokertopicmetrics_messagesin_total", "t"], 200)
        self.assertGreater(samples["kafka_server_brokertopicmetrics_bytesout_total", "t"], 0)
        self.assertEqual(samples["kafka_log_log_logendoffset", "t", "0"], 200)
        self.assertGreaterEqual(samples["kafka_network_requestmetrics_totaltimems_count", "Produce"], 2)
        self.assertGreaterEqual(samples["kafka_network_requestmetrics_requests_total", "FetchConsumer"], 1)
        self.assertGreaterEqual(samples["kafka_log_logflushstats_logflushrateandtimems_count",], 2)
        self.assertGreater(samples["process_resident_memory_bytes",], 0)

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def produce(self, where: str, start: int) -> None:
        errors: list[Any] = []
        producer = Producer({"bootstrap.servers": where, "enable.idempotence": True, "log_level": 0})
        for at in range(start, start + 100):
            producer.produce("t", b"%d" % at, partition=0, on_delivery=lambda error, _: errors.append(error))
        self.assertEqual(producer.flush(20), 0)
        self.assertEqual(errors, [None] * 100)

    def consume(self, where: str) -> list[bytes]:
        consumer = Consumer({"bootstrap.servers": where, "group.id": "g", "auto.offset.reset": "earliest"})
        consumer.assign([TopicPartition("t", 0, 0)])
        found: list[bytes] = []
        while len(found) < 200:
            (message,) = consumer.consume(1, 10)
            found.append(message.value())
        consumer.close()
        return found


if __name__ == "__main__":
    unittest.main()
