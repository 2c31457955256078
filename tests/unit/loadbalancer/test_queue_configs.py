import unittest

from loadbalancer.queue_configs import BROKER, TOPIC, altered
from loadbalancer.queue_words import ConfigChange, ConfigOp, Refused
from wire.cluster import Broker, Image, Topic
from wire.errors import ErrorCode as E

IMAGE = Image().with_records(
    [
        Topic("orders", "a" * 32, configs={"cleanup.policy": "compact", "retention.ms": "1"}).record(),
        Broker(3, "1" * 32, "2" * 32, 1, False).record(),
        {"type": "configs", "node_id": None, "configs": {"log.retention.ms": "7"}},
    ],
    1,
    3,
)
Change = tuple[str, ConfigOp, str | None]


def topic(*changes: Change, replaces: bool = False, name: str = "orders") -> ConfigChange:
    return ConfigChange(TOPIC, name, changes, replaces)


class TestConfigs(unittest.TestCase):
    def configs(self, change: ConfigChange) -> dict[str, str]:
        return dict(altered(IMAGE, change)["configs"])

    def refused(self, code: E, change: ConfigChange) -> None:
        with self.assertRaises(Refused) as raised:
            altered(IMAGE, change)
        self.assertEqual(raised.exception.code, code)

    def test_set_and_delete_leave_the_rest(self) -> None:
        set_it, drop_it = ("segment.ms", ConfigOp.SET, "9"), ("retention.ms", ConfigOp.DELETE, None)
        self.assertEqual(self.configs(topic(set_it, drop_it)), {"cleanup.policy": "compact", "segment.ms": "9"})
        self.assertEqual(altered(IMAGE, topic(set_it))["id"], "a" * 32)

    def test_replacing_leaves_nothing_else(self) -> None:
        self.assertEqual(self.configs(topic(("segment.ms", ConfigOp.SET, "9"), replaces=True)), {"segment.ms": "9"})

    def test_lists_grow_and_shrink(self) -> None:
        added = self.configs(topic(("cleanup.policy", ConfigOp.APPEND, "compact,delete")))
        self.assertEqual(added["cleanup.policy"], "compact,delete")
        less = self.configs(topic(("cleanup.policy", ConfigOp.SUBTRACT, "delete")))
        self.assertEqual(less["cleanup.policy"], "compact")
        self.refused(E.INVALID_CONFIG, topic(("cleanup.policy", ConfigOp.SUBTRACT, "compact")))

    def test_brokers_one_and_all(self) -> None:
        change = (("log.retention.ms", ConfigOp.SET, "8"),)
        self.assertEqual(altered(IMAGE, ConfigChange(BROKER, "3", change))["node_id"], 3)
        record = altered(IMAGE, ConfigChange(BROKER, "", change))
        self.assertEqual((record["node_id"], record["configs"]), (None, {"log.retention.ms": "8"}))

    def test_one_broker_has_no_min_insync_replicas_of_its_own(self) -> None:
        for operation in (ConfigOp.SET, ConfigOp.DELETE):
            change = (("min.insync.replicas", operation, "2"),)
            self.refused(E.INVALID_CONFIG, ConfigChange(BROKER, "3", change))
        change = (("min.insync.replicas", ConfigOp.SET, "2"),)
        self.assertIsNone(altered(IMAGE, ConfigChange(BROKER, "", change))["node_id"])

    def test_what_is_refused(self) -> None:
        one = ("segment.ms", ConfigOp.SET, "9")
        self.refused(E.UNKNOWN_TOPIC_OR_PARTITION, topic(one, name="nothing"))
        self.refused(E.INVALID_REQUEST, topic(one, one))
        self.refused(E.INVALID_CONFIG, topic(("segment.ms", ConfigOp.SET, None)))
        self.refused(E.INVALID_CONFIG, topic(("segment.ms", ConfigOp.APPEND, "9")))
        self.refused(E.INVALID_REQUEST, ConfigChange(8, "x", (one,)))
        for name in ("4", "x", "-3"):
            with self.assertRaises(Refused):
                altered(IMAGE, ConfigChange(BROKER, name, (one,)))


if __name__ == "__main__":
    unittest.main()
