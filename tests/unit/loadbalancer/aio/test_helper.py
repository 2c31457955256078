import asyncio
import threading
import unittest

from loadbalancer.aio.helper import Helper


class HelperTest(unittest.IsolatedAsyncioTestCase):
    async def test_calls_are_carried_out_in_order_in_one_thread(self) -> None:
        helper, seen = Helper("h"), list[tuple[int, int]]()

        def note(number: int) -> int:
            seen.append((number, threading.get_ident()))
            return number

        async with asyncio.timeout(20):
            answers = await asyncio.gather(*(helper.call(lambda n=n: note(n)) for n in range(50)))
        self.assertEqual(answers, [*range(50)])
        self.assertEqual([number for number, _ in seen], [*range(50)])
        self.assertEqual(len({thread for _, thread in seen}), 1)
        self.assertNotEqual(seen[0][1], threading.get_ident())

    async def test_a_fault_is_the_caller_s_and_the_next_call_goes_on(self) -> None:
        helper = Helper("h")
        async with asyncio.timeout(20):
            with self.assertRaises(ZeroDivisionError):
                await helper.call(lambda: 1 // 0)
            self.assertEqual(await helper.call(lambda: 7), 7)

    async def test_who_went_away_misses_nothing(self) -> None:
        helper, entered, leave, done = Helper("h"), threading.Event(), threading.Event(), list[int]()

        def hang() -> None:
            entered.set()
            leave.wait(20)
            done.append(1)

        task = asyncio.create_task(helper.call(hang))
        await asyncio.to_thread(entered.wait, 20)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        leave.set()
        async with asyncio.timeout(20):
            self.assertEqual(await helper.call(lambda: done), [1])

    async def test_when_nothing_comes_it_says_so_once(self) -> None:
        idle: list[threading.Thread] = []
        told = threading.Event()

        def rest() -> None:
            idle.append(threading.current_thread())
            told.set()

        helper = Helper("h", rest, idle_s=0.001)
        async with asyncio.timeout(20):
            thread = await helper.call(threading.current_thread)
            await asyncio.to_thread(told.wait, 20)
            self.assertEqual(idle, [thread])
            told.clear()
            self.assertIs(await helper.call(threading.current_thread), thread)
            await asyncio.to_thread(told.wait, 20)
        self.assertTrue(thread.daemon)

    def test_a_loop_that_has_ended_is_let_be(self) -> None:
        helper, entered, leave, left = Helper("h"), threading.Event(), threading.Event(), threading.Event()

        def hang() -> None:
            entered.set()
            leave.wait(20)

        async def ask() -> None:
            asking = asyncio.ensure_future(helper.call(hang))
            await asyncio.to_thread(entered.wait, 20)
            asking.cancel()

        asyncio.run(ask())
        leave.set()

        async def ask_again() -> None:
            await helper.call(left.set)

        asyncio.run(ask_again())
        self.assertTrue(left.is_set())


if __name__ == "__main__":
    unittest.main()
