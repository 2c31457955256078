import asyncio
import tempfile
import threading
import time
import unittest
import unittest.mock
from pathlib import Path
from typing import Any, cast

from loadbalancer.aio import control
from loadbalancer.aio.control import BEAT_S, WEDGED_AFTER_S, Control
from loadbalancer.rest.port import Busy
from loadbalancer.settings import Settings


class Loop(unittest.TestCase):
    """Control's loop runs; its work (`_live`) is replaced by waiting, and what it is asked by what the test says."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(dir="/tmp")
        self.addCleanup(directory.cleanup)
        self.control: Any = Control(Settings(state_dir=Path(directory.name)), replicas_asked=False)
        self.control._live = self.live
        self.control.start()
        self.addCleanup(self.control.stop)

    async def live(self) -> None:
        self.control._assembly = object()
        await asyncio.Event().wait()

    def test_a_loop_that_comes_round_is_not_wedged(self) -> None:
        self.assertEqual(self.control._ask(lambda assembly: 7), 7)
        self.assertFalse(self.control.wedged(time.monotonic()))
        self.assertFalse(self.control.wedged(time.monotonic() + WEDGED_AFTER_S - 2 * BEAT_S))

    def test_one_that_hangs_is_and_may_recover(self) -> None:
        entered, leave = threading.Event(), threading.Event()

        def hang(assembly: object) -> None:
            entered.set()
            leave.wait(30)

        asker = threading.Thread(target=self.control._ask, args=(hang,))
        asker.start()
        entered.wait(30)
        with unittest.mock.patch.object(control.log, "error") as told:
            for _ in range(3):
                self.assertTrue(self.control.wedged(time.monotonic() + WEDGED_AFTER_S + BEAT_S))
            told.assert_called_once()
        leave.set()
        asker.join()
        self.assertFalse(self.control.wedged(time.monotonic()))

    def test_a_question_that_was_given_up_is_never_asked(self) -> None:
        """A change that was answered 503 must not be made later: its caller may come again."""
        entered, leave = threading.Event(), threading.Event()
        asked: list[int] = []

        def hang(assembly: object) -> None:
            entered.set()
            leave.wait(30)

        asker = threading.Thread(target=self.control._ask, args=(hang,))
        asker.start()
        entered.wait(30)
        with unittest.mock.patch.object(control, "LOOP_ANSWER_S", 0), self.assertRaises(Busy):
            self.control._ask(lambda assembly: asked.append(1))
        leave.set()
        asker.join()
        self.control._ask(lambda assembly: None)
        self.assertEqual(asked, [])

    def test_a_fault_in_an_answer_is_the_asker_s(self) -> None:
        with self.assertRaises(ZeroDivisionError):
            self.control._ask(lambda assembly: 1 // cast(int, 0))


class Pulse(unittest.TestCase):
    def test_the_worker_has_none_while_the_controller_s_loop_hangs(self) -> None:
        from loadbalancer.rest.gunicorn_app import ControlWorker

        worker = cast(Any, ControlWorker.__new__(ControlWorker))
        worker.tmp = unittest.mock.Mock()
        for wedged, beats in ((False, 1), (True, 1), (False, 2)):
            with unittest.mock.patch.object(control, "wedged", return_value=wedged):
                worker.notify()
            self.assertEqual(worker.tmp.notify.call_count, beats)
