"""`server.rest.memory_cluster`: the contract, and what it alone can do."""

import unittest

from server.rest.cluster import Away, Cluster
from server.rest.memory_cluster import MemoryCluster, Topics
from tests.support.cluster_contract import ClusterContract


class MemoryClusterTest(ClusterContract):
    __test__ = True
    topic = "T"

    async def make_cluster(self) -> Cluster:
        self.topics = Topics()
        self.topics.make(self.topic, 2)
        return MemoryCluster(self.topics)

    async def test_it_is_away(self) -> None:
        self.topics.is_away = True
        for asking in (self.cluster.metadata(), self.cluster.produce("T", 0, b""), self.cluster.ends("T", (0,))):
            with self.assertRaises(Away):
                await asking


del ClusterContract

if __name__ == "__main__":
    unittest.main()
