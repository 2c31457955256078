"""`server.aio.process`: the way to the plain HTTP interface, before and at its first call."""

import unittest
from collections.abc import Awaitable

from server.aio.process import _HttpQueue
from tests.support.queue_replicas import request
from wire.exchange import Response


class HttpQueueTest(unittest.IsolatedAsyncioTestCase):
    async def test_nothing_is_begun_before_a_call(self) -> None:
        http = _HttpQueue("127.0.0.1:1", None)
        self.assertIsNone(http.answer(request("GET", "/home")))
        self.assertEqual(http.metrics_text(), "")
        await http.close()

    async def test_a_call(self) -> None:
        http = _HttpQueue("127.0.0.1:1", "unix:/nowhere")
        answer = http.answer(request("GET", "/size"))
        assert not isinstance(answer, Awaitable)
        self.assertIsInstance(answer, Response)
        self.assertEqual(answer and answer.status, 400)
        self.assertIn('path="/size"', http.metrics_text())
        await http.close()


if __name__ == "__main__":
    unittest.main()
