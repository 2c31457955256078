"""Every version of every request that control takes, read, answered and refused in its shape."""

import unittest
from typing import Any

from loadbalancer import queue_codec
from loadbalancer import queue_words as q
from loadbalancer.queue_codec import Asked
from wire import frames, messages, versions
from wire.errors import ErrorCode

TOPIC = {"name": "t", "num_partitions": 2, "replication_factor": 1, "assignments": (), "configs": ()}
RESOURCE = {"resource_type": 2, "resource_name": "t"}
VALUES: dict[int, dict[str, Any]] = {
    versions.BROKER_HEARTBEAT: {
        "broker_id": 1, "broker_epoch": 2, "current_metadata_offset": 3, "want_fence": False, "want_shut_down": True,
    },
    versions.ALLOCATE_PRODUCER_IDS: {"broker_id": 1, "broker_epoch": 2},
    versions.CREATE_TOPICS: {"topics": [TOPIC], "timeout": 1500, "validate_only": True},
    versions.DELETE_TOPICS: {"topics": [{"name": "t", "topic_id": None}], "topic_names": ["t"], "timeout": 1500},
    versions.CREATE_PARTITIONS: {
        "topics": [{"name": "t", "count": 3, "assignments": None}], "timeout": 1500, "validate_only": False,
    },
    versions.ALTER_CONFIGS: {
        "resources": [{**RESOURCE, "configs": [{"name": "a", "value": "b"}]}], "validate_only": False,
    },
    versions.INCREMENTAL_ALTER_CONFIGS: {
        "resources": [{**RESOURCE, "configs": [{"name": "a", "config_operation": 3, "value": "b"}]}],
        "validate_only": False,
    },
    versions.ELECT_LEADERS: {
        "election_type": 1, "topic_partitions": [{"topic": "t", "partitions": [0]}], "timeout": 1500,
    },
}  # fmt: skip
WISH = {
    "partition_index": 4, "leader_epoch": 5, "partition_epoch": 6, "new_isr": [1, 2],
    "new_isr_with_epochs": [{"broker_id": 1, "broker_epoch": 7}, {"broker_id": 2, "broker_epoch": 8}],
}  # fmt: skip
VALUES[versions.ALTER_PARTITION] = {
    "broker_id": 1, "broker_epoch": 2, "topics": [{"topic_id": b"x" * 16, "partitions": [WISH]}],
}  # fmt: skip


def read(key: int, version: int) -> tuple[q.Request, Asked]:
    body = messages.encode(messages.build(key, version, VALUES[key], "request"))
    frame = memoryview(frames.request_frame(key, version, 9, "c", body))[4:]
    head = frames.read_head(frame)
    event, message = queue_codec.event_of(7, head, frame)
    return event, Asked(key, version, 9, message)


class TestCodec(unittest.TestCase):
    def test_each_is_read_and_refused_in_every_version(self) -> None:
        for key in VALUES:
            for version in range(versions.APIS[key].lowest, versions.APIS[key].highest + 1):
                with self.subTest(api=versions.APIS[key].name, version=version):
                    event, asked = read(key, version)
                    self.assertEqual(event.request, 7)
                    frame = memoryview(queue_codec.refusal(asked, ErrorCode.NOT_CONTROLLER, "no"))[4:]
                    cid, at = frames.read_response_head(frame, versions.response_header(key, version))
                    answer = messages.decode_response(key, version, frame, at)
                    self.assertEqual(cid, 9)
                    self.assertIn("not_controller", str(answer))

    def test_what_they_say(self) -> None:
        event, _ = read(versions.ALTER_PARTITION, 3)
        wish = q.IsrWish(b"x".hex() * 16, 4, 5, 6, ((1, 7), (2, 8)))
        self.assertEqual(event, q.AlterIsr(7, 1, 2, (wish,)))
        self.assertEqual(read(versions.CREATE_TOPICS, 7)[0], q.CreateTopics(7, (q.NewTopic("t", 2, 1),), 1.5, True))
        self.assertEqual(read(versions.DELETE_TOPICS, 5)[0], q.DeleteTopics(7, (("t", None),), 1.5))
        self.assertEqual(read(versions.DELETE_TOPICS, 6)[0], q.DeleteTopics(7, (("t", None),), 1.5))
        self.assertEqual(read(versions.ELECT_LEADERS, 2)[0], q.ElectLeaders(7, True, (("t", 0),)))
        change = q.ConfigChange(2, "t", (("a", q.ConfigOp.SUBTRACT, "b"),))
        self.assertEqual(read(versions.INCREMENTAL_ALTER_CONFIGS, 1)[0], q.AlterConfigs(7, (change,)))
        replaced = q.ConfigChange(2, "t", (("a", q.ConfigOp.SET, "b"),), replaces=True)
        self.assertEqual(read(versions.ALTER_CONFIGS, 2)[0], q.AlterConfigs(7, (replaced,)))


if __name__ == "__main__":
    unittest.main()
