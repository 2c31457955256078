"""The queue's settings from an environment, and the ports that are kept."""

import unittest

from server.log_settings import Fsync
from server.queue_settings import CLIENT, EXTERNAL, INTERNAL, parse_ports, ports_text, read_queue_settings
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

    def test_what_is_wrong_is_named(self) -> None:
        for wrong in ({"KAFKA_PORT": "x"}, {"FSYNC": "often"}, {"CLUSTER_SECRET": ""}):
            with self.subTest(**wrong), self.assertRaises(SettingError):
                read_queue_settings({**LEAST, **wrong}, "h")

    def test_ports_are_kept(self) -> None:
        self.assertEqual(parse_ports(ports_text({CLIENT: 5})), {CLIENT: 5})
        for nothing in (b"", b"[]", b'{"CLIENT": "x"}', b'{"CLIENT": 70000}'):
            self.assertEqual(parse_ports(nothing), {})


if __name__ == "__main__":
    unittest.main()
