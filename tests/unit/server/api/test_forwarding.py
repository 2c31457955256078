"""`server.api.forwarding` by all the APIs that use it: what control is asked, what the client is told."""

import unittest
from typing import Any

from support.cluster_world import Asking, ClusterWorld, control_says

from server.api import (
    k19_create_topics,
    k20_delete_topics,
    k33_alter_configs,
    k37_create_partitions,
    k43_elect_leaders,
    k44_incremental_alter_configs,
)
from server.api.shape import Answer
from wire.errors import ErrorCode
from wire.versions import APIS


def new_topic(name: str, partitions: int = 1, replication: int = 1, **more: Any) -> dict[str, Any]:
    topic = {"name": name, "num_partitions": partitions, "replication_factor": replication, "assignments": []}
    return topic | {"configs": []} | more


def create(*topics: dict[str, Any], timeout: int = 3_000) -> dict[str, Any]:
    return {"topics": topics, "timeout": timeout, "validate_only": False}


def setting(name: str, value: str | None, operation: int = 0) -> dict[str, Any]:
    return {"name": name, "value": value, "config_operation": operation}


def alter(*configs: dict[str, Any], kind: int = 2, name: str = "orders") -> dict[str, Any]:
    resource = {"resource_type": kind, "resource_name": name, "configs": configs}
    return {"resources": [resource], "validate_only": False}


GOOD: dict[Any, dict[str, Any]] = {
    k19_create_topics: create(new_topic("a")),
    k20_delete_topics: {"topic_names": ["a"], "topics": [{"name": "a", "topic_id": None}], "timeout": 3_000},
    k33_alter_configs: alter(setting("retention.ms", "1")),
    k37_create_partitions: {
        "topics": [{"name": "a", "count": 3, "assignments": None}],
        "timeout": 3_000,
        "validate_only": False,
    },
    k43_elect_leaders: {
        "topic_partitions": [{"topic": "a", "partitions": [0]}],
        "election_type": 0,
        "timeout": 3_000,
    },
    k44_incremental_alter_configs: alter(setting("retention.ms", "1")),
}
RESULTS = {
    19: "topics",
    20: "responses",
    33: "responses",
    37: "results",
    43: "replica_election_results",
    44: "responses",
}


class Case(unittest.TestCase):
    def setUp(self) -> None:
        self.world = ClusterWorld()

    def ask(self, module: Any, request: dict[str, Any], version: int | None = None) -> Asking:
        return Asking(module, APIS[module.KEY].highest if version is None else version, request, self.world)

    def answer(self, values: dict[str, Any]) -> None:
        key, version, _, _, done = self.world.control.asked[-1]
        done(control_says(key, version, {"throttle_time": 0} | values))

    def give_up(self, code: ErrorCode) -> None:
        self.world.control.asked[-1][-1](code)


class ForwardingTest(Case):
    def test_every_version_goes_on_as_it_came_and_back_as_it_was(self) -> None:
        for module, request in GOOD.items():
            for version in range(APIS[module.KEY].lowest, APIS[module.KEY].highest + 1):
                asking = self.ask(module, request, version)
                self.assertTrue(asking.is_parked)
                key, sent_version, _, timeout_s, done = self.world.control.asked[-1]
                self.assertEqual((key, sent_version), (module.KEY, version))
                self.assertEqual(
                    timeout_s, 30.0 if module in (k33_alter_configs, k44_incremental_alter_configs) else 3.0
                )
                told = control_says(key, version, {"throttle_time": 0, "error_code": 0, RESULTS[key]: []})
                done(told)
                self.assertEqual(asking.frame[8:], bytes(told[4:]))
                self.assertEqual(getattr(asking.answer, RESULTS[key]), ())

    def test_without_control(self) -> None:
        for module, request in GOOD.items():
            for version in range(APIS[module.KEY].lowest, APIS[module.KEY].highest + 1):
                for code in (ErrorCode.NOT_CONTROLLER, ErrorCode.REQUEST_TIMED_OUT):
                    asking = self.ask(module, request, version)
                    self.give_up(code)
                    (told,) = getattr(asking.answer, RESULTS[module.KEY])
                    if module is k43_elect_leaders:
                        self.assertEqual(getattr(asking.answer, "error_code", code), code)
                        (told,) = told.partition_result
                    self.assertEqual(told.error_code, code)

    def test_more_than_control_could_look_at(self) -> None:
        """And ten thousand are compared with each other in no time."""
        for count, is_parked in ((10_001, False), (10_000, True)):
            asking = self.ask(k19_create_topics, create(*[new_topic(f"t{number}") for number in range(count)]))
            self.assertEqual(asking.is_parked, is_parked)
            if not is_parked:
                self.assertEqual({one.error_code for one in asking.answer.topics}, {ErrorCode.POLICY_VIOLATION})

    def test_all_leaders_without_control(self) -> None:
        asking = self.ask(k43_elect_leaders, {"topic_partitions": None, "election_type": 0, "timeout": 1})
        self.give_up(ErrorCode.NOT_CONTROLLER)
        self.assertEqual((asking.answer.error_code, asking.answer.replica_election_results), (41, ()))

    def test_what_is_wrong_is_answered_without_control(self) -> None:
        asking = self.ask(k19_create_topics, create(new_topic("a b")))
        self.assertFalse(asking.is_parked)
        (told,) = asking.answer.topics
        self.assertEqual((told.name, told.error_code, told.configs), ("a b", 17, None))
        self.assertIn("Topic name is invalid", told.error_message)
        self.assertEqual(self.world.control.asked, [])

    def test_a_mixed_request_is_taken_apart_and_put_together(self) -> None:
        asking = self.ask(k19_create_topics, create(new_topic("good"), new_topic("a b"), new_topic("zero", 0)))
        self.assertEqual([topic.name for topic in self.world.control.request().topics], ["good"])
        told = {"name": "good", "topic_id": b"\1" * 16, "error_code": 0, "error_message": None, "configs": []}
        self.answer({"topics": [told]})
        answer = asking.answer
        self.assertEqual([(t.name, t.error_code) for t in answer.topics], [("good", 0), ("a b", 17), ("zero", 37)])
        self.assertEqual(answer.topics[0].topic_id.bytes, b"\1" * 16)

    def test_a_mixed_request_without_control(self) -> None:
        asking = self.ask(k19_create_topics, create(new_topic("good"), new_topic("a b")))
        self.give_up(ErrorCode.NOT_CONTROLLER)
        self.assertEqual([(t.name, t.error_code) for t in asking.answer.topics], [("a b", 17), ("good", 41)])

    def test_an_empty_request_is_controls_to_answer(self) -> None:
        self.assertTrue(self.ask(k19_create_topics, create()).is_parked)

    def test_times(self) -> None:
        for timeout, given in ((0, 0.1), (-1, 0.1), (500, 0.5), (2**31 - 1, 60.0)):
            self.ask(k19_create_topics, create(new_topic("a"), timeout=timeout))
            self.assertEqual(self.world.control.asked[-1][3], given)

    def test_an_answer_at_once(self) -> None:
        self.world.control.outcome = lambda key, version, body: ErrorCode.NOT_CONTROLLER
        frames: list[Answer] = self.ask(k19_create_topics, create(new_topic("a"))).frames
        self.assertEqual(len(frames), 1)


class RefusalsTest(Case):
    """What makes an item wrong, whatever the cluster's state is."""

    def code(self, module: Any, request: dict[str, Any]) -> int:
        asking = self.ask(module, request)
        self.assertFalse(asking.is_parked, request)
        return int(getattr(asking.answer, RESULTS[module.KEY])[0].error_code)

    def test_new_topics(self) -> None:
        assignment = {"assignments": [{"partition_index": 0, "broker_ids": [1]}]}
        for topic, code in (
            (new_topic(""), 17), (new_topic("a", 0), 37), (new_topic("a", -2), 37), (new_topic("a", 1, 0), 38),
            (new_topic("a", 1, -1, **assignment), 42), (new_topic("a", -1, 1, **assignment), 42),
            (new_topic("a", configs=[{"name": "x", "value": "1"}]), 40),
            (new_topic("a", configs=[{"name": "retention.ms", "value": None}]), 40),
        ):  # fmt: skip
            self.assertEqual(self.code(k19_create_topics, create(topic)), code, topic)
        self.assertEqual(self.code(k19_create_topics, create(new_topic("a"), new_topic("a"))), 42)
        self.assertTrue(self.ask(k19_create_topics, create(new_topic("a", -1, -1, **assignment))).is_parked)

    def test_deletions(self) -> None:
        for name, topic_id in ((None, None), ("a", b"\1" * 16)):
            request = {"topics": [{"name": name, "topic_id": topic_id}], "timeout": 1}
            self.assertEqual(self.code(k20_delete_topics, request), 42)

    def test_more_partitions(self) -> None:
        topic = {"name": "a", "count": 3, "assignments": None}
        rest = {"timeout": 1, "validate_only": False}
        self.assertEqual(self.code(k37_create_partitions, {"topics": [topic | {"count": 0}], **rest}), 37)
        self.assertEqual(self.code(k37_create_partitions, {"topics": [topic, topic], **rest}), 42)

    def test_settings(self) -> None:
        good = setting("retention.ms", "1")
        for request, code in (
            (alter(good, kind=8), 42), (alter(good, good), 42), (alter(setting("x", "1")), 40),
            (alter(setting("retention.ms", "x")), 40), (alter(good, kind=4, name="1"), 40),
            (alter(setting("log.dirs", "/"), kind=4, name=""), 40),
        ):  # fmt: skip
            self.assertEqual(self.code(k33_alter_configs, request), code, request)
            self.assertEqual(self.code(k44_incremental_alter_configs, request), code, request)
        twice = alter(good)
        twice["resources"] *= 2
        self.assertEqual(self.code(k33_alter_configs, twice), 42)

    def test_operations(self) -> None:
        for config, code in (
            (setting("retention.ms", "1", 4), 42), (setting("retention.ms", "1", 2), 40),
            (setting("cleanup.policy", "x", 2), 40), (setting("x", None, 1), 40),
        ):  # fmt: skip
            self.assertEqual(self.code(k44_incremental_alter_configs, alter(config)), code, config)
        for config in (setting("cleanup.policy", "compact", 2), setting("retention.ms", None, 1)):
            self.assertTrue(self.ask(k44_incremental_alter_configs, alter(config)).is_parked)
        self.assertTrue(
            self.ask(k44_incremental_alter_configs, alter(setting("log.retention.ms", "1"), kind=4, name="")).is_parked
        )

    def test_elections(self) -> None:
        request = {"topic_partitions": [{"topic": "a", "partitions": [0, 1]}], "election_type": 2, "timeout": 1}
        asking = self.ask(k43_elect_leaders, request)
        (told,) = asking.answer.replica_election_results
        self.assertEqual([(p.partition_id, p.error_code) for p in told.partition_result], [(0, 42), (1, 42)])
