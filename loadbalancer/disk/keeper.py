"""The store behind a thread of its own: control's loop never waits for a disk, only for this thread's word."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from loadbalancer.disk.store import QueueState, Store, StoreError
from loadbalancer.event_log import Event
from loadbalancer.logs import get_logger

log = get_logger("control")


class Keeper:
    """One writer thread; calls are carried out in their order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._store: Store | None = None

    async def open(self, least_generation: int) -> tuple[int, dict[str, Any] | None, list[Event]]:
        """(the new generation, committed; the fleet's record or None; the kept events). Raises StoreError."""
        return await self._call(self._open, least_generation)

    def _open(self, least_generation: int) -> tuple[int, dict[str, Any] | None, list[Event]]:
        self._store = Store.open(self._path)
        if self._store.notice:
            log.error("state was damaged", notice=self._store.notice)
        generation = self._store.next_generation(least_generation)
        return generation, self._load(self._store), self._store.events()

    def _load(self, store: Store) -> dict[str, Any] | None:
        """A record that can't be read is as good as none: the fleet is then taken from what lives."""
        try:
            return store.load_fleet()
        except StoreError as error:
            log.error("the fleet's record is lost", error=str(error))
            return None

    async def commit(self, record: dict[str, Any] | None, events: list[Event]) -> None:
        """Save the record (None: unchanged) and the events in one transaction. Raises StoreError, an OSError."""
        await self._call(self._commit, record, events)

    def _commit(self, record: dict[str, Any] | None, events: list[Event]) -> None:
        assert self._store is not None
        self._store.commit(record, events)

    async def load_queue(self) -> QueueState:
        """Raises StoreError."""
        assert self._store is not None
        return await self._call(self._store.load_queue)

    async def append_queue(self, after: int, records: Sequence[Mapping[str, Any]], snapshot: QueueState | None) -> None:
        """Records behind version `after`, synced. Raises StoreError, an OSError; then nothing was appended."""
        assert self._store is not None
        await self._call(self._store.append_queue, after, records, snapshot)

    async def recover_queue(self, generation: int, state: QueueState) -> None:
        """The queue's state and the least generation, in place of what was kept. Raises StoreError, an OSError."""
        assert self._store is not None
        await self._call(self._store.recover_queue, generation, state)

    async def _call(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    def close(self) -> None:
        """Wait for the write under way and close the file. Safe to call again."""
        store, self._store = self._store, None
        if store is not None:
            self._thread.submit(store.close)
        self._thread.shutdown()
