import configparser
import unittest
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHELLS = {
    "client.runconsume",
    "client.runproduce",
    "loadbalancer.__main__",
    "loadbalancer.logs",
    "loadbalancer.settings",
    "server.__main__",
    "server.logs",
}
"""Directly in a folder, and they reach the world all the same: entry points, logs, .env and the environment."""

PURE_PACKAGES = {"server.api"}
"""Folders of which every module is pure; a contract on a package holds for all in it."""


class ImportContractTest(unittest.TestCase):
    def test_every_module_directly_in_a_folder_is_held_pure(self) -> None:
        contracts = configparser.ConfigParser()
        contracts.read(ROOT / ".importlinter")
        held = set(contracts["importlinter:contract:pure"]["source_modules"].split())
        found = {
            f"{package}.{path.stem}"
            for package in ("client", "loadbalancer", "server", "wire")
            for path in (ROOT / package).glob("*.py")
            if path.stem != "__init__"
        }
        self.assertEqual(held, (found | PURE_PACKAGES) - SHELLS)
