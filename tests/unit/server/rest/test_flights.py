"""`server.rest.flights`: one question for all who ask meanwhile, and none is answered by an older one."""

import asyncio
import unittest

from server.rest.flights import Flights


class FlightsTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.asked: list[tuple[str, frozenset[int]]] = []
        self.answers: list[asyncio.Future[dict[int, str]]] = []
        self.flights = Flights[str, int, str](self.ask)

    async def ask(self, key: str, items: frozenset[int]) -> dict[int, str]:
        self.asked.append((key, items))
        self.answers.append(asyncio.get_running_loop().create_future())
        return await self.answers[-1]

    def get(self, key: str, *items: int) -> "asyncio.Task[object]":
        return asyncio.create_task(self.flights.get(key, items))  # type: ignore[arg-type]

    async def turn(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def test_those_that_come_together_are_one(self) -> None:
        asking = [self.get("a", 1), self.get("a", 2), self.get("b", 3)]
        await self.turn()
        self.assertEqual(self.asked, [("a", frozenset({1, 2})), ("b", frozenset({3}))])
        self.answers[0].set_result({1: "one", 2: "two"})
        self.answers[1].set_result({3: "three"})
        self.assertEqual(await asyncio.gather(*asking), [{1: "one", 2: "two"}] * 2 + [{3: "three"}])

    async def test_who_comes_later_gets_a_later_answer(self) -> None:
        first = self.get("a", 1)
        await self.turn()
        later = [self.get("a", 1) for _ in range(3)]
        await self.turn()
        self.assertEqual(len(self.asked), 1)
        self.answers[0].set_result({1: "old"})
        await self.turn()
        self.assertEqual((await first, len(self.asked)), ({1: "old"}, 2))
        self.answers[1].set_result({1: "new"})
        self.assertEqual(await asyncio.gather(*later), [{1: "new"}] * 3)

    async def test_a_failure_is_everybody_s_and_the_next_question_is_asked(self) -> None:
        asking = [self.get("a", 1), self.get("a", 1)]
        await self.turn()
        self.answers[0].set_exception(OSError("away"))
        for result in await asyncio.gather(*asking, return_exceptions=True):
            self.assertIsInstance(result, OSError)
        again = self.get("a", 1)
        await self.turn()
        self.answers[1].set_result({1: "x"})
        self.assertEqual(await again, {1: "x"})

    async def test_who_goes_away_stops_nobody(self) -> None:
        going, staying = self.get("a", 1), self.get("a", 1)
        await self.turn()
        going.cancel()
        await self.turn()
        self.answers[0].set_result({1: "x"})
        self.assertEqual(await staying, {1: "x"})

    async def test_closed(self) -> None:
        asking = self.get("a", 1)
        await self.turn()
        self.flights.close()
        await asyncio.gather(asking, return_exceptions=True)
        self.assertTrue(asking.cancelled())


if __name__ == "__main__":
    unittest.main()
