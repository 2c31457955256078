"""Produce, fetch and leadership through the wire's bytes, on a disk in memory with a clock of its own."""

import unittest
from unittest.mock import patch
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from server.broker import OFFSETS_TOPIC
from server.log_settings import Fsync
from server.partition import CONFIRM_MS, REFUSED_MS, Role
from server.storage import StorageError
from tests.support.broker_world import ME, TOPIC_ID, BrokerWorld, batch
from wire import messages
from wire.batches import TRANSACTIONAL_BIT, stamp_append_time, walk
from wire.errors import ErrorCode
from wire.primitives import WireError
from wire.records import NewRecord, encode_batch
from wire.versions import ALTER_PARTITION, CREATE_TOPICS


class TestProduce(unittest.TestCase):
    def setUp(self) -> None:
        self.world = BrokerWorld(auto_sync=False)
        self.world.create()

    def test_acks_all_is_answered_when_it_is_synced(self) -> None:
        call = self.world.produce(batch(b"a", b"b"))
        self.assertEqual(call.answers, [])
        self.world.run_syncs()
        told = self.world.produced(call)
        self.assertEqual((told.error_code, told.base_offset, told.log_start_offset), (0, 0, 0))

    def test_acks_1_is_answered_at_once(self) -> None:
        told = self.world.produced(self.world.produce(batch(b"a"), acks=1))
        self.assertEqual((told.error_code, told.base_offset), (0, 0))
        self.assertEqual(self.world.partition().high_watermark, 0)

    def test_acks_0_has_no_answer_and_closes_where_something_is_wrong(self) -> None:
        self.assertEqual(self.world.produce(batch(b"a"), acks=0).answers, [])
        with self.assertRaises(WireError):
            self.world.produce(batch(b"a"), acks=0, number=7)

    def test_other_acks_are_refused(self) -> None:
        told = self.world.produced(self.world.produce(batch(b"a"), acks=2))
        self.assertEqual(told.error_code, ErrorCode.INVALID_REQUIRED_ACKS)

    def test_time_is_over_before_the_disk_is_done(self) -> None:
        call = self.world.produce(batch(b"a"))
        self.world.pass_ms(900)
        self.assertEqual(call.answers, [])
        self.world.pass_ms(150)
        self.assertEqual(self.world.produced(call).error_code, ErrorCode.REQUEST_TIMED_OUT)
        self.world.run_syncs()
        self.assertEqual(len(call.answers), 1)
        self.assertEqual(self.world.partition().high_watermark, 1)

    def test_a_duplicate_waits_for_what_it_repeats(self) -> None:
        records = bytes(batch(b"a", producer=(9, 0, 0)))
        first, again = self.world.produce(records), self.world.produce(records)
        self.assertEqual(first.answers + again.answers, [])
        self.world.run_syncs()
        self.assertEqual([self.world.produced(call).base_offset for call in (first, again)], [0, 0])
        self.assertEqual(self.world.partition().high_watermark, 1)
        gap = batch(b"a", producer=(9, 0, 5))
        told = self.world.produced(self.world.produce(gap))
        self.assertEqual(told.error_code, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)

    def test_what_is_not_there(self) -> None:
        told = self.world.produced(self.world.produce(batch(b"a"), number=3))
        self.assertEqual(told.error_code, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)

    def test_a_transactions_batch_without_its_id(self) -> None:
        told = self.world.produced(
            self.world.produce(encode_batch([NewRecord(1, b"k", b"v")], attributes=TRANSACTIONAL_BIT))
        )
        self.assertEqual(told.error_code, ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
        self.assertEqual(self.world.partition().log.end_offset, 0)

    def test_a_corrupt_batch(self) -> None:
        records = batch(b"a")
        records[-1] ^= 1
        told = self.world.produced(self.world.produce(bytes(records)))
        self.assertEqual(told.error_code, ErrorCode.CORRUPT_MESSAGE)

    def test_a_disk_that_fails_acknowledges_nothing(self) -> None:
        call = self.world.produce(batch(b"a"))
        self.world.broker.disk_failed(self.world.partition(), StorageError("gone", final=True), self.world.now)
        self.assertEqual(self.world.produced(call).error_code, ErrorCode.KAFKA_STORAGE_ERROR)
        told = self.world.produced(self.world.produce(batch(b"a")))
        self.assertEqual(told.error_code, ErrorCode.KAFKA_STORAGE_ERROR)

    def test_by_id(self) -> None:
        call = self.world.produce(batch(b"a"), version=13)
        self.world.run_syncs()
        self.assertEqual(self.world.produced(call).error_code, 0)


class TestRules(unittest.TestCase):
    def produced(self, records: bytes, **configs: str) -> tuple[BrokerWorld, int]:
        world = BrokerWorld()
        world.create(configs={name.replace("_", "."): value for name, value in configs.items()})
        return world, world.produced(world.produce(records)).error_code

    def test_size(self) -> None:
        _, code = self.produced(batch(b"a" * 1000), max_message_bytes="500")
        self.assertEqual(code, ErrorCode.MESSAGE_TOO_LARGE)

    def test_keys(self) -> None:
        _, code = self.produced(batch(b"a", key=None), cleanup_policy="compact")
        self.assertEqual(code, ErrorCode.INVALID_RECORD)

    def test_replicas(self) -> None:
        world = BrokerWorld()
        world.create(configs={"min.insync.replicas": "2"}, replicas=[ME, 2], isr=[ME])
        told = world.produced(world.produce(batch(b"a")))
        self.assertEqual(told.error_code, ErrorCode.NOT_ENOUGH_REPLICAS)

    def test_no_more_replicas_are_asked_for_than_there_are(self) -> None:
        world, code = self.produced(batch(b"a"), min_insync_replicas="2")
        self.assertEqual(code, ErrorCode.NONE)
        state = world.state(replicas=[2, ME], adding=[2], removing=[ME], isr=[ME], partition_epoch=1)
        world.change(world.other_broker(2), state)
        told = world.produced(world.produce(batch(b"b")))
        self.assertEqual(
            (told.error_code, told.base_offset), (ErrorCode.NONE, 1), "on the move it has one replica still"
        )

    def test_times(self) -> None:
        ahead = batch(b"a", timestamp_ms=1_700_000_000_000 + 7_200_000)
        self.assertEqual(self.produced(ahead)[1], ErrorCode.INVALID_TIMESTAMP)
        self.assertEqual(self.produced(ahead, message_timestamp_type="LogAppendTime")[1], 0)

    def test_append_time(self) -> None:
        world, _ = self.produced(batch(b"a"), message_timestamp_type="LogAppendTime")
        told = world.fetched(world.fetch())
        ((_, header),) = walk(bytes(told.records))
        self.assertEqual(header.max_timestamp_ms, world.now.wall_ms)
        self.assertTrue(header.has_log_append_time)

    def test_clients_do_not_set_it(self) -> None:
        records = batch(b"a")
        stamp_append_time(records, 0, 5)
        self.assertEqual(self.produced(bytes(records))[1], ErrorCode.INVALID_TIMESTAMP)


class TestInternalTopics(unittest.TestCase):
    """The log of groups is the coordinator's alone, and what it writes can be replicated."""

    def setUp(self) -> None:
        self.world = BrokerWorld()
        self.world.create("__consumer_offsets", configs={"max.message.bytes": "400"})
        self.world.change({"type": "topic", "name": "t", "id": "0" * 31 + "2", "configs": {}})
        self.world.change(self.world.state() | {"topic": "0" * 31 + "2"})

    def commit(self, metadata: str, group: str = "g") -> int:
        part = {"partition_index": 0, "committed_offset": 3, "committed_leader_epoch": -1}
        part |= {"committed_metadata": metadata}
        values = {"group_id": group, "generation_id_or_member_epoch": -1, "member_id": "", "group_instance_id": None}
        values |= {"topics": [{"name": "t", "partitions": [part]}]}
        return int(self.world.told(8, self.world.ask(8, 8, values)).topics[0].partitions[0].error_code)

    def test_clients_write_nothing_there(self) -> None:
        part = {"index": 0, "records": batch(b"rubbish")}
        topics = [{"name": "__consumer_offsets", "partition_data": [part]}]
        told = self.world.produced(self.world.produce(b"", topic_data=topics))
        self.assertEqual(told.error_code, ErrorCode.INVALID_TOPIC_EXCEPTION)
        log = self.world.partition("__consumer_offsets").log
        assert log is not None
        self.assertEqual(log.end_offset, 0)

    def test_what_is_larger_than_the_topic_allows(self) -> None:
        self.assertEqual(self.commit("x" * 500), ErrorCode.INVALID_COMMIT_OFFSET_SIZE)
        self.assertEqual(self.commit("x" * 100), 0)

    def test_a_group_with_a_long_id_can_be_deleted(self) -> None:
        self.world.change({"type": "topic_configs", "id": TOPIC_ID, "configs": {"max.message.bytes": "300000"}})
        group = "g" * 30_000
        for number in range(12):
            self.world.change(self.world.state(number) | {"topic": "0" * 31 + "2"})
            part = {"partition_index": number, "committed_offset": 3, "committed_leader_epoch": -1}
            part |= {"committed_metadata": ""}
            values = {"group_id": group, "generation_id_or_member_epoch": -1, "member_id": ""}
            values |= {"group_instance_id": None, "topics": [{"name": "t", "partitions": [part]}]}
            self.world.ask(8, 8, values)
        told = self.world.told(42, self.world.ask(42, 2, {"groups_names": [group]}))
        self.assertEqual(told.results[0].error_code, 0)


class TestFetch(unittest.TestCase):
    def setUp(self) -> None:
        self.world = BrokerWorld()
        self.world.create()

    def test_records_up_to_the_high_watermark(self) -> None:
        self.world.produce(batch(b"a"))
        self.world.auto_sync = False
        self.world.produce(batch(b"b"))
        told = self.world.fetched(self.world.fetch())
        self.assertEqual((told.high_watermark, len(list(walk(bytes(told.records))))), (1, 1))
        call = self.world.fetch(offset=1)
        self.assertEqual(call.answers, [])
        self.world.run_syncs()
        self.world.turn()
        self.assertEqual(self.world.fetched(call).high_watermark, 2)

    def test_waits_no_longer_than_asked(self) -> None:
        call = self.world.fetch()
        self.world.pass_ms(450)
        self.assertEqual(call.answers, [])
        self.world.pass_ms(100)
        self.assertFalse(self.world.fetched(call).records)

    def test_min_bytes(self) -> None:
        call = self.world.fetch(min_bytes=200)
        self.world.produce(batch(b"a"))
        self.assertEqual(call.answers, [])
        self.world.produce(batch(b"a" * 200))
        self.assertEqual(len(list(walk(bytes(self.world.fetched(call).records)))), 2)

    def test_a_million_bytes_are_waited_for_without_a_look_at_them(self) -> None:
        """And not beyond what an answer may hold."""
        self.world.change({"type": "topic_configs", "id": TOPIC_ID, "configs": {"segment.bytes": "300"}})
        for _ in range(8):
            self.world.produce(batch(b"x" * 100))
        log = self.world.partition().log
        assert log is not None
        with patch.object(type(log), "read", side_effect=AssertionError("read to be counted")):
            waiting = self.world.fetch(0, min_bytes=1 << 30, max_wait=500)
            self.assertEqual(waiting.answers, [])
            for most in ({"partition_max_bytes": 500, "min_bytes": 501}, {"max_bytes": 500, "min_bytes": 1_000}):
                call = self.world.fetch(0, **{"max_wait": 500, **most})
                self.assertEqual(len(call.answers), "max_bytes" in most)
        self.world.pass_ms(600)
        self.assertEqual(len(waiting.answers), 1)

    def test_a_partition_named_twice(self) -> None:
        """Each fetch that waits, also one that is none of ours, is answered all the same."""
        part = {"partition": 0, "fetch_offset": 0, "partition_max_bytes": 1 << 20, "current_leader_epoch": -1}
        part |= {"last_fetched_epoch": -1, "log_start_offset": -1}
        topics = [{"topic": "t", "topic_id": UUID(TOPIC_ID), "partitions": [part, part]}]
        for epoch in (-1, 0):
            calls = [self.world.fetch(topics=topics, session_epoch=epoch), self.world.fetch(0)]
            with self.subTest(epoch):
                self.assertEqual([len(call.answers) for call in calls], [0, 0])
                self.world.pass_ms(600)
                self.assertEqual([len(call.answers) for call in calls], [1, 1])
        calls = [self.world.fetch(0, topics=topics), self.world.fetch(0)]
        self.world.produce(batch(b"a"))
        self.assertEqual([len(call.answers) for call in calls], [1, 1])

    def test_outside_of_the_log(self) -> None:
        told = self.world.fetched(self.world.fetch(offset=5))
        self.assertEqual(told.error_code, ErrorCode.OFFSET_OUT_OF_RANGE)

    def test_epochs(self) -> None:
        self.world.change(self.world.state(leader_epoch=3, partition_epoch=1))
        for epoch, code in ((2, ErrorCode.FENCED_LEADER_EPOCH), (4, ErrorCode.UNKNOWN_LEADER_EPOCH)):
            told = self.world.fetched(self.world.fetch(current_leader_epoch=epoch))
            self.assertEqual(told.error_code, code)

    def test_room_shortens_the_answer_but_never_the_first_batch(self) -> None:
        for _ in range(4):
            self.world.produce(batch(b"x" * 50_000))
        told = self.world.fetched(self.world.fetch(), room=0)
        self.assertEqual(len(list(walk(bytes(told.records)))), 1)
        told = self.world.fetched(self.world.fetch(max_bytes=10))
        self.assertEqual(len(list(walk(bytes(told.records)))), 1)

    def test_a_session_tells_news_only(self) -> None:
        self.world.produce(batch(b"a"))
        first = self.world.told(1, self.world.fetch(session_epoch=0))
        self.assertNotEqual(first.session_id, 0)
        again = {"session_id": first.session_id, "session_epoch": 1, "topics": [], "max_wait": 0}
        self.assertTrue(self.world.told(1, self.world.fetch(offset=0, **again)).responses)
        moved = self.world.fetch(offset=1, session_id=first.session_id, session_epoch=2)
        self.world.pass_ms(600)
        self.assertEqual(self.world.told(1, moved).responses, ())
        lost = self.world.told(1, self.world.fetch(session_id=first.session_id, session_epoch=9))
        self.assertEqual(lost.error_code, ErrorCode.INVALID_FETCH_SESSION_EPOCH)

    def test_a_replica_id_needs_its_own_login_and_a_current_epoch(self) -> None:
        told = self.world.told(1, self.world.fetch(replica_id=2))
        self.assertEqual(told.error_code, ErrorCode.CLUSTER_AUTHORIZATION_FAILED)
        self.world.logged_in = 3
        told = self.world.told(1, self.world.fetch(replica_id=2, listener="INTERNAL"))
        self.assertEqual(told.error_code, ErrorCode.CLUSTER_AUTHORIZATION_FAILED, "another server's")
        self.world.logged_in = 2
        told = self.world.told(1, self.world.fetch(replica_id=2, listener="INTERNAL"))
        self.assertEqual(told.error_code, ErrorCode.STALE_BROKER_EPOCH)


class TestCoordinator(unittest.TestCase):
    """A group's coordinator is told of once it serves, whoever had its topic made."""

    OFFSETS_ID = "0" * 31 + "2"

    def setUp(self) -> None:
        self.world = BrokerWorld()
        self.world.create()
        self.world.change(self.world.other_broker(2))

    def find(self) -> ErrorCode:
        call = self.world.ask(10, 2, {"key": "g", "key_type": 0})
        return ErrorCode(self.world.told(10, call).error_code)

    def made(self) -> None:
        state = {"replicas": [2], "isr": [2], "leader": 2, "leader_epoch": 0, "partition_epoch": 0}
        topic = {"type": "topic", "name": OFFSETS_TOPIC, "id": self.OFFSETS_ID, "configs": {}, "internal": True}
        self.world.change(topic, {"type": "partition", "topic": self.OFFSETS_ID, "partition": 0, **state})

    def created(self) -> None:
        (answered,) = [done for key, _, done in self.world.asked_control if key == CREATE_TOPICS]
        answered(ErrorCode.REQUEST_TIMED_OUT)

    def test_asked_for_here(self) -> None:
        self.assertEqual(self.find(), ErrorCode.COORDINATOR_NOT_AVAILABLE)
        self.made()
        self.assertEqual(self.find(), ErrorCode.COORDINATOR_NOT_AVAILABLE)
        self.created()
        self.assertEqual(self.find(), ErrorCode.NONE)

    def test_asked_for_elsewhere(self) -> None:
        self.made()
        self.assertEqual(self.find(), ErrorCode.COORDINATOR_NOT_AVAILABLE)
        self.created()
        self.assertEqual(self.find(), ErrorCode.NONE)

    def test_a_server_that_starts_asks_nobody(self) -> None:
        image = self.world.broker.image
        self.made()
        image, self.world = self.world.broker.image, BrokerWorld()
        self.world.broker.apply(image, self.world.now)
        self.assertEqual((self.find(), self.world.asked_control), (ErrorCode.NONE, []))


class TestLeadership(unittest.TestCase):
    def setUp(self) -> None:
        self.world = BrokerWorld()
        self.world.create(replicas=[ME, 2], isr=[ME, 2])
        self.world.change(self.world.other_broker(2))

    def follow(self, end: int) -> None:
        self.world.partition().fetched(2, 7, end, end, self.world.now)
        self.world.partition().answered(2, self.world.now)

    def test_acks_all_waits_for_the_follower(self) -> None:
        call = self.world.produce(batch(b"a"))
        self.assertEqual(call.answers, [])
        self.follow(0)
        self.assertEqual(call.answers, [])
        self.follow(1)
        self.assertEqual(self.world.produced(call).error_code, 0)

    def test_what_was_only_received_does_not_count(self) -> None:
        call = self.world.produce(batch(b"a"))
        self.world.partition().fetched(2, 7, 1, 0, self.world.now)
        self.assertEqual(call.answers, [])

    def test_confirmed_only_by_answers_that_were_seen(self) -> None:
        partition = self.world.partition()
        self.world.pass_ms(CONFIRM_MS + 1)
        self.assertFalse(partition.is_confirmed(self.world.now))
        self.follow(0)
        self.assertFalse(partition.is_confirmed(self.world.now))
        self.world.pass_ms(10)
        self.follow(0)
        self.assertTrue(partition.is_confirmed(self.world.now))
        self.world.pass_ms(CONFIRM_MS)
        self.assertFalse(partition.is_confirmed(self.world.now))
        told = self.world.produced(self.world.produce(batch(b"a"), acks=1))
        self.assertEqual(told.error_code, ErrorCode.NOT_LEADER_OR_FOLLOWER)

    def test_who_takes_over_at_the_end_of_a_move_waits_for_the_leaver(self) -> None:
        """Which is no replica any more, and may answer for two seconds as if it were the leader."""
        partition = self.world.partition()
        self.world.change(self.world.state(replicas=[2, ME], isr=[2, ME], leader=2, leader_epoch=8, partition_epoch=8))
        self.world.change(self.world.state(leader_epoch=9, partition_epoch=9))
        self.assertFalse(partition.is_confirmed(self.world.now))
        self.world.pass_ms(CONFIRM_MS)
        self.assertTrue(partition.is_confirmed(self.world.now))

    def test_who_waited_is_told_when_another_leads(self) -> None:
        call = self.world.produce(batch(b"a"))
        fetch = self.world.fetch()
        self.world.change(self.world.state(replicas=[ME, 2], isr=[ME, 2], leader=2, leader_epoch=1, partition_epoch=1))
        self.assertEqual(self.world.produced(call).error_code, ErrorCode.NOT_LEADER_OR_FOLLOWER)
        self.assertEqual(self.world.fetched(fetch).error_code, ErrorCode.NOT_LEADER_OR_FOLLOWER)
        self.assertIs(self.world.partition().role, Role.FOLLOWER)

    def test_a_follower_that_has_caught_up_is_proposed_once_and_counts_at_once(self) -> None:
        self.world.change(self.world.state(replicas=[ME, 2], isr=[ME], partition_epoch=1))
        self.follow(0)
        self.follow(0)
        self.world.turn()
        asked = [body for key, body, _ in self.world.asked_control if key == ALTER_PARTITION]
        self.assertEqual(len(asked), 1)
        (topic,) = messages.decode(ALTER_PARTITION, 3, asked[0]).topics
        isr = [(one.broker_id, one.broker_epoch) for one in topic.partitions[0].new_isr_with_epochs]
        self.assertEqual(isr, [(ME, -1), (2, 7)], "the epoch of the Fetch that speaks for it")
        call = self.world.produce(batch(b"a"))
        self.assertEqual(call.answers, [], "the proposed member counts (R1)")

    def test_a_proposal_asked_again_is_of_the_life_that_was_proposed(self) -> None:
        """KIP-903: server 2 comes back with another disk while control says nothing."""
        self.world.change(self.world.state(replicas=[ME, 2], isr=[ME], partition_epoch=1))
        self.follow(0)
        self.world.turn()
        self.world.asked_control[-1][2](ErrorCode.REQUEST_TIMED_OUT)
        self.world.change(self.world.other_broker(2, epoch=9))
        self.world.partition().fetched(2, 9, 0, 0, self.world.now)
        self.world.broker.ask_again()
        self.world.turn()
        asked = [body for key, body, _ in self.world.asked_control if key == ALTER_PARTITION]
        self.assertEqual(len(asked), 2)
        (topic,) = messages.decode(ALTER_PARTITION, 3, asked[-1]).topics
        self.assertEqual(topic.partitions[0].new_isr_with_epochs[-1].broker_epoch, 7)
        self.world.asked_control[-1][2](self.isr_answer(ErrorCode.INELIGIBLE_REPLICA))
        self.assertIsNone(self.world.partition().proposed)

    def test_who_was_refused_is_not_proposed_at_its_every_fetch(self) -> None:
        self.world.change(self.world.state(replicas=[ME, 2], isr=[ME], partition_epoch=1))
        self.follow(0)
        self.world.turn()
        self.world.asked_control[-1][2](self.isr_answer(ErrorCode.INELIGIBLE_REPLICA))
        for _ in range(3):
            self.follow(0)
        self.assertIsNone(self.world.partition().proposed)
        self.world.pass_ms(REFUSED_MS)
        self.follow(0)
        self.assertEqual(self.world.partition().proposed, (ME, 2))

    def test_a_new_life_is_proposed_at_once(self) -> None:
        self.world.change(self.world.state(replicas=[ME, 2], isr=[ME], partition_epoch=1))
        self.follow(0)
        self.world.turn()
        self.world.asked_control[-1][2](self.isr_answer(ErrorCode.INELIGIBLE_REPLICA))
        self.world.partition().fetched(2, 9, 0, 0, self.world.now)
        self.assertEqual(self.world.partition().proposed, (ME, 2))

    def test_what_says_neither_yes_nor_no_is_asked_again(self) -> None:
        self.world.change(self.world.state(replicas=[ME, 2], isr=[ME], partition_epoch=1))
        self.follow(0)
        self.world.turn()
        for code, asked_again in ((ErrorCode.NOT_CONTROLLER, 1), (ErrorCode.INVALID_UPDATE_VERSION, 0)):
            with self.subTest(code=code):
                before = len(self.world.asked_control)
                self.world.asked_control[-1][2](self.isr_answer(code))
                self.world.broker.ask_again()
                self.world.turn()
                self.assertEqual(len(self.world.asked_control) - before, asked_again)
                self.assertEqual(self.world.partition().proposed, (ME, 2))

    def test_a_word_on_what_was_proposed_before_is_not_asked_for_again(self) -> None:
        """One question at a time for a partition: what is said of the older one is not said of the newer one."""
        self.world.change(self.world.state(replicas=[ME, 2], isr=[ME], partition_epoch=1))
        self.follow(0)
        self.world.turn()
        first = self.world.asked_control[-1][2]
        self.world.change(self.world.state(replicas=[ME, 2], isr=[ME], partition_epoch=2))
        self.follow(0)
        self.world.turn()
        first(ErrorCode.REQUEST_TIMED_OUT)
        before = len(self.world.asked_control)
        self.world.broker.ask_again()
        self.world.turn()
        self.assertEqual(len(self.world.asked_control), before)

    def test_the_first_leader_of_all_need_not_wait_for_another(self) -> None:
        self.follow(0)
        self.follow(0)
        self.assertTrue(self.world.partition().is_confirmed(self.world.now))

    def test_an_isr_that_lags_is_shrunk_only_by_controls_answer(self) -> None:
        call = self.world.produce(batch(b"a"))
        self.world.pass_ms(31_000)
        call = self.world.produce(batch(b"b"))
        self.world.broker.shrink_isrs(self.world.now)
        self.world.turn()
        self.assertEqual(call.answers, [])
        self.world.asked_control[-1][2](ErrorCode.NOT_CONTROLLER)
        self.assertEqual(call.answers, [])
        self.world.broker.ask_again()
        self.world.turn()
        self.assertEqual(len([key for key, _, _ in self.world.asked_control if key == ALTER_PARTITION]), 2)
        self.world.change(self.world.state(replicas=[ME, 2], isr=[ME], partition_epoch=1))
        self.assertEqual(self.world.produced(call).error_code, 0)

    def test_what_control_answers_undoes_a_proposal_only_where_it_was_not_done(self) -> None:
        """NEW_LEADER_ELECTED: it was done, and the move ended. HW without the newcomer would lose what it passed."""
        undone = {ErrorCode.INELIGIBLE_REPLICA}
        for number, code in enumerate((ErrorCode.NEW_LEADER_ELECTED, ErrorCode.FENCED_LEADER_EPOCH, *undone)):
            with self.subTest(code=code):
                epoch = 2 * number + 1
                self.world.change(self.world.state(replicas=[ME, 2], isr=[ME], partition_epoch=epoch))
                end = self.world.partition().high_watermark
                self.follow(end)
                self.follow(end)
                self.world.turn()
                call = self.world.produce(batch(b"a"))
                self.assertEqual(call.answers, [])
                self.world.asked_control[-1][2](self.isr_answer(code))
                self.assertEqual(bool(call.answers), code in undone)
                self.world.change(self.world.state(replicas=[ME, 2], isr=[ME], partition_epoch=epoch + 1))

    def isr_answer(self, code: ErrorCode) -> memoryview:
        one = {"partition_index": 0, "error_code": code, "leader_id": 2, "leader_epoch": 9, "isr": [2]}
        topics = [{"topic_id": UUID(TOPIC_ID), "partitions": [{**one, "partition_epoch": 99}]}]
        answer = messages.build(ALTER_PARTITION, 3, {"throttle_time": 0, "error_code": 0, "topics": topics})
        return memoryview(messages.answer(1, answer))[4:]

    def test_a_partition_that_moved_away_is_retired(self) -> None:
        self.world.change(self.world.state(replicas=[2], isr=[2], leader=2, leader_epoch=1, partition_epoch=1))
        self.assertEqual(self.world.retired, [("t-0", False)])
        told = self.world.produced(self.world.produce(batch(b"a")))
        self.assertEqual(told.error_code, ErrorCode.NOT_LEADER_OR_FOLLOWER)


STEPS = st.lists(
    st.one_of(
        st.just(("produce",)),
        st.just(("sync",)),
        st.tuples(st.just("follow"), st.integers(0, 20), st.integers(0, 20)),
        st.tuples(st.just("isr"), st.booleans()),
    ),
    max_size=40,
)


class TestLaws(unittest.TestCase):
    @given(STEPS, st.sampled_from([Fsync.ALWAYS, Fsync.NEVER]))
    @settings(max_examples=100, deadline=None)
    def test_hw_never_goes_back_and_what_is_acked_is_synced_on_the_isr(self, steps: list[tuple], fsync: Fsync) -> None:
        world = BrokerWorld(fsync, auto_sync=False)
        world.create(replicas=[ME, 2], isr=[ME, 2])
        world.change(world.other_broker(2))
        partition, calls, seen, synced, epoch = world.partition(), [], 0, 0, 0
        for step in steps:
            if step[0] == "produce":
                calls.append(world.produce(batch(b"x")))
            elif step[0] == "sync":
                world.run_syncs()
            elif step[0] == "follow":
                end = min(step[1], partition.log.end_offset)
                synced = min(step[2], end)
                partition.fetched(2, 7, end, synced, world.now)
            else:
                epoch += 1
                isr = [ME, 2] if step[1] and synced >= partition.high_watermark else [ME]
                world.change(world.state(replicas=[ME, 2], isr=isr, partition_epoch=epoch))
            self.assertGreaterEqual(partition.high_watermark, seen)
            self.assertLessEqual(partition.high_watermark, partition.log.safe_end)
            seen = partition.high_watermark
            answered = [call for call in calls if call.answers]
            self.assertEqual(answered, calls[: len(answered)], "in the order of the offsets")
            for call in answered:
                self.assertLess(world.produced(call).base_offset, seen)


if __name__ == "__main__":
    unittest.main()
