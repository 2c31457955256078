"""What the front door knows of itself in a container."""

import tempfile
import unittest
from pathlib import Path
from unittest import mock

from loadbalancer.spawn import container_self
from loadbalancer.spawn.container_self import compose_project, default_gateway, gateway, is_beside_replicas

ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask
eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF
eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000
"""


class TestGateway(unittest.TestCase):
    def test_the_default_route(self) -> None:
        self.assertEqual("172.18.0.1", default_gateway(ROUTES))

    def test_none(self) -> None:
        for text in ("", ROUTES.splitlines()[0], "\n".join(ROUTES.splitlines()[:2]), "x\n\n y"):
            self.assertIsNone(default_gateway(text))

    def test_only_in_a_container(self) -> None:
        """Elsewhere it is some router, whose callers are anybody."""
        with tempfile.TemporaryDirectory() as directory:
            routes = Path(directory) / "route"
            routes.write_text(ROUTES)
            with mock.patch.object(container_self, "ROUTES", routes):
                with mock.patch.object(container_self, "IN_CONTAINER", Path(directory) / "none"):
                    self.assertIsNone(gateway())
                    self.assertEqual(("", False), (compose_project(), is_beside_replicas()))
                with mock.patch.object(container_self, "IN_CONTAINER", routes):
                    self.assertEqual("172.18.0.1", gateway())


if __name__ == "__main__":
    unittest.main()
