"""`server.aio.process`: a server whose disk fails leaves in order, and says so (R8)."""

import asyncio
import socket
import unittest
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from server.aio import process
from server.aio.process import DiskFailed
from server.settings import Settings


class FakeQueue:
    def __init__(self) -> None:
        self.queue = SimpleNamespace(metrics_text=lambda: "", has_failed=False, on_disk_failed=None)
        self.has_stopped = False

    async def stop(self) -> None:
        self.has_stopped = True


class ProcessTest(unittest.IsolatedAsyncioTestCase):
    async def serve(self, queue: FakeQueue) -> None:
        async def start(*_: Any) -> FakeQueue:
            return queue

        listener = socket.create_server(("127.0.0.1", 0))
        with patch.object(process, "_start_queue", start):
            await process._serve(Settings("here", "{id}", "127.0.0.1", 0, None, None, None), None, listener, None)

    async def test_a_disk_that_fails(self) -> None:
        for fails_early in (False, True):
            queue = FakeQueue()
            queue.queue.has_failed = fails_early
            serving = asyncio.create_task(self.serve(queue))
            async with asyncio.timeout(10):
                while not fails_early and queue.queue.on_disk_failed is None:
                    await asyncio.sleep(0.005)
                if not fails_early:
                    queue.queue.has_failed = True
                    queue.queue.on_disk_failed()
                with self.assertRaises(DiskFailed):
                    await serving
            self.assertTrue(queue.has_stopped)


if __name__ == "__main__":
    unittest.main()
