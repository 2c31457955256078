"""`analysis.queue_bench.peers`: how the servers are set up, and what is said of those that are missing."""

import tempfile
import unittest
from pathlib import Path
from unittest.mock import patch

from analysis.queue_bench import peers


class PreparedTest(unittest.TestCase):
    def setUp(self) -> None:
        made = tempfile.TemporaryDirectory(dir="/tmp")
        self.addCleanup(made.cleanup)
        self.directory = Path(made.name)

    def test_redis_syncs_or_not(self) -> None:
        for synced, word in ((False, "no"), (True, "always")):
            program = peers.prepare_redis(self.directory, 7001, synced)
            text = Path(program.command[1]).read_text()
            self.assertIn(f"appendfsync {word}\n", text)
            self.assertIn("appendonly yes\n", text)
            self.assertIn("port 7001\n", text)

    def test_jetstream_stores_below_its_directory(self) -> None:
        text = Path(peers.prepare_jetstream(self.directory, 7002, True).command[2]).read_text()
        self.assertIn(f'store_dir: "{self.directory}"', text)
        self.assertIn("sync_interval: always", text)
        self.assertNotIn("sync", Path(peers.prepare_jetstream(self.directory, 7002, False).command[2]).read_text())

    def test_rabbitmq_keeps_everything_below_its_directory(self) -> None:
        program = peers.prepare_rabbitmq(self.directory, 7003, False)
        for name in ("HOME", "RABBITMQ_MNESIA_BASE", "RABBITMQ_LOG_BASE", "RABBITMQ_CONFIG_FILE"):
            self.assertTrue(program.environment[name].startswith(str(self.directory)), name)
        self.assertIn("127.0.0.1:7003", Path(program.environment["RABBITMQ_CONFIG_FILE"]).read_text())
        self.assertEqual(program.environment["ERL_EPMD_PORT"], program.beside[2])


class LackingTest(unittest.TestCase):
    def test_a_missing_program_names_its_package(self) -> None:
        with patch.object(peers, "program_path", return_value=None):
            self.assertIn("apt-get install --no-install-recommends redis-server", peers.lacking("redis", False))

    def test_a_missing_module(self) -> None:
        with (
            patch.object(peers, "program_path", return_value="/bin/true"),
            patch.object(peers.importlib.util, "find_spec", return_value=None),
        ):
            self.assertIn("aio_pika", peers.lacking("rabbitmq", False))

    def test_a_jetstream_that_can_not_sync(self) -> None:
        with (
            patch.object(peers, "program_path", return_value="/bin/true"),
            patch.object(peers.importlib.util, "find_spec", return_value=object()),
            patch.object(peers, "_refuses_sync", return_value='unknown field "sync_interval"'),
            patch.object(peers, "version", return_value="nats-server: v2.9.10"),
        ):
            self.assertIn("can't sync before each ack", peers.lacking("jetstream", True))
            self.assertEqual(peers.lacking("jetstream", False), "")
