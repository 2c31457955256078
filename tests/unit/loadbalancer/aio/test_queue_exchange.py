"""Calls of the queue's HTTP interface, through a real door to replicas that misbehave."""

import unittest

from support.door_case import DoorCase
from support.fake_replicas import FakeReplica, Rig, Visit, ok, reset, saying

from loadbalancer.counters import ADMIN, NOBODY, PROXY, QUEUE
from loadbalancer.hashes import key_of

CALLS = (b"/producer/register", b"/producer/produce", b"/consumer/register", b"/consumer/consume?consumer_id=7",
         b"/size?consumer_id=7", b"/topics")  # fmt: skip
CONTROLS = (b"/topics/add", b"/brokers", b"/brokers/add?broker_name=b1", b"/brokers/test?broker_name=b1")


async def end_of_reading(visit: Visit) -> None:
    """Answered by closing in good order."""
    visit.close()


class QueueCase(DoorCase):
    async def queue_rig(self, count: int = 3, **settings: object) -> Rig:
        return await self.rig(*([ok] * count), queue_http=True, **settings)

    def visits(self, rig: Rig) -> list[int]:
        return [len(replica.visits) for replica in rig.replicas]

    def answered(self, rig: Rig, route: str) -> int:
        nodes = (NOBODY, *range(1, len(rig.replicas) + 1))
        return sum(sum(rig.door.counters.codes(route, node)) for node in nodes)


class WhoAnswers(QueueCase):
    async def test_replicas_answer_and_are_counted_as_the_queue(self) -> None:
        rig = await self.queue_rig()
        client = await rig.connect()
        for target in CALLS:
            self.assertEqual((await client.get(target))[0], 200)
        self.assertEqual(sum(self.visits(rig)), len(CALLS))
        self.assertEqual(self.answered(rig, QUEUE), len(CALLS))
        self.assertEqual(self.answered(rig, PROXY), 0)
        self.assertEqual(sum(rig.door.counters.latency[QUEUE].counts), len(CALLS))
        self.assertEqual(set(rig.door.counters.to_json()["requests"]["queue"]) - {"1", "2", "3"}, set())

    async def test_control_answers_the_rest(self) -> None:
        rig = await self.queue_rig()
        control = await self.socket(rig, rig.door.settings.control_socket, ok)
        for target in CONTROLS:
            self.assertEqual((await (await rig.connect()).get(target))[0], 200)
        self.assertEqual(len(control.visits), len(CONTROLS))
        self.assertEqual(self.visits(rig), [0, 0, 0])
        self.assertEqual(self.answered(rig, ADMIN), len(CONTROLS))

    async def test_one_consumer_goes_to_one_replica_by_any_policy(self) -> None:
        for policy in ("ring", "p2c"):
            rig = await self.queue_rig(policy=policy)
            client = await rig.connect()
            for number in range(20):
                owner = rig.replicas[rig.door.replicas.ring.owner(key_of(b"%d" % number)) - 1]
                before = len(owner.visits)
                await client.get(b"/consumer/consume?a=b&consumer_id=%d" % number)
                await client.get(b"/size?consumer_id=%d" % number)
                self.assertEqual(len(owner.visits), before + 2)

    async def test_any_other_goes_to_the_less_loaded(self) -> None:
        rig = await self.queue_rig()
        client = await rig.connect()
        for _ in range(40):
            await client.get(b"/topics")
        self.assertTrue(all(self.visits(rig)), self.visits(rig))

    async def test_without_the_queue_they_are_the_applications(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        for target in (*CALLS, *CONTROLS):
            self.assertEqual((await client.get(target))[0], 200)
        self.assertEqual((self.answered(rig, PROXY), self.answered(rig, QUEUE)), (len(CALLS) + len(CONTROLS), 0))

    async def test_paths_that_only_look_like_it(self) -> None:
        rig = await self.queue_rig()
        client = await rig.connect()
        targets = (b"/producer", b"/sizes", b"/topics/other", b"/brokersx", b"/consumers/x")
        for target in targets:
            self.assertEqual((await client.get(target))[0], 200)
        self.assertEqual((self.answered(rig, PROXY), self.answered(rig, QUEUE)), (len(targets), 0))

    async def test_an_admin_port_has_them_and_no_other(self) -> None:
        rig = await self.rig(ok, queue_http=True, admin=False)
        client = await rig.connect()
        for target in (*CALLS, *CONTROLS):
            status, _, body = await client.get(target)
            self.assertEqual(status, 404)
            self.assert_failure(body, "the queue's paths are at the admin port")
        self.assertEqual(self.visits(rig), [0])
        self.assertEqual((await client.get(b"/rep"))[0], 200, "that is the replica's here")
        rig = await self.rig(ok, queue_http=True, proxy=False)
        self.assertEqual((await (await rig.connect()).get(b"/size?consumer_id=1"))[0], 200)

    async def test_a_page_of_another_origin_is_no_client(self) -> None:
        """Its GET of /consumer/consume would move a cursor, and its form can be JSON."""
        rig = await self.queue_rig()
        client = await rig.connect()
        pages = (b"Origin: http://elsewhere.example\r\n", b"Origin: null\r\n", b"Sec-Fetch-Site: cross-site\r\n")
        for target in CALLS:
            for page in pages:
                status, _, body = await client.get(target, page)
                self.assertEqual(status, 403)
                self.assert_failure(body, "a page of another origin may not change things")
        self.assertEqual(sum(self.visits(rig)), 0)
        self.assertEqual((await client.get(b"/topics", b"Sec-Fetch-Site: none\r\n"))[0], 200)

    async def test_no_replica(self) -> None:
        rig = await self.rig(queue_http=True)
        status, _, body = await (await rig.connect()).get(b"/topics")
        self.assertEqual(status, 503)
        self.assert_failure(body, "no server replica is available")
        self.assertEqual(self.answered(rig, QUEUE), 1)


class NeverTwice(QueueCase):
    async def test_what_was_sent_is_not_sent_again(self) -> None:
        for failure in (reset, end_of_reading):
            rig = await self.queue_rig()
            for replica in rig.replicas:
                replica.answer = failure
            client = await rig.connect()
            self.assertEqual((await client.get(b"/consumer/consume?consumer_id=1"))[0], 502)
            self.assertEqual(sum(self.visits(rig)), 1)

    async def test_what_was_refused_goes_to_the_next(self) -> None:
        rig = await self.queue_rig()
        gone = rig.door.replicas.ring.owner(key_of(b"1"))
        await rig.replicas[gone - 1].stop()
        client = await rig.connect()
        self.assertEqual((await client.get(b"/consumer/consume?consumer_id=1"))[0], 200)
        self.assertEqual(sum(self.visits(rig)), 1)
        await rig.replicas[gone - 1].start()

    async def test_an_ejection_takes_no_call_back(self) -> None:
        rig = await self.queue_rig()
        owner = rig.door.replicas.ring.owner(key_of(b"1"))
        replica = rig.replicas[owner - 1]

        async def wait(visit: Visit) -> None:
            await visit.reader.read(1)

        replica.answer = wait
        client = await rig.connect()
        client.send(b"GET /consumer/consume?consumer_id=1 HTTP/1.1\r\nHost: d\r\n\r\n")
        await replica.visited()
        rig.publish(**{f"S{owner}": {"routable": False}})
        await rig.turns()
        self.assertEqual(sum(self.visits(rig)), 1)
        replica.close_connections()
        self.assertEqual((await client.message())[0], 502)

    async def test_no_hedge(self) -> None:
        rig = await self.queue_rig(hedge_after="0.001")
        slow: list[FakeReplica] = []

        async def answer_late(visit: Visit) -> None:
            await rig.until(lambda: bool(slow))
            visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        for replica in rig.replicas:
            replica.answer = answer_late
        client = await rig.connect()
        client.send(b"GET /topics HTTP/1.1\r\nHost: d\r\n\r\n")
        await rig.until(lambda: sum(self.visits(rig)) > 0)
        rig.later(1.0)
        slow.append(rig.replicas[0])
        self.assertEqual((await client.message())[0], 200)
        self.assertEqual((sum(self.visits(rig)), rig.door.counters.hedges), (1, 0))

    async def test_a_repeated_call_is_not_taken_for_a_known_request(self) -> None:
        """Nor is the answer counted for another route on its short way back."""
        rig = await self.queue_rig(1)
        rig.replicas[0].answer = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        client = await rig.connect()
        for _ in range(5):
            await client.get(b"/topics")
        self.assertEqual((self.answered(rig, QUEUE), self.answered(rig, PROXY)), (5, 0))

    async def test_a_body_goes_along(self) -> None:
        rig = await self.queue_rig()
        client = await rig.connect()
        body = b'{"producer_id": 0, "message": "x"}'
        client.send(b"POST /producer/produce HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        self.assertEqual((await client.message())[0], 200)
        self.assertEqual([visit.body for replica in rig.replicas for visit in replica.visits], [body])


if __name__ == "__main__":
    unittest.main()
