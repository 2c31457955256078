"""The static runtime: the contract, as far as one can owe it who starts nothing; and how names are read."""

import unittest

from support.runtime_contract import RuntimeContract

from loadbalancer.instances import Instance, ReplicaSpec
from loadbalancer.spawn.base import Runtime, SpawnError
from loadbalancer.spawn.static import StaticRuntime, member


class TestContract(RuntimeContract, unittest.IsolatedAsyncioTestCase):
    serves = False
    keeps = False

    async def make(self) -> Runtime:
        return StaticRuntime()

    def spec(self, number: int) -> ReplicaSpec:
        return ReplicaSpec(f"127.0.0.1:{9000 + number}", 100 + number, number)

    async def crash(self, instance: Instance) -> None:
        self.skipTest("whoever runs a static backend does not tell")

    async def freeze(self, instance: Instance) -> None:
        """Nothing hears a signal here."""


class TestMembers(unittest.IsolatedAsyncioTestCase):
    def test_names_are_addresses(self) -> None:
        for name, place in (
            ("h:1", ("h", 1)),
            ("10.0.0.1:65535", ("10.0.0.1", 65535)),
            ("[::1]:80", ("::1", 80)),
        ):
            with self.subTest(name):
                found = member(ReplicaSpec(name, 7, 2))
                self.assertEqual((place, name, 7, 2), ((found.host, found.port), found.handle, found.node_id, 2))

    def test_other_names_are_refused(self) -> None:
        for name in ("h", ":80", "h:", "h:0", "h:65536", "h:x", "[]:80", "h:8²"):
            with self.subTest(name), self.assertRaises(SpawnError):
                member(ReplicaSpec(name, 1, 1))

    async def test_the_kept_layout_is_there_at_once(self) -> None:
        runtime = StaticRuntime([ReplicaSpec("h:80", 7, 2)])
        self.assertFalse(runtime.respawns)
        self.assertEqual([member(ReplicaSpec("h:80", 7, 2))], await runtime.list())


if __name__ == "__main__":
    unittest.main()
