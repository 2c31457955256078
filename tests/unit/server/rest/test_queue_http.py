"""`server.rest.queue_http`: its paths, its start at the first call, what it counts, and its end."""

import asyncio
import unittest
from unittest import mock

from prometheus_client.parser import text_string_to_metric_families

from server.rest import queue_http
from server.rest.control_http import ControlHttp, NoControl
from server.rest.memory_cluster import MemoryCluster, Topics
from server.rest.queue_http import QueueHttp, control_at
from tests.support.http_service import ServiceCase
from tests.support.queue_replicas import MemoryControl, Replica, request
from wire.http_queue import CONSUMERS_TOPIC, PRODUCERS_TOPIC, TOPICS


class QueueHttpTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.topics = Topics()
        self.control = MemoryControl(self.topics)
        self.replica = Replica(self.topics, self.control)
        self.addAsyncCleanup(self.replica.http.close)

    def test_other_paths_are_not_its_own(self) -> None:
        for path in ("/home", "/topics/", "/topics/add", "/brokers", "/"):
            self.assertIsNone(self.replica.http.answer(request("GET", path)))

    async def test_a_bad_call_is_answered_at_once_and_starts_nothing(self) -> None:
        self.assertEqual((await self.replica.get("/size"))[0], 400)
        self.assertEqual((await self.replica.get("/producer/produce"))[0], 405)
        self.assertEqual(self.topics.logs, {})

    async def test_the_first_calls_make_the_topics_once(self) -> None:
        answers = await asyncio.gather(*[self.replica.get("/topics") for _ in range(5)])
        self.assertEqual({status for status, _ in answers}, {200})
        self.assertEqual(set(self.topics.logs), set(TOPICS))

    async def test_a_start_that_fails_is_tried_again(self) -> None:
        self.topics.is_away = True
        with mock.patch.object(queue_http, "OPEN_S", 0.0):
            status, answer = await self.replica.get("/topics")
        self.assertEqual((status, answer["status"]), (503, "failure"))
        self.topics.is_away = False
        self.assertEqual((await self.replica.get("/topics"))[0], 200)

    async def test_who_comes_while_a_start_is_under_way_waits_no_longer_than_it(self) -> None:
        self.topics.is_away = True
        with mock.patch.object(queue_http, "OPEN_S", 0.05), mock.patch.object(queue_http, "PAUSE_S", 0.01):
            first = asyncio.create_task(self.replica.get("/topics"))
            await asyncio.sleep(0)
            second = asyncio.create_task(self.replica.get("/topics"))
            self.assertEqual((await first)[0], 503)
            for _ in range(5):
                await asyncio.sleep(0)
            self.assertTrue(second.done())
        self.topics.is_away = False
        self.assertEqual((await self.replica.get("/topics"))[0], 200)

    async def test_topics_without_a_leader_are_waited_for(self) -> None:
        self.topics.leaders[TOPICS[2], 0] = None
        with mock.patch.object(queue_http, "OPEN_S", 0.0):
            status, answer = await self.replica.get("/topics")
        self.assertEqual(status, 503)
        self.assertIn("leaders", answer["message"])

    async def test_a_cluster_that_is_emptied_is_begun_anew(self) -> None:
        """As a Kafka in a container without a volume is, when it starts again."""
        other = Replica(self.topics, self.control)
        self.addAsyncCleanup(other.http.close)
        for replica in (self.replica, other):
            await self.control.add_topic("T1", "P1")
            self.assertEqual((await replica.post("/producer/register", topic="T1"))[0], 200)
            self.assertEqual((await replica.get("/topics"))[0], 200)
        self.topics.logs.clear()
        self.control.names.clear()
        other.cluster.hear()
        self.assertEqual((await self.replica.get("/topics"))[0], 503)
        self.assertEqual(await self.replica.get("/topics"), (200, {"message": {}, "status": "success"}))
        await self.control.add_topic("T1", "new")
        self.assertEqual((await other.post("/producer/register", topic="T1"))[0], 503)
        for at, replica in enumerate((other, self.replica)):
            found = {"message": at, "status": "success"}
            self.assertEqual(await replica.post("/producer/register", topic="T1", part="new"), (200, found))

    async def test_one_of_the_topics_that_is_deleted_is_made_anew(self) -> None:
        """Not 400, which would put it down to the caller, and would last as long as nobody asks for its end."""
        await self.control.add_topic("T1", "P1")
        self.assertEqual((await self.replica.post("/consumer/register", topic="T1"))[0], 200)
        for path in ("/producer/register", "/consumer/register"):
            del self.topics.logs[PRODUCERS_TOPIC], self.topics.logs[CONSUMERS_TOPIC]
            self.assertEqual((await self.replica.post(path, topic="T1"))[0], 503)
            found = {"message": 0, "status": "success"}
            self.assertEqual(await self.replica.post(path, topic="T1"), (200, found))

    async def test_calls_are_bounded(self) -> None:
        with mock.patch.object(queue_http, "MAX_CALLS", 1):
            answers = await asyncio.gather(*[self.replica.get("/topics") for _ in range(3)])
            self.assertEqual(sorted(status for status, _ in answers), [200, 503, 503])
            self.assertEqual((await self.replica.get("/topics"))[0], 200)

    async def test_a_call_whose_client_goes_away_at_once_is_over(self) -> None:
        """A task that is cancelled before its first step never runs a line of its coroutine."""
        with mock.patch.object(queue_http, "MAX_CALLS", 1):
            gone = self.replica.http.answer(request("GET", "/topics"))
            assert asyncio.iscoroutine(gone)
            going = asyncio.create_task(gone)
            going.cancel()
            await asyncio.gather(going, return_exceptions=True)
            self.assertEqual((await self.replica.get("/topics"))[0], 200)

    async def test_metrics(self) -> None:
        self.assertEqual(self.replica.http.metrics_text(), "")
        await self.replica.get("/topics")
        await self.replica.get("/size")
        (family,) = text_string_to_metric_families(self.replica.http.metrics_text())
        found = {(sample.labels["path"], sample.labels["code"]): sample.value for sample in family.samples}
        self.assertEqual(found, {("/topics", "200"): 1, ("/size", "400"): 1})

    async def test_closed_without_a_call(self) -> None:
        async def never() -> MemoryCluster:
            raise AssertionError

        await QueueHttp(never, self.control).close()

    def test_control_s_address(self) -> None:
        self.assertIsInstance(control_at(None), NoControl)
        self.assertIsInstance(control_at("unix:/x"), ControlHttp)


class PipelineTest(ServiceCase):
    async def test_answers_that_come_later_keep_the_order_of_their_requests(self) -> None:
        """Through a real service: `wire.aio.service` waits with the next request until one is answered."""
        topics = Topics()
        replica = Replica(topics, MemoryControl(topics))
        self.addAsyncCleanup(replica.http.close)
        await replica.http._control.add_topic("T1", "P1")
        await self.serve(replica.http.answer)  # type: ignore[arg-type]
        bodies = [b'{"topic": "T1"}', *[b'{"producer_id": 0, "message": "%d"}' % at for at in range(20)]]
        told = b"".join(
            b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b"
            % (b"/producer/produce" if at else b"/producer/register", len(body), body)
            for at, body in enumerate(bodies)
        )
        answers = await self.exchange(told)
        self.assertEqual(answers.count(b"T1xP1:Success"), 20)
        self.assertEqual([value for _, value in topics.logs["T1"][0]], [b"%d" % at for at in range(20)])


if __name__ == "__main__":
    unittest.main()
