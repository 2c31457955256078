"""`server.rest.kafka_follower`: what the contract suite can't bring about."""

import asyncio
import unittest
from collections.abc import Sequence
from unittest import mock

from confluent_kafka import KafkaError, KafkaException

from server.rest import kafka_follower
from server.rest.cluster import Record
from server.rest.kafka_follower import KafkaFollower


def polled(offset: int, error: int | None = None) -> mock.Mock:
    told = {"topic.return_value": "T", "offset.return_value": offset, "key.return_value": b"k"}
    return mock.Mock(**told, **{"error.return_value": error and KafkaError(error), "value.return_value": b"v"})


class KafkaFollowerTest(unittest.IsolatedAsyncioTestCase):
    async def test_it_goes_on_after_errors(self) -> None:
        broken = KafkaException(KafkaError(KafkaError._FATAL))
        bunches = [broken, polled(0), polled(9, KafkaError._ALL_BROKERS_DOWN), polled(1, KafkaError._PARTITION_EOF)]
        consumer = mock.Mock(**{"list_topics.side_effect": broken, "consume.return_value": []})
        found: list[Record] = []
        is_all = asyncio.Event()

        def told(records: Sequence[Record]) -> None:
            found.extend(records)
            if len(found) == 2:
                is_all.set()

        def poll(_: float) -> mock.Mock | None:
            if not bunches:
                return None
            bunch = bunches.pop(0)
            if isinstance(bunch, Exception):
                raise bunch
            return bunch

        consumer.poll.side_effect = poll
        quick = mock.patch.object(kafka_follower, "POLL_S", 0.001)
        with mock.patch.object(kafka_follower, "Consumer", return_value=consumer), quick:
            with self.assertLogs("carousel.http-queue"):
                follower = KafkaFollower("nobody", ["T"], told)
                await asyncio.wait_for(is_all.wait(), 20)
            await follower.close()
        self.assertEqual(found, [Record("T", 0, b"k", b"v"), Record("T", 1, None, None, is_end=True)])
        consumer.close.assert_called_once()

    async def test_a_long_log_is_polled_no_faster_than_it_is_applied(self) -> None:
        polls, applied, ahead = 0, 0, 0
        is_all = asyncio.Event()

        def poll(_: float) -> mock.Mock:
            nonlocal polls, ahead
            ahead = max(ahead, polls - applied)
            polls += 1
            return polled(polls)

        def told(_: Sequence[Record]) -> None:
            nonlocal applied
            applied += 1
            if applied == 50:
                is_all.set()

        consumer = mock.Mock(**{"poll.side_effect": poll, "consume.return_value": []})
        with mock.patch.object(kafka_follower, "Consumer", return_value=consumer):
            follower = KafkaFollower("nobody", ["T"], told)
            await asyncio.wait_for(is_all.wait(), 20)
            await follower.close()
        self.assertLessEqual(ahead, 1)


if __name__ == "__main__":
    unittest.main()
