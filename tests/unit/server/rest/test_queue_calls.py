"""`server.rest.queue_calls`: the specification's table, over replicas that share a cluster in memory."""

import asyncio
import unittest
from typing import Any
from unittest import mock

from server.rest import topic_table
from server.rest.cluster import Away
from server.rest.memory_cluster import Topics
from tests.support.queue_replicas import MemoryControl, Replica
from wire.http_queue import CURSORS_TOPIC, NAMES_TOPIC, Cursor, consumer_key, encode_cursor, name_key


def fine(message: Any, **more: Any) -> tuple[int, dict[str, Any]]:
    return 200, {"message": message, **more, "status": "success"}


def bad(message: str, status: int = 400, **more: Any) -> tuple[int, dict[str, Any]]:
    return status, {"message": message, **more, "status": "failure"}


def got(message: str, part: str, offset: int, topic: str = "T1") -> tuple[int, dict[str, Any]]:
    return fine(message, topic=f"{topic}:{part}", offset=offset)


def empty(consumer_id: int, part: str) -> tuple[int, dict[str, Any]]:
    return bad(f"Empty logs for Comsumer:{consumer_id} for Topic:T1x{part}", topic=f"T1:{part}")


class CallsCase(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.topics = Topics()
        self.control = MemoryControl(self.topics)
        self.a, self.b, self.c = (Replica(self.topics, self.control) for _ in range(3))

    async def asyncTearDown(self) -> None:
        for replica in (self.a, self.b, self.c):
            await replica.http.close()

    async def produced(self, replica: Replica, producer_id: int, *messages: str) -> list[str]:
        """The parts that they went to."""
        answers = [await replica.post("/producer/produce", producer_id=producer_id, message=one) for one in messages]
        self.assertEqual({status for status, _ in answers}, {200}, answers)
        return [answer["message"].removeprefix("T1x").removesuffix(":Success") for _, answer in answers]

    async def consume(self, replica: Replica, consumer_id: int = 0, **ack: int) -> tuple[int, dict[str, Any]]:
        return await replica.get("/consumer/consume", consumer_id=consumer_id, **ack)


class RegistrationTest(CallsCase):
    async def test_ids_are_counted_from_0_in_a_space_of_their_own(self) -> None:
        await self.control.add_topic("T1", "P1")
        self.assertEqual(await self.a.post("/producer/register", topic="T1"), fine(0))
        self.assertEqual(await self.b.post("/producer/register", topic="T1", part="P1"), fine(1))
        self.assertEqual(await self.c.post("/consumer/register", topic="T1"), fine(0))
        self.assertEqual(await self.a.post("/consumer/register", topic="T1", part="P1"), fine(1))

    async def test_what_does_not_exist(self) -> None:
        missing = "T1 does not exist, thus can not register as consumer"
        self.assertEqual(
            await self.a.post("/producer/register", topic="T1"),
            bad("T1 does not exist thus no partitions are available"),
        )
        self.assertEqual(await self.a.post("/consumer/register", topic="T1"), bad(missing))
        self.assertEqual(await self.a.post("/consumer/register", topic="T1", part="P1"), bad(missing))
        await self.control.add_topic("T1", "P1")
        self.assertEqual(
            await self.a.post("/consumer/register", topic="T1", part="P9"),
            bad("T1:P9 does not exist, thus can not register as consumer"),
        )

    async def test_a_producer_s_partition_is_made(self) -> None:
        self.assertEqual(await self.a.post("/producer/register", topic="T1", part="first"), fine(0))
        self.assertEqual(await self.b.post("/producer/register", topic="T1", part="second"), fine(1))
        self.assertEqual(await self.c.post("/producer/register", topic="T1", part="first"), fine(2))
        self.assertEqual(await self.produced(self.b, 0, "x"), ["first"])
        self.assertEqual(await self.produced(self.a, 1, "y"), ["second"])
        self.assertEqual(await self.c.get("/topics"), fine({"T1": {"first": "server1", "second": "server1"}}))

    async def test_names_that_none_may_have(self) -> None:
        for topic, part in (("T1", "a-b"), ("T1", "box"), ("a/b", "P1"), ("__carousel_names", "P1"), ("T1", "a b")):
            status, answer = await self.a.post("/producer/register", topic=topic, part=part)
            self.assertEqual((status, answer["status"]), (400, "failure"), answer)
        self.assertEqual(await self.a.get("/topics"), fine({}))

    async def test_the_queue_s_own_topics_are_nobody_s(self) -> None:
        await self.a.get("/topics")
        status, _ = await self.a.post("/producer/register", topic=CURSORS_TOPIC)
        self.assertEqual(status, 400)

    async def test_ids_that_nobody_has(self) -> None:
        self.assertEqual(
            await self.a.post("/producer/produce", producer_id=7, message="x"), bad("Producer:7 does not exist")
        )
        self.assertEqual(await self.consume(self.a, 7), bad("Consumer:7 does not exist"))
        self.assertEqual(await self.a.get("/size", consumer_id=7), bad("Consumer:7 does not exist"))

    async def test_a_replica_that_has_heard_nothing_knows_a_new_id(self) -> None:
        await self.control.add_topic("T1", "P1")
        await self.b.get("/topics")
        self.b.cluster.is_deaf = True
        await self.a.post("/producer/register", topic="T1")
        asking = asyncio.create_task(self.b.post("/producer/produce", producer_id="0", message="x"))
        for _ in range(20):
            await asyncio.sleep(0)
        self.assertFalse(asking.done())
        self.b.cluster.hear()
        self.assertEqual(await asking, fine("T1xP1:Success"))


class TopicsTest(CallsCase):
    async def test_who_leads(self) -> None:
        self.assertEqual(await self.a.get("/topics"), fine({}))
        await self.control.add_topic("T1", "P1")
        await self.control.add_topic("T1", "P2")
        self.topics.make("others", 3)
        self.topics.leaders = {("T1", 1): 2, ("others", 2): None}
        told = {
            "T1": {"P1": "server1", "P2": "localhost:9093"},
            "others": {"P1": "server1", "P2": "server1", "P3": None},
        }
        self.assertEqual(await self.b.get("/topics"), fine(told))

    async def test_a_cluster_that_is_away(self) -> None:
        await self.a.get("/topics")
        self.topics.is_away = True
        status, answer = await self.a.get("/topics")
        self.assertEqual((status, answer["status"]), (503, "failure"))
        self.topics.is_away = False
        self.assertEqual(await self.a.get("/topics"), fine({}))


class ProduceTest(CallsCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        for part in ("P1", "P2", "P3"):
            await self.control.add_topic("T1", part)

    async def test_in_turn_from_the_one_made_first_whichever_replica_is_asked(self) -> None:
        await self.a.post("/producer/register", topic="T1")
        asked = (self.a, self.b, self.c, self.c, self.a, self.b, self.a)
        parts = [part for replica in asked for part in await self.produced(replica, 0, "x")]
        self.assertEqual(parts, ["P1", "P2", "P3", "P1", "P2", "P3", "P1"])

    async def test_each_producer_has_turns_of_its_own(self) -> None:
        await self.a.post("/producer/register", topic="T1", part="*")
        await self.a.post("/producer/register", topic="T1")
        self.assertEqual(await self.produced(self.a, 0, "x", "y"), ["P1", "P2"])
        self.assertEqual(await self.produced(self.b, 1, "x"), ["P1"])

    async def test_calls_at_the_same_time_take_different_turns(self) -> None:
        await self.a.post("/producer/register", topic="T1")
        calls = [self.a.post("/producer/produce", producer_id=0, message=str(at)) for at in range(30)]
        await asyncio.gather(*calls)
        self.assertEqual([len(log) for log in self.topics.logs["T1"]], [10, 10, 10])

    async def test_a_message_that_is_stored_is_told_so_though_its_turn_could_not_be_kept(self) -> None:
        await self.a.post("/producer/register", topic="T1")
        real = self.a.cluster.produce

        async def but_no_turns(topic: str, *record: Any) -> int:
            if topic == CURSORS_TOPIC:
                raise Away("its leader is away")
            return await real(topic, *record)

        with mock.patch.object(self.a.cluster, "produce", but_no_turns):
            self.assertEqual(await self.produced(self.a, 0, "x", "y"), ["P1", "P2"])

    async def test_a_partition_that_comes_later_has_its_turn(self) -> None:
        await self.control.add_topic("T2", "P1")
        await self.a.post("/producer/register", topic="T2")
        calls = [await self.b.post("/producer/produce", producer_id=0, message="x") for _ in range(3)]
        await self.control.add_topic("T2", "late")
        calls += [await self.c.post("/producer/produce", producer_id=0, message="x") for _ in range(3)]
        parts = [answer["message"] for _, answer in calls]
        self.assertEqual(parts, [f"T2x{part}:Success" for part in ("P1", "P1", "P1", "P1", "late", "P1")])

    async def test_a_topic_that_is_gone(self) -> None:
        await self.a.post("/producer/register", topic="T1")
        await self.a.post("/producer/register", topic="T1", part="P2")
        del self.topics.logs["T1"]
        for partition in range(3):
            self.topics.append(NAMES_TOPIC, 0, name_key("T1", partition), None)
        with mock.patch.object(topic_table, "LAG_S", 0.001):
            for replica in (self.b, self.c):
                for number in (0, 1):
                    answer = await replica.post("/producer/produce", producer_id=number, message="x")
                    self.assertEqual(answer, bad("T1 does not exist thus no partitions are available"))


class ConsumingCase(CallsCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        for part in ("P1", "P2"):
            await self.control.add_topic("T1", part)

    def put(self, partition: int, *messages: str) -> None:
        for message in messages:
            self.topics.append("T1", partition, None, message.encode())


class ConsumeTest(ConsumingCase):
    async def test_from_the_end_at_registration(self) -> None:
        self.put(0, "before")
        await self.a.post("/consumer/register", topic="T1", part="P1")
        self.assertEqual(await self.consume(self.b), empty(0, "P1"))
        self.put(0, "after", "last")
        self.put(1, "other")
        self.assertEqual(await self.a.get("/size", consumer_id=0), fine(2, note=""))
        self.assertEqual(await self.consume(self.c), got("after", "P1", 1))
        self.assertEqual(await self.consume(self.a), got("last", "P1", 2))
        self.assertEqual(await self.consume(self.b), empty(0, "P1"))
        self.assertEqual(await self.a.get("/size", consumer_id=0), fine(0, note=""))

    async def test_all_partitions_in_turn(self) -> None:
        await self.a.post("/consumer/register", topic="T1")
        self.put(0, "a", "b", "c")
        self.put(1, "A")
        self.assertEqual(await self.a.get("/size", consumer_id=0), fine(4, note=""))
        answers = [await self.consume(replica) for replica in (self.a, self.b, self.c, self.a, self.b)]
        expected = [got("a", "P1", 0), got("A", "P2", 0), got("b", "P1", 1), got("c", "P1", 2), empty(0, "*")]
        self.assertEqual(answers, expected)

    async def test_each_consumer_has_a_cursor_of_its_own(self) -> None:
        for _ in range(2):
            await self.a.post("/consumer/register", topic="T1", part="P1")
        self.put(0, "a")
        self.assertEqual(await self.consume(self.a, 1), got("a", "P1", 0))
        self.assertEqual(await self.consume(self.a, 0), got("a", "P1", 0))

    async def test_a_partition_made_later_is_read_from_its_beginning(self) -> None:
        await self.a.post("/consumer/register", topic="T1")
        await self.control.add_topic("T1", "late")
        self.put(2, "x")
        self.assertEqual(await self.consume(self.b), got("x", "late", 0))

    async def test_the_oldest_messages_are_removed(self) -> None:
        await self.a.post("/consumer/register", topic="T1", part="P1")
        self.put(0, "a", "b", "c")
        self.topics.begins["T1", 0] = 2
        self.assertEqual(await self.a.get("/size", consumer_id=0), fine(1, note=""))
        self.assertEqual(await self.consume(self.a), got("c", "P1", 2))

    async def test_a_new_log_under_the_old_name(self) -> None:
        self.put(0, "a", "b", "c")
        await self.a.post("/consumer/register", topic="T1", part="P1")
        self.topics.logs["T1"][0].clear()
        self.put(0, "new")
        self.assertEqual(await self.a.get("/size", consumer_id=0), fine(1, note=""))
        self.assertEqual(await self.consume(self.a), got("new", "P1", 0))
        self.assertEqual(await self.consume(self.a), empty(0, "P1"))

    async def test_text_that_is_none_and_nothing(self) -> None:
        await self.a.post("/consumer/register", topic="T1", part="P1")
        self.topics.append("T1", 0, None, b"\xff")
        self.topics.append("T1", 0, b"k", None)
        self.assertEqual(await self.consume(self.a), got("�", "P1", 0))
        self.assertEqual((await self.consume(self.a))[1]["message"], None)


class RacesTest(ConsumingCase):
    """No message comes twice, whoever is asked, while replicas hear of each other late."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        await self.a.post("/consumer/register", topic="T1", part="P1")
        self.put(0, *map(str, range(40)))

    async def texts(self, *asked: Replica) -> list[str]:
        answers = await asyncio.gather(*[self.consume(replica) for replica in asked])
        return [answer["message"] for _, answer in answers]

    async def test_calls_at_the_same_time(self) -> None:
        texts = await self.texts(*[self.a] * 10)
        texts += await self.texts(*[self.a, self.b, self.c] * 2)
        texts += await self.texts(self.b)
        self.assertEqual(sorted(texts, key=int), [str(at) for at in range(len(texts))])

    async def test_a_replica_that_hears_late(self) -> None:
        self.assertEqual(await self.texts(self.b), ["0"])
        self.b.cluster.is_deaf = True
        for expected in ("1", "2"):
            self.assertEqual(await self.texts(self.a), [expected])
        late = asyncio.create_task(self.texts(self.b))
        for _ in range(20):
            await asyncio.sleep(0)
        self.assertFalse(late.done())
        self.b.cluster.hear()
        self.assertEqual(await late, ["3"])

    async def test_a_record_that_lost_is_put_right(self) -> None:
        """Compaction keeps a key's last record, so that one must be true."""
        await self.texts(self.a, self.a)
        stale = encode_cursor(Cursor(sequence=1, writer="other", positions={0: 1}))
        self.topics.append(CURSORS_TOPIC, 0, consumer_key(0), stale)
        self.assertEqual(await self.texts(self.b), ["2"])

    async def test_a_client_that_goes_away_does_not_stop_its_call(self) -> None:
        going = asyncio.create_task(self.consume(self.a))
        await asyncio.sleep(0)
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)
        texts = await self.texts(self.a, self.a)
        self.assertIn(texts, (["0", "1"], ["1", "2"]))

    async def test_a_client_that_goes_away_before_its_turn_takes_nothing(self) -> None:
        self.a.cluster.is_deaf = True
        calls = [asyncio.create_task(self.consume(self.a)) for _ in range(3)]
        for _ in range(20):
            await asyncio.sleep(0)
        calls[1].cancel()
        await asyncio.gather(calls[1], return_exceptions=True)
        self.a.cluster.hear()
        self.assertEqual([(await call)[1]["message"] for call in (calls[0], calls[2])], ["0", "1"])


class AckTest(ConsumingCase):
    async def test_a_lost_answer_loses_nothing(self) -> None:
        await self.a.post("/consumer/register", topic="T1", part="P1")
        self.put(0, "a", "b", "c")
        self.assertEqual(await self.consume(self.a, ack=-1), got("a", "P1", 0))
        self.assertEqual(await self.consume(self.b, ack=-1), got("a", "P1", 0))
        self.assertEqual(await self.a.get("/size", consumer_id=0), fine(3, note=""))
        self.assertEqual(await self.consume(self.c, ack=0), got("b", "P1", 1))
        self.assertEqual(await self.consume(self.a, ack=0), got("b", "P1", 1))
        self.assertEqual(await self.consume(self.b, ack=1), got("c", "P1", 2))
        self.assertEqual(await self.consume(self.b, ack=2), empty(0, "P1"))
        self.assertEqual(await self.consume(self.b, ack=2), empty(0, "P1"))
        self.assertEqual(await self.a.get("/size", consumer_id=0), fine(0, note=""))
        self.put(0, "d")
        self.assertEqual(await self.consume(self.c, ack=2), got("d", "P1", 3))

    async def test_after_a_call_without_ack(self) -> None:
        await self.a.post("/consumer/register", topic="T1", part="P1")
        self.put(0, "a", "b", "c")
        self.assertEqual(await self.consume(self.a), got("a", "P1", 0))
        self.assertEqual(await self.consume(self.a, ack=0), got("b", "P1", 1))
        self.assertEqual(await self.consume(self.a), got("b", "P1", 1))
        self.assertEqual(await self.consume(self.a), got("c", "P1", 2))

    async def test_partitions_with_the_same_offsets(self) -> None:
        """Every call comes twice, as if its answer were lost; each message comes, and is acknowledged."""
        await self.a.post("/consumer/register", topic="T1")
        self.put(0, "a", "b", "c")
        self.put(1, "A", "B")
        found: list[str] = []
        ack = -1
        for _ in range(8):
            await self.consume(self.a, ack=ack)
            status, answer = await self.consume(self.b, ack=ack)
            if status == 200:
                found.append(answer["message"])
                ack = answer["offset"]
        self.assertEqual(set(found), {"a", "b", "c", "A", "B"})
        self.assertEqual(await self.a.get("/size", consumer_id=0), fine(0, note=""))

    async def test_a_given_message_is_removed_meanwhile(self) -> None:
        await self.a.post("/consumer/register", topic="T1", part="P1")
        self.put(0, "a", "b", "c")
        await self.consume(self.a, ack=-1)
        self.topics.begins["T1", 0] = 1
        self.assertEqual(await self.consume(self.a, ack=-1), got("b", "P1", 1))
        self.topics.begins["T1", 0] = 3
        self.assertEqual(await self.consume(self.a, ack=-1), empty(0, "P1"))


if __name__ == "__main__":
    unittest.main()
