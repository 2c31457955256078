"""Hedges on a bench: every order in which two tries of one request can answer, fail, be taken back or be left."""

import asyncio
import unittest
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from support.bench import ACCEPTS, HANGS, OK, REFUSES, Bench, Caller, Line, bench

from loadbalancer.ejection import STRIKES
from loadbalancer.retry import RETRIES_PER_S, RETRY_SHARE, WINDOW_S

OTHER = OK.replace(b"ok", b"yo")
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
NODES = (1, 2, 3, 4)


class HedgeCase(unittest.IsolatedAsyncioTestCase):
    """In each test one GET is under way on `first`, its hedge, if there is one, on `second`; `third` comes next."""

    @asynccontextmanager
    async def asked(self, begin: bool = True, **settings: Any) -> AsyncGenerator[tuple[Bench, Caller]]:
        async with bench(*NODES, **{"hedge_after": "0.05"} | settings) as ground:
            self.first, self.second, self.third, _ = ground.after()
            caller = ground.ask()
            await ground.settle()
            if begin:
                await ground.later(0.051)
            yield ground, caller
            await ground.settle()
            self.assertEqual(ground.in_flight, {})
            self.assertEqual(len(caller.statuses), 0 if caller.client.exchange else 1)

    def line(self, ground: Bench, node: int) -> Line:
        (line,) = ground.at(node)
        return line

    def counted(self, ground: Bench) -> tuple[int, int, int]:
        counters = ground.door.counters
        return counters.hedges, counters.hedges_won, counters.retries


class WhoWins(HedgeCase):
    async def test_nothing_is_sent_twice_before_the_delay(self) -> None:
        async with self.asked(begin=False) as (ground, _caller):
            await ground.later(0.049)
            self.assertEqual(ground.in_flight, {self.first: 1})
            await ground.later(0.002)
            self.assertEqual(ground.in_flight, {self.first: 1, self.second: 1})
            sent = [self.line(ground, node).wire.written for node in (self.first, self.second)]
            self.assertEqual(sent[0], sent[1])
            self.line(ground, self.first).answer()

    async def test_the_second_answers_first(self) -> None:
        async with self.asked() as (ground, caller):
            loser = self.line(ground, self.first)
            self.line(ground, self.second).answer(OTHER)
            await ground.settle()
            self.assertTrue(caller.wire.written.endswith(b"yo"))
            self.assertTrue(loser.wire.ended)
            self.assertEqual(self.counted(ground), (1, 1, 0))
            self.assertFalse(ground.replicas._ejections.unsettled(self.first))
            self.assertEqual(ground.door.counters.codes("proxy", self.second)[2], 1)

    async def test_the_first_answers_first(self) -> None:
        async with self.asked() as (ground, caller):
            loser = self.line(ground, self.second)
            self.line(ground, self.first).answer()
            await ground.settle()
            self.assertTrue(caller.wire.written.endswith(b"ok"))
            self.assertTrue(loser.wire.ended)
            self.assertEqual(self.counted(ground), (1, 0, 0))
            self.assertFalse(ground.replicas._ejections.unsettled(self.second))

    async def test_both_answer_at_once(self) -> None:
        for order in ((0, 1), (1, 0)):
            async with self.asked() as (ground, caller):
                lines = [self.line(ground, self.first), self.line(ground, self.second)]
                for number in order:
                    lines[number].upstream.data_received((OK, OTHER)[number])  # in one turn, before any abort is heard
                await ground.settle()
                self.assertEqual(caller.statuses, [200])
                self.assertTrue(caller.wire.written.endswith((b"ok", b"yo")[order[0]]))

    async def test_an_answer_in_pieces_wins_by_its_first(self) -> None:
        async with self.asked() as (ground, caller):
            winner = self.line(ground, self.second)
            winner.answer(OTHER[:20])
            self.assertEqual(ground.in_flight, {self.second: 1})
            winner.answer(OTHER[20:])
            await ground.settle()
            self.assertTrue(caller.wire.written.endswith(b"yo"))

    async def test_the_winner_s_connection_is_used_again(self) -> None:
        async with self.asked() as (ground, _caller):
            self.line(ground, self.second).answer()
            await ground.settle()
            again = next(line for line in ground.lines if line.node == self.second)
            self.assertEqual(len(ground.replicas.pools[self.second]._idle), 1)
            self.assertFalse(again.wire.ended)

    async def test_a_hedge_that_is_busy_or_no_http_wins_nothing(self) -> None:
        for answer in (BUSY, b"220 smtp.example\r\n"):
            async with self.asked() as (ground, caller):
                self.line(ground, self.second).answer(answer)
                await ground.settle()
                self.assertEqual(ground.in_flight, {self.first: 1})
                self.line(ground, self.first).answer()
                await ground.settle()
                self.assertEqual((caller.statuses, self.counted(ground)), ([200], (1, 0, 0)))

    async def test_there_is_one_hedge_at_most(self) -> None:
        async with self.asked() as (ground, _caller):
            await ground.later(10)
            self.assertEqual(ground.in_flight, {self.first: 1, self.second: 1})
            self.line(ground, self.first).answer()


class WhoFails(HedgeCase):
    async def test_the_first_is_reset(self) -> None:
        async with self.asked() as (ground, caller):
            self.line(ground, self.first).reset()
            self.assertEqual(ground.in_flight, {self.second: 1})
            self.assertTrue(ground.replicas._ejections.unsettled(self.first))
            self.line(ground, self.second).answer(OTHER)
            await ground.settle()
            self.assertEqual((caller.statuses, self.counted(ground)), ([200], (1, 0, 0)))

    async def test_both_are_reset_and_the_third_answers(self) -> None:
        for order in ((0, 1), (1, 0)):
            async with self.asked() as (ground, caller):
                lines = [self.line(ground, self.first), self.line(ground, self.second)]
                for number in order:
                    lines[number].reset()
                await ground.settle()
                self.assertEqual(ground.in_flight, {self.third: 1})
                self.line(ground, self.third).answer()
                await ground.settle()
                self.assertEqual((caller.statuses, self.counted(ground)), ([200], (1, 0, 1)))

    async def test_three_tries_at_most_with_the_hedge(self) -> None:
        async with self.asked() as (ground, caller):
            for node in (self.second, self.first):
                self.line(ground, node).reset()
                await ground.settle()
            self.line(ground, self.third).reset()
            await ground.settle()
            self.assertEqual(caller.statuses, [502])

    async def test_the_first_fails_while_the_hedge_connects(self) -> None:
        async with self.asked(begin=False) as (ground, _caller):
            ground.outcome = lambda node: HANGS
            await ground.later(0.051)
            ground.outcome = lambda node: ACCEPTS
            self.line(ground, self.first).reset()
            await ground.settle()
            self.assertEqual(ground.in_flight, {self.second: 1})
            self.line(ground, self.second).answer()

    async def test_the_first_connects_for_ever(self) -> None:
        async with bench(*NODES, hedge_after="0.05") as ground:
            first, second, *_ = ground.after()
            ground.outcome = lambda node: HANGS if node == first else ACCEPTS
            caller = ground.ask()
            await ground.later(0.051)
            self.line(ground, second).answer()
            await ground.settle()
            self.assertEqual((caller.statuses, ground.in_flight), ([200], {}))
            self.assertFalse(ground.replicas.pools[first].connecting)

    async def test_the_hedge_is_refused(self) -> None:
        async with self.asked(begin=False) as (ground, caller):
            ground.outcome = lambda node: REFUSES
            await ground.later(0.051)
            self.assertEqual(ground.in_flight, {self.first: 1})
            self.assertEqual([word["name"] for word in ground.said], [f"S{self.second}"])
            ground.outcome = lambda node: ACCEPTS
            self.line(ground, self.first).reset()
            await ground.settle()
            self.line(ground, self.third).answer()  # not the second, which was tried
            await ground.settle()
            self.assertEqual(caller.statuses, [200])

    async def test_resets_of_hedges_are_signs_like_others(self) -> None:
        async with bench(*NODES, hedge_after="0.05") as ground:
            _, second, *_ = ground.after()
            for _ in range(STRIKES):
                caller = ground.ask()
                await ground.settle()
                await ground.later(0.051)
                self.line(ground, second).reset()
                self.line(ground, ground.owner()).answer()
                await ground.settle()
                self.assertEqual(caller.statuses, [200])
            self.assertEqual([word["name"] for word in ground.said], [f"S{second}"])

    async def test_an_idle_connection_s_end_is_none(self) -> None:
        async with bench(*NODES, hedge_after="0.05") as ground:
            target = next(b"/%d" % i for i in range(99) if ground.owner(b"/%d" % i) == ground.after()[1])
            caller = ground.ask(target)  # so that the second has a pooled connection
            await ground.settle()
            self.line(ground, ground.owner(target)).answer()
            await ground.settle()
            await ground.later(2)
            caller = ground.ask()
            await ground.settle()
            await ground.later(0.051)
            self.line(ground, ground.owner(target)).reset()
            self.assertFalse(ground.replicas._ejections.unsettled(ground.owner(target)))
            self.line(ground, ground.owner()).answer()
            await ground.settle()
            self.assertEqual(caller.statuses, [200])

    async def test_a_silent_first_times_out_into_its_hedge(self) -> None:
        async with self.asked(upstream_timeout_s=5.0) as (ground, caller):
            await ground.later(4.96)
            self.assertEqual(ground.in_flight, {self.second: 1})
            await ground.later(0.06)  # so is the hedge, by now
            self.assertEqual(ground.in_flight, {self.third: 1})
            self.line(ground, self.third).answer()
            await ground.settle()
            self.assertEqual(caller.statuses, [200])

    async def test_the_hedge_finds_a_full_queue(self) -> None:
        async with self.asked(begin=False, upstream_connections=1, upstream_queue=0) as (ground, caller):
            target = next(b"/%d" % i for i in range(99) if ground.owner(b"/%d" % i) == self.second)
            other = ground.ask(target, b"POST")
            await ground.later(0.051)
            self.assertEqual(ground.in_flight, {self.first: 1, self.second: 1})
            for node in (self.first, self.second):
                self.line(ground, node).answer()
            await ground.settle()
            self.assertEqual((other.statuses, caller.statuses), ([200], [200]))


class WhoLeaves(HedgeCase):
    async def test_the_client(self) -> None:
        async with bench(*NODES, hedge_after="0.05") as ground:
            caller = ground.ask()
            await ground.settle()
            await ground.later(0.051)
            caller.leave()
            await ground.settle()
            self.assertEqual(ground.in_flight, {})
            self.assertTrue(all(line.wire.ended for line in ground.lines))
            self.assertEqual((caller.statuses, ground.said), ([], []))

    async def test_the_client_before_there_is_a_hedge(self) -> None:
        async with bench(*NODES, hedge_after="0.05") as ground:
            caller = ground.ask()
            await ground.settle()
            caller.leave()
            await ground.later(0.051)
            self.assertEqual((ground.in_flight, ground.door.counters.hedges), ({}, 0))
            hedger = ground.door._hedger
            assert hedger is not None
            self.assertFalse(hedger._due)

    async def test_the_hedge_s_replica_is_ejected(self) -> None:
        async with self.asked() as (ground, _caller):
            ground.replicas.told(self.second, f"S{self.second}", "refused")
            self.assertEqual(ground.in_flight, {self.first: 1})
            self.line(ground, self.first).answer()

    async def test_the_first_s_replica_is_ejected(self) -> None:
        async with self.asked() as (ground, _caller):
            ground.replicas.told(self.first, f"S{self.first}", "refused")
            self.assertEqual((ground.in_flight, self.counted(ground)), ({self.second: 1}, (1, 0, 0)))
            self.line(ground, self.second).answer()

    async def test_both_are_replaced(self) -> None:
        async with self.asked() as (ground, _caller):
            changed = [replace(ground.members[node], name=f"new{node}") for node in (self.first, self.second)]
            ground.publish(*changed)
            await ground.settle()
            (line,) = ground.at(self.third)
            line.answer()

    async def test_the_hedge_s_replica_drains_and_may_finish(self) -> None:
        async with self.asked() as (ground, caller):
            ground.publish(replace(ground.members[self.second], routable=False, draining=True))
            self.line(ground, self.second).answer(OTHER)
            await ground.settle()
            self.assertTrue(caller.wire.written.endswith(b"yo"))


class WhatIsHedged(unittest.IsolatedAsyncioTestCase):
    async def hedges_of(self, *request: Any, nodes: tuple[int, ...] = NODES, **settings: Any) -> int:
        async with bench(*nodes, **{"hedge_after": "0.05"} | settings) as ground:
            ground.ask(*request)
            await ground.settle()
            await ground.later(1)
            return ground.door.counters.hedges

    async def test_safe_methods_without_a_body(self) -> None:
        for method in (b"GET", b"HEAD", b"OPTIONS"):
            self.assertEqual(await self.hedges_of(b"/a", method), 1, method)
        for method in (b"POST", b"PUT", b"DELETE", b"PATCH"):
            self.assertEqual(await self.hedges_of(b"/a", method), 0, method)
        self.assertEqual(await self.hedges_of(b"/a", b"GET", b"Content-Length: 1\r\n\r\nx"), 0)

    async def test_nothing_when_it_is_off(self) -> None:
        self.assertEqual(await self.hedges_of(hedge_after=""), 0)

    async def test_nothing_without_another_replica(self) -> None:
        self.assertEqual(await self.hedges_of(nodes=(1,)), 0)

    async def test_nothing_in_panic(self) -> None:
        async with bench(*NODES, hedge_after="0.05") as ground:
            ground.publish(*(replace(ground.members[node], routable=False) for node in (1, 2, 3)))
            caller = ground.ask()
            await ground.settle()
            await ground.later(1)
            self.assertEqual((ground.door.counters.hedges, len(ground.in_flight)), (0, 1))
            caller.leave()

    async def test_control_s_calls_are_not(self) -> None:
        self.assertEqual(await self.hedges_of(b"/rep"), 0)

    async def test_never_more_than_the_budget_s_earned_part(self) -> None:
        async with bench(*NODES, hedge_after="0.05") as ground:
            count = 400
            callers = await ground.ask_all([b"/%d" % i for i in range(count)])
            await ground.later(0.1)
            self.assertEqual(ground.door.counters.hedges, RETRY_SHARE * count + RETRIES_PER_S * WINDOW_S)
            self.assertEqual(ground.door.counters.retries_denied, 0)
            self.assertGreaterEqual(ground.replicas._budget.left(), 512)
            for caller in callers:
                caller.leave()

    async def test_loads_count_hedges(self) -> None:
        for name in ("p2c", "bounded"):
            async with bench(*NODES, hedge_after="0.05", policy=name) as ground:
                caller = ground.ask()
                await ground.settle()
                await ground.later(0.051)
                self.assertEqual(sum(ground.replicas._view.in_flight.values()), 2)
                caller.leave()


class ByPercentile(unittest.IsolatedAsyncioTestCase):
    async def test_after_a_hundred_answers_the_slowest_twentieth_is(self) -> None:
        async with bench(*NODES, hedge_after="p95") as ground:
            for _ in range(310):
                caller = ground.ask()
                await ground.settle()
                await ground.later(0.01)
                ground.at(ground.owner())[0].answer()
                await ground.settle()
                caller.leave()
            self.assertEqual(ground.door.counters.hedges, 0)
            caller = ground.ask()
            await ground.settle()
            await ground.later(0.009)
            self.assertEqual(ground.door.counters.hedges, 0)
            await ground.later(0.003)
            self.assertEqual(ground.door.counters.hedges, 1)
            caller.leave()

    async def test_who_finds_nobody_is_told_when_to_come_back(self) -> None:
        async with bench(1, hedge_after="0.001") as ground:
            ground.outcome = lambda node: REFUSES
            caller = ground.ask()
            await ground.settle()
            self.assertEqual(caller.statuses, [503])
            self.assertIn(b"\r\nRetry-After: 1\r\n", caller.wire.written)

    async def test_one_timer_for_all(self) -> None:
        async with bench(*NODES, hedge_after="0.001") as ground:
            hedger = ground.door._hedger
            assert hedger is not None
            callers = [ground.ask(b"/%d" % i) for i in range(5)]
            timer = hedger._timer
            assert timer is not None
            await asyncio.sleep(0)
            self.assertIs(hedger._timer, timer)
            ground.now += 1
            while not ground.door.counters.hedges:  # the loop's own timer, after its millisecond
                await asyncio.sleep(0.001)
            self.assertEqual(ground.door.counters.hedges, 5)
            self.assertIsNone(hedger._timer)
            for caller in callers:
                caller.leave()
