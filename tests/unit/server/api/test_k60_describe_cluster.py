"""DescribeCluster: the servers of the listener that was asked."""

import unittest
from typing import Any

from support.cluster_world import Asking, ClusterWorld

from server.api import k60_describe_cluster


def ask(version: int = 2, listener: str = "CLIENT", **more: Any) -> Any:
    request = {"include_cluster_authorized_operations": False, "endpoint_type": 1, "include_fenced_brokers": False}
    return Asking(k60_describe_cluster, version, request | more, ClusterWorld(), listener).answer


class DescribeClusterTest(unittest.TestCase):
    def test_every_version(self) -> None:
        for version in range(3):
            answer = ask(version)
            self.assertEqual((answer.cluster_id, answer.controller_id, answer.error_code), ("the-cluster", 1, 0))
            self.assertEqual([(b.broker_id, b.host, b.port, b.rack) for b in answer.brokers],
                             [(1, "host-1", 9001, "a"), (2, "host-2", 9002, None)])  # fmt: skip

    def test_fenced_ones_when_asked(self) -> None:
        brokers = ask(include_fenced_brokers=True).brokers
        self.assertEqual([(b.broker_id, b.is_fenced) for b in brokers], [(1, False), (2, False), (3, True)])

    def test_a_listener_that_nobody_has(self) -> None:
        answer = ask(listener="EXTERNAL")
        self.assertEqual((answer.brokers, answer.controller_id), ((), -1))

    def test_controllers_are_not_reached(self) -> None:
        for kind, code in ((2, 114), (3, 115), (0, 115)):
            answer = ask(endpoint_type=kind)
            self.assertEqual((answer.error_code, answer.brokers, answer.endpoint_type), (code, (), kind))

    def test_operations(self) -> None:
        self.assertEqual(ask().cluster_authorized_operations, -(1 << 31))
        self.assertGreater(ask(include_cluster_authorized_operations=True).cluster_authorized_operations, 0)
