"""`server.rest.kafka_reader`: what the contract suite can't bring about."""

import asyncio
import threading
import unittest
from typing import Any
from unittest import mock

from confluent_kafka import KafkaError, KafkaException

from server.http_calls import BadCall
from server.rest import kafka_reader
from server.rest.cluster import Away
from server.rest.kafka_reader import KafkaReader

P = ("T", 0)


def polled(offset: int, error: int | None = None) -> mock.Mock:
    told: dict[str, Any] = {"topic.return_value": "T", "partition.return_value": 0, "offset.return_value": offset}
    told["error.return_value"] = None if error is None else KafkaError(error)
    return mock.Mock(**told, **{"value.return_value": b"%d" % offset})


class KafkaReaderTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.consumer = mock.Mock(**{"consume.side_effect": self.consume})
        self.bunches: list[list[mock.Mock]] = []
        with mock.patch.object(kafka_reader, "Consumer", return_value=self.consumer):
            self.reader = KafkaReader("nobody")

    def consume(self, count: int, timeout: int) -> list[mock.Mock]:
        return self.bunches.pop(0) if self.bunches else []

    async def test_an_offset_without_a_message(self) -> None:
        """A transaction's marker, or what was compacted away."""
        self.bunches = [[polled(4), polled(7)]]
        self.assertEqual(await self.reader.read(P, 3, 8), (4, b"4"))
        self.assertEqual(self.reader.in_hand(P, 5), (7, b"7"))
        self.consumer.incremental_unassign.assert_called_once()

    async def test_nothing_up_to_the_end(self) -> None:
        self.bunches = [[], [polled(8, KafkaError._PARTITION_EOF)]]
        self.assertIsNone(await self.reader.read(P, 3, 8))

    async def test_a_log_that_ends_before_what_was_told(self) -> None:
        """Its topic was made anew since: nothing is left there, however often it is asked."""
        self.bunches = [[polled(2), polled(5, KafkaError._PARTITION_EOF)]]
        async with asyncio.timeout(1):
            self.assertEqual(await self.reader.read(P, 2, 8), (2, b"2"))
            self.bunches = [[polled(5, KafkaError._PARTITION_EOF)]]
            self.assertIsNone(await self.reader.read(P, 5, 8))
        self.assertEqual(self.consumer.incremental_assign.call_count, 2)

    async def test_a_log_that_begins_anew_below_the_offset(self) -> None:
        """librdkafka resets an offset that isn't there to the log's beginning: those messages aren't asked for."""
        self.bunches = [[polled(0), polled(1)], [polled(2, KafkaError._PARTITION_EOF)]]
        async with asyncio.timeout(1):
            self.assertIsNone(await self.reader.read(P, 6, 8))
        self.assertIsNone(self.reader.in_hand(P, 0))

    async def test_a_demand_is_bounded(self) -> None:
        with mock.patch.object(kafka_reader, "MAX_MESSAGES", 3):
            self.bunches = [[polled(at) for at in range(10)]]
            self.assertEqual(await self.reader.read(P, 0, 100), (0, b"0"))
        self.assertEqual(self.reader.in_hand(P, 2), (2, b"2"))
        self.assertIsNone(self.reader.in_hand(P, 3))

    async def test_two_readers_of_a_partition(self) -> None:
        self.bunches = [[polled(0), polled(1)], [polled(9)]]
        found = await asyncio.gather(self.reader.read(P, 0, 2), self.reader.read(P, 1, 2), self.reader.read(P, 9, 10))
        self.assertEqual(found, [(0, b"0"), (1, b"1"), (9, b"9")])
        self.assertEqual(self.consumer.incremental_assign.call_count, 2)

    async def test_it_does_not_come(self) -> None:
        with mock.patch.object(kafka_reader, "READ_S", 0.01), self.assertRaises(Away):
            await self.reader.read(P, 0, 1)
        self.bunches = [[polled(0)]]
        self.assertEqual(await self.reader.read(P, 0, 1), (0, b"0"))

    async def test_an_error(self) -> None:
        self.bunches = [[polled(0, KafkaError.TOPIC_AUTHORIZATION_FAILED)]]
        with self.assertRaises(BadCall):
            await self.reader.read(P, 0, 1)

    async def test_the_consumer_is_left_alone_while_a_topic_is_asked_for(self) -> None:
        """confluent-kafka has the loop sleep there until the answer has come, which may be this server's to give."""
        asked, answer = threading.Event(), threading.Event()

        def ask(topic: str, limit_s: float) -> None:
            if topic == "U":
                asked.set()
                self.assertTrue(answer.wait(10))

        self.consumer.list_topics.side_effect = ask
        with mock.patch.object(kafka_reader, "READ_S", 0.05):
            late = asyncio.create_task(self.reader.read(P, 0, 1))
            while not self.consumer.consume.called:
                await asyncio.sleep(0)
            others = [asyncio.create_task(self.reader.read(("U", at), 0, 0)) for at in range(3)]
            self.assertTrue(await asyncio.to_thread(asked.wait, 10))
            before = len(self.consumer.mock_calls)
            with self.assertRaises(Away):
                await late
            again = asyncio.create_task(self.reader.read(P, 0, 0))
            await asyncio.sleep(0.02)
            self.assertEqual(len(self.consumer.mock_calls), before)
            answer.set()
            self.assertEqual(await asyncio.gather(*others, again, return_exceptions=True), [mock.ANY] * 4)
        self.assertEqual([call.args[0] for call in self.consumer.list_topics.call_args_list], ["T", "U"])
        self.assertEqual(self.consumer.mock_calls[before], mock.call.incremental_unassign([mock.ANY]))

    async def test_a_topic_that_nobody_tells(self) -> None:
        self.consumer.list_topics.side_effect = KafkaException(KafkaError(KafkaError._TRANSPORT))
        found = await asyncio.gather(*[self.reader.read(P, at, 9) for at in range(3)], return_exceptions=True)
        self.assertEqual([type(error) for error in found], [Away] * 3)
        self.consumer.list_topics.assert_called_once()

    async def test_what_is_forgotten_is_read_again(self) -> None:
        self.bunches = [[polled(0)]]
        await self.reader.read(P, 0, 1)
        self.reader.forget("T")
        self.assertIsNone(self.reader.in_hand(P, 0))
        await self.reader.close()
        self.consumer.close.assert_called_once()


if __name__ == "__main__":
    unittest.main()
