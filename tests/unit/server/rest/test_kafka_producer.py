"""`server.rest.kafka_producer`: what the contract suite can't bring about."""

import asyncio
import threading
import unittest
from unittest import mock

from confluent_kafka import KafkaError, KafkaException

from server.rest.cluster import Away, NoTopic
from server.rest.kafka_producer import KafkaProducer

NOBODY = "127.0.0.1:1"


def message(offset: int) -> mock.Mock:
    return mock.Mock(**{"offset.return_value": offset, "topic.return_value": "T"})


class KafkaProducerTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.producer = KafkaProducer(NOBODY)
        self.addAsyncCleanup(self.producer.close)
        self.loop = asyncio.get_running_loop()

    def fake(self, produce: mock.Mock) -> None:
        """librdkafka's own, without a message; its thread goes on polling the real one."""
        self.producer._handle.producer = mock.Mock(produce=produce, **{"flush.return_value": 0})

    async def test_no_room(self) -> None:
        self.fake(mock.Mock(side_effect=BufferError))
        with self.assertRaises(Away):
            await self.producer.send("T", 0, b"x", None)

    async def test_refused_at_once(self) -> None:
        self.fake(mock.Mock(side_effect=KafkaException(KafkaError(KafkaError._UNKNOWN_PARTITION))))
        with self.assertRaises(NoTopic):
            await self.producer.send("T", 9, b"x", None)
        librdkafka = self.producer._handle.producer
        self.assertEqual((librdkafka.list_topics.call_count, librdkafka.produce.call_count), (1, 2))

    async def test_acknowledgments_come_in_bunches_from_another_thread(self) -> None:
        waiters = [self.loop.create_future() for _ in range(50)]
        waiters[7].cancel()

        def deliver() -> None:
            for at, waiter in enumerate(waiters):
                self.producer._delivered(waiter, None, message(at))

        thread = threading.Thread(target=deliver)
        thread.start()
        found = await asyncio.wait_for(asyncio.gather(*waiters, return_exceptions=True), 20)
        thread.join()
        self.assertEqual([one for one in found if isinstance(one, int)], [at for at in range(50) if at != 7])

    async def test_a_fatal_error_is_the_end_of_one_producer_only(self) -> None:
        before = self.producer._handle
        waiter = self.loop.create_future()
        error = mock.Mock(spec=KafkaError, **{"fatal.return_value": True, "code.return_value": KafkaError._FATAL})
        self.producer._delivered(waiter, error, message(-1))
        with self.assertRaises(Away), self.assertLogs("carousel.http-queue"):
            await asyncio.wait_for(waiter, 20)
        self.assertIsNot(self.producer._handle, before)
        await asyncio.to_thread(before.join)


if __name__ == "__main__":
    unittest.main()
