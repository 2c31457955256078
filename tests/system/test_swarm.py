"""The compose file as a Swarm stack: it serves, replaces what is killed, survives its own end, and leaves nothing."""

import subprocess
import unittest
from typing import Any

import pytest
from support.compose import compose, eventually, some_commands

from analysis.composed import ROOT, Composed

STACK_LABEL = "com.docker.stack.namespace"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.system
class SwarmTest(unittest.TestCase):
    """A project's name, network and ports serve for a stack as well."""

    def setUp(self) -> None:
        self.system = compose(some_commands()[0], CAROUSEL_ADMIN_TOKEN="of-the-test")
        self.addCleanup(self.system.client.close)
        self.join()
        self.addCleanup(self.clear)

    def join(self) -> None:
        """An engine that is in no swarm makes one of its own, and leaves it."""
        state = self.system.client.info()["Swarm"]
        if state["LocalNodeState"] == "inactive":
            self.system.client.swarm.init(advertise_addr="127.0.0.1")
            self.addCleanup(self.system.client.swarm.leave, force=True)
        elif not state["ControlAvailable"]:
            self.skipTest("this engine belongs to a swarm that others manage")

    def test_a_stack(self) -> None:
        deployed = self.run_(["deploy/swarm", self.system.project])
        self.assertEqual(0, deployed.returncode, deployed.stderr)
        self.system.until_healthy(3)
        self.assertIn("Hello from Server", self.system.call("GET", "/home")[1]["message"])
        victim = self.system.names()[0]
        self.system.replicas()[victim].kill()
        self.system.until_healthy(3, without_name=victim)
        before = self.system.ids()
        fronts(self.system, all=False)[0].kill()
        self.assertTrue(eventually(lambda: self.system.healthy() == []))
        self.system.until_healthy(3)
        self.assertEqual(before, self.system.ids())
        self.assertTrue(eventually(self.removed))
        self.assertEqual(({}, []), (self.system.ids(), self.system.networks()))

    def removed(self) -> bool:
        """Swarm keeps the network, and says so, while the front door ends its replicas: then it takes another call."""
        return self.run_(["docker", "stack", "rm", self.system.project]).returncode == 0 and not fronts(self.system)

    def run_(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=ROOT, env=self.system.environment, capture_output=True, text=True, timeout=60, check=False
        )

    def clear(self) -> None:
        eventually(self.removed)
        for container in self.system.replicas().values():
            container.remove(force=True)
        for volume in [*self.system.volumes(), *self.system.client.volumes.list(filters=of(self.system))]:
            volume.remove(force=True)


def of(system: Composed) -> dict[str, str]:
    return {"label": f"{STACK_LABEL}={system.project}"}


def fronts(system: Composed, all: bool = True) -> list[Any]:
    return system.client.containers.list(all=all, ignore_removed=True, filters=of(system))
