"""The queue's settings from an environment, and the ports that are kept."""

import unittest

from server.broker_configs import BROKER_CONFIGS, SERVER_NAME
from server.group_words import GroupSettings
from server.log_settings import Fsync
from server.queue_settings import CLIENT, EXTERNAL, INTERNAL, KAFKA_NAMES, parse_ports, ports_text, read_queue_settings
from server.settings import SettingError

LEAST = {"CONTROL": "unix:/x", "CLUSTER_SECRET": "s"}


class TestQueueSettings(unittest.TestCase):
    def test_without_control_there_is_no_queue(self) -> None:
        self.assertIsNone(read_queue_settings({"KAFKA_PORT": "nonsense"}, "h"))

    def test_defaults(self) -> None:
        found = read_queue_settings(LEAST, "h")
        assert found is not None
        self.assertEqual(
            (found.fsync, found.auto_create, dict(found.ports)), (Fsync.ALWAYS, True, {CLIENT: 0, INTERNAL: 0})
        )
        self.assertEqual(found.advertise({CLIENT: 5}), {CLIENT: ("127.0.0.1", 5)})

    def test_a_container(self) -> None:
        more = {"KAFKA_HOST": "0.0.0.0", "ADVERTISED_HOST": "door", "ADVERTISED_PORT": "9093"}
        found = read_queue_settings({**LEAST, **more}, "h")
        assert found is not None
        told = found.advertise({CLIENT: 5, INTERNAL: 6, EXTERNAL: 7})
        self.assertEqual(told, {CLIENT: ("h", 5), INTERNAL: ("h", 6), EXTERNAL: ("door", 9093)})

    def test_groups_and_what_is_told_of_it(self) -> None:
        usual = read_queue_settings(LEAST, "h")
        assert usual is not None
        self.assertEqual((usual.groups, usual.cleaner_backoff_ms, usual.busy_poll_us), (GroupSettings(), 15_000, 0))
        self.assertEqual(dict(usual.told), {SERVER_NAME: "h"})
        named = read_queue_settings({**LEAST, "SERVER_ID": "server7"}, "h")
        self.assertEqual(named and named.told[SERVER_NAME], "server7")
        more = {"GROUP_INITIAL_REBALANCE_DELAY_MS": "0", "GROUP_MIN_SESSION_TIMEOUT_MS": "500", "NUM_PARTITIONS": "4"}
        found = read_queue_settings({**LEAST, **more}, "h")
        assert found is not None
        self.assertEqual((found.groups.initial_rebalance_delay_ms, found.groups.min_session_timeout_ms), (0, 500))
        self.assertEqual(found.told["num.partitions"], "4")

    def test_all_that_is_told_is_known(self) -> None:
        self.assertEqual({SERVER_NAME, *KAFKA_NAMES.values()} - BROKER_CONFIGS.keys(), set())

    def test_what_is_wrong_is_named(self) -> None:
        for wrong in (
            {"KAFKA_PORT": "x"},
            {"FSYNC": "often"},
            {"CLUSTER_SECRET": ""},
            {"LOG_CLEANER_BACKOFF_MS": "-1"},
            {"BUSY_POLL_US": "10001"},
            {"GROUP_MAX_SESSION_TIMEOUT_MS": "1"},
        ):
            with self.subTest(**wrong), self.assertRaises(SettingError):
                read_queue_settings({**LEAST, **wrong}, "h")

    def test_ports_are_kept(self) -> None:
        self.assertEqual(parse_ports(ports_text({CLIENT: 5})), {CLIENT: 5})
        for nothing in (b"", b"[]", b'{"CLIENT": "x"}', b'{"CLIENT": 70000}'):
            self.assertEqual(parse_ports(nothing), {})


if __name__ == "__main__":
    unittest.main()
