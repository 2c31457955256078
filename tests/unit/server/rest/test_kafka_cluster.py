"""`server.rest.kafka_cluster`: the contract, by librdkafka over one bundled server."""

import asyncio
import itertools
import shutil
import tempfile
import unittest
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

from confluent_kafka import TopicPartition

from server.rest import kafka_cluster
from server.rest.cluster import Away, Cluster
from server.rest.kafka_cluster import KafkaCluster
from tests.support.cluster_contract import ClusterContract
from tests.support.one_broker import running

_numbers = itertools.count()
TOPICS = {f"T{number}": (2, {}) for number in range(10)}
INTERNAL = {name: (1, {"cleanup.policy": "compact"}) for name in ("__carousel_cursors", "__carousel_names")}


class KafkaClusterTest(ClusterContract):
    __test__ = True
    bootstrap: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        path = Path(tempfile.mkdtemp(dir="/tmp"))
        cls.addClassCleanup(shutil.rmtree, path)
        topics: Any = {**TOPICS, **INTERNAL}
        cls.bootstrap = cls.enterClassContext(running(path, topics))

    async def make_cluster(self) -> Cluster:
        self.topic = f"T{next(_numbers)}"
        return KafkaCluster(self.bootstrap)

    async def test_a_cluster_that_is_away(self) -> None:
        away = KafkaCluster("127.0.0.1:1")
        self.addAsyncCleanup(away.close)
        with self.assertRaises(Away):
            await asyncio.wait_for(away.metadata(), 20)

    async def test_offsets_are_asked_for_again_while_a_leader_changes(self) -> None:
        cluster = KafkaCluster(self.bootstrap)
        self.addAsyncCleanup(cluster.close)
        answers = mock.AsyncMock(side_effect=[Away("fenced"), Away("no leader"), {0: 7}])
        looks = mock.AsyncMock()
        with mock.patch.object(cluster, "_ask_offsets", answers), mock.patch.object(cluster, "metadata", looks):
            self.assertEqual(await cluster.ends("T0", (0,)), {0: 7})
        self.assertEqual(looks.await_count, 2, "or librdkafka would ask the one that it knows again")
        limits = [round(call.args[3]) for call in answers.await_args_list]
        self.assertEqual(limits, [1, 1, 1], "a leader that has just ended would take all the time that there is")
        never = mock.patch.object(cluster, "_ask_offsets", mock.AsyncMock(side_effect=Away("fenced")))
        with mock.patch.object(kafka_cluster, "ASK_S", 0.0), never, self.assertRaises(Away):
            await cluster.ends("T0", (0,))

    async def test_an_offset_that_is_none_is_not_believed(self) -> None:
        """It would be an empty topic, and registered producers wouldn't exist."""
        cluster = KafkaCluster(self.bootstrap)
        self.addAsyncCleanup(cluster.close)

        def asked(offset: int) -> dict[TopicPartition, Future[mock.Mock]]:
            future: Future[mock.Mock] = Future()
            future.set_result(mock.Mock(offset=offset))
            return {TopicPartition("T0", 0): future}

        cluster._admin = mock.Mock(**{"list_offsets.side_effect": [asked(-1001), asked(3)]})
        with mock.patch.object(cluster, "metadata", mock.AsyncMock()):
            self.assertEqual(await cluster.ends("T0", (0,)), {0: 3})

    async def test_a_server_s_name_is_asked_of_itself(self) -> None:
        self.assertEqual(await self.cluster.server_names((1,)), {})


del ClusterContract

if __name__ == "__main__":
    unittest.main()
