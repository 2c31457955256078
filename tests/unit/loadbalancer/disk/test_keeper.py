import shutil
import sqlite3
import tempfile
import threading
import unittest
from pathlib import Path

from loadbalancer.disk.keeper import Keeper
from loadbalancer.disk.store import StoreError
from loadbalancer.event_log import Event

EVENT = Event(1, 2.0, "dead", "S1", "why")


class KeeperTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        directory = Path(tempfile.mkdtemp(dir="/tmp"))
        self.addCleanup(shutil.rmtree, directory)
        self.path = directory / "state.sqlite"

    def keeper(self) -> Keeper:
        keeper = Keeper(self.path)
        self.addCleanup(keeper.close)
        return keeper

    async def test_what_was_committed_is_found_by_the_next(self) -> None:
        first = self.keeper()
        self.assertEqual(await first.open(1), (1, None, []))
        await first.commit({"a": 1}, [EVENT])
        await first.commit(None, [])
        first.close()
        self.assertEqual(await self.keeper().open(1), (2, {"a": 1}, [EVENT]))

    async def test_a_generation_is_at_least_what_is_asked(self) -> None:
        self.assertEqual((await self.keeper().open(41))[0], 41)

    async def test_an_earlier_control_writes_nothing(self) -> None:
        first, second = self.keeper(), self.keeper()
        await first.open(1)
        await second.open(1)
        with self.assertRaises(StoreError):
            await first.commit({"a": 1}, [])

    async def test_a_record_that_is_no_json_is_none(self) -> None:
        first = self.keeper()
        await first.open(1)
        await first.commit({"a": 1}, [EVENT])
        first.close()
        with sqlite3.connect(self.path) as connection:
            connection.execute("UPDATE meta SET value = '{' WHERE key = 'fleet'")
        connection.close()
        self.assertEqual(await self.keeper().open(1), (2, None, [EVENT]))

    async def test_closed_means_that_no_thread_is_left(self) -> None:
        keeper = self.keeper()
        await keeper.open(1)
        keeper.close()
        self.assertFalse([t for t in threading.enumerate() if t.name.startswith("store")])
