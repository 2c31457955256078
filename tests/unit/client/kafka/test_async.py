import asyncio
import unittest
from typing import Any

from confluent_kafka import KafkaError

from client.errors import BadValue, Closed, MessageTooLarge, NotDelivered, PartitionNotFound, QueueFull, TopicNotFound
from client.kafka.async_consumer import AsyncConsumer
from client.kafka.async_producer import AsyncProducer
from tests.support.fake_librdkafka import FakeCluster

AT = "127.0.0.1:9092"
NOT_LONG_S = 0.01


class AsyncCase(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        patched = FakeCluster().patched()
        self.cluster = patched.__enter__()
        self.addCleanup(patched.__exit__, None, None, None)
        self.cluster.store("T1", b"a", b"b", b"c")


class AsyncProducerTest(AsyncCase):
    def deliver(self) -> None:
        self.cluster.hold = False
        self.cluster.producers[0].wake()

    async def test_many_sends_side_by_side(self) -> None:
        async with AsyncProducer(AT, serializer="str") as producer:
            sent = await asyncio.gather(*(producer.send_and_wait("T2", str(at)) for at in range(500)))
        self.assertEqual(sorted(one.offset for one in sent), list(range(500)))

    async def test_a_delivery_that_waits_does_not_block_the_loop(self) -> None:
        self.cluster.hold = True
        async with AsyncProducer(AT) as producer:
            future = await producer.send("T2", b"x")
            await asyncio.sleep(0)
            self.assertFalse(future.done())
            self.assertEqual(producer.pending, 1)
            self.deliver()
            self.assertEqual((await future).offset, 0)

    async def test_failures(self) -> None:
        self.cluster.failing = KafkaError.UNKNOWN_TOPIC_OR_PART
        async with AsyncProducer(AT) as producer:
            with self.assertRaises(TopicNotFound):
                await producer.send_and_wait("T2", b"x")
            with self.assertRaises(BadValue):
                await producer.send("T2", "text")

    async def test_what_librdkafka_knows_already_is_told_like_a_servers_answer(self) -> None:
        self.cluster.refused = KafkaError._UNKNOWN_PARTITION
        async with AsyncProducer(AT) as producer:
            future = await producer.send("T1", b"x", partition=7)
            with self.assertRaises(PartitionNotFound):
                await future
            self.cluster.refused = KafkaError.MSG_SIZE_TOO_LARGE
            with self.assertRaises(MessageTooLarge):
                await producer.send("T1", b"x")

    async def test_room_is_waited_for(self) -> None:
        self.cluster.hold = True
        async with AsyncProducer(AT, max_block_s=5) as producer:
            held = await producer.send("T2", b"x")
            self.cluster.full = True
            waiting = asyncio.create_task(producer.send("T2", b"y"))
            await asyncio.sleep(0)
            self.assertFalse(waiting.done())
            self.cluster.full = False
            self.deliver()
            await held
            await (await waiting)
            self.cluster.full = True
            producer._max_block_s = NOT_LONG_S
            with self.assertRaises(QueueFull):
                await producer.send("T2", b"z")

    async def test_a_future_that_was_cancelled_harms_nothing(self) -> None:
        self.cluster.hold = True
        async with AsyncProducer(AT) as producer:
            future = await producer.send("T2", b"x")
            future.cancel()
            self.deliver()
        self.assertEqual(len(self.cluster.logs["T2"][0]), 1)

    async def test_a_flush_that_is_too_short_and_a_close_that_gives_up(self) -> None:
        self.cluster.hold = True
        producer = AsyncProducer(AT)
        future = await producer.send("T2", b"x")
        with self.assertRaises(NotDelivered):
            await producer.flush(0)
        with self.assertRaises(NotDelivered):
            await producer.close(0)
        with self.assertRaises(NotDelivered):
            await future
        await producer.close()
        with self.assertRaises(Closed):
            await producer.send("T2", b"x")


class AsyncConsumerTest(AsyncCase):
    async def test_iteration(self) -> None:
        seen: list[Any] = []
        async with AsyncConsumer(AT, "T1", deserializer="str") as consumer:
            async for message in consumer:
                seen.append(message.value)
                if message.offset == 2:
                    consumer.stop()
        self.assertEqual(seen, ["a", "b", "c"])
        self.assertTrue(self.cluster.consumers[-1].closed)

    async def test_batch_poll_ends_seek(self) -> None:
        async with AsyncConsumer(AT, "T1") as consumer:
            self.assertEqual([one.value for one in await consumer.batch(2, NOT_LONG_S)], [b"a", b"b"])
            await consumer.seek("T1", 0, 0)
            message = await consumer.poll(5)
            self.assertEqual(message and message.value, b"a")
            self.assertEqual(await consumer.assignment(), (("T1", 0),))
            self.assertEqual(await consumer.ends(), {("T1", 0): 3})

    async def test_a_poll_that_was_cancelled_loses_nothing(self) -> None:
        async with AsyncConsumer(AT, "T1", start="latest") as consumer:
            await consumer.poll(NOT_LONG_S)
            polling = asyncio.create_task(consumer.poll(5))
            await asyncio.sleep(0)
            polling.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await polling
            self.cluster.store("T1", b"d")
            message = await consumer.poll(5)
            self.assertEqual(message and message.value, b"d")

    async def test_groups_commit_as_the_other_consumer_does(self) -> None:
        async with AsyncConsumer(AT, "T1", group="g") as consumer:
            await consumer.batch(2, NOT_LONG_S)
            await consumer.commit()
            self.assertEqual(self.cluster.committed, {("T1", 0): 2})
        with self.assertRaises(ZeroDivisionError):
            async with AsyncConsumer(AT, "T1", group="g") as consumer:
                await consumer.batch(3, NOT_LONG_S)
                raise ZeroDivisionError
        self.assertEqual(self.cluster.committed, {("T1", 0): 2})

    async def test_what_is_not_there_is_raised_at_the_first_use_and_again(self) -> None:
        consumer = AsyncConsumer(AT, "T9")
        for _ in range(2):
            with self.assertRaises(TopicNotFound):
                await consumer.poll(0)
        await consumer.close()
        with self.assertRaises(Closed):
            await consumer.poll(0)
