"""Control's end of the feed: snapshots down to the data-path workers, their counters and words up.

One JSON object a line on a Unix socket in a directory of ours. A worker that connects gets the newest snapshot at
once; one that reads too slowly is cut off, and gets the newest snapshot again when it comes back.

After a start of control its workers are running already and come back one by one. Until each slot has been here once
(or AWAIT_S has passed: one may be in a crash loop) nobody is called drained: an absent worker may still be using it.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadbalancer.drains import DrainLedger
from loadbalancer.logs import get_logger
from loadbalancer.snapshot import NEVER, Epoch, Snapshot

LINE_BYTES = 1 << 20  # counters of 64 replicas take some kilobytes
AWAIT_S = 3.0  # workers look for control every 0.1 s; a start of one takes 0.3 s
BEHIND_BYTES = 4 << 20  # unread by a worker; a snapshot of 64 replicas takes 10 KB

log = get_logger("control")


@dataclass(eq=False, slots=True)
class Worker:
    """A connected worker; `slot` is -1 until it has said hello."""

    writer: asyncio.StreamWriter
    slot: int = -1
    pid: int = 0
    applied: Epoch = NEVER
    counters: dict[str, Any] = field(default_factory=dict[str, Any])


class FeedServer:
    """`on_drained(name)`: no worker has a request of that leaver. `on_counters(pid, cumulative counters, alive)`."""

    def __init__(
        self,
        on_drained: Callable[[str], None],
        on_ejected: Callable[[dict[str, Any]], None],
        on_counters: Callable[[int, dict[str, Any], bool], None],
        slots: int = 0,
    ) -> None:
        self._on_drained = on_drained
        self._on_ejected = on_ejected
        self._on_counters = on_counters
        self._workers: set[Worker] = set()
        self._ledger = DrainLedger()
        self._snapshot: Snapshot | None = None
        self._server: asyncio.Server | None = None
        self._awaited = set(range(slots))
        self._news = asyncio.Event()

    async def start(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(path), limit=LINE_BYTES)
        path.chmod(0o600)
        asyncio.get_running_loop().call_later(AWAIT_S, self._await_no_longer)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for worker in self._workers:
            worker.writer.transport.abort()

    async def settled(self, timeout_s: float) -> bool:
        """Wait until all workers have taken the newest snapshot, at most `timeout_s`; False if some have not."""
        try:
            async with asyncio.timeout(timeout_s):
                while not self._is_settled():
                    await self._news.wait()
        except TimeoutError:
            return False
        return True

    def _is_settled(self) -> bool:
        epoch = NEVER if self._snapshot is None else self._snapshot.epoch
        return not self._awaited and all(w.applied >= epoch for w in self._workers if w.slot >= 0)

    def _await_no_longer(self) -> None:
        self._awaited.clear()
        self._tell_finished()

    @property
    def connected(self) -> int:
        return sum(worker.slot >= 0 for worker in self._workers)

    def publish(self, snapshot: Snapshot) -> None:
        """Send it to all; to be called with rising epochs only."""
        assert self._snapshot is None or snapshot.epoch > self._snapshot.epoch
        self._snapshot = snapshot
        self._ledger.set_draining((m.name for m in snapshot.members if m.draining), snapshot.epoch)
        for worker in self._workers:
            if worker.slot >= 0:
                self._send_snapshot(worker)
        self._tell_finished()

    def _send_snapshot(self, worker: Worker) -> None:
        if self._snapshot is not None:
            self._send(worker, {"type": "snapshot", **self._snapshot.to_json()})

    def _send(self, worker: Worker, message: dict[str, Any]) -> None:
        worker.writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        if worker.writer.transport.get_write_buffer_size() > BEHIND_BYTES:
            log.warning("worker is too slow, cut off", slot=worker.slot, pid=worker.pid)
            worker.writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        worker = Worker(writer)
        self._workers.add(worker)
        try:
            while line := await reader.readline():
                self._hear(worker, json.loads(line))
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("feed broken off", slot=worker.slot, pid=worker.pid, error=repr(error))
        finally:
            self._forget(worker)

    def _forget(self, worker: Worker) -> None:
        self._workers.discard(worker)
        self._ledger.gone(worker)
        worker.writer.close()
        if worker.pid:
            self._on_counters(worker.pid, worker.counters, False)
        self._tell_finished()

    def _hear(self, worker: Worker, message: dict[str, Any]) -> None:
        match message["type"]:
            case "hello":
                self._hello(worker, message)
            case "applied":
                worker.applied = Epoch(*message["epoch"])
                self._tell_finished()
            case "drained":
                self._ledger.drained(worker, message["name"], Epoch(*message["epoch"]))
                self._tell_finished()
            case "ejected":
                self._relay(worker, message)
            case "restored":
                self._on_ejected(message)
            case "counters":
                worker.counters = message
                self._on_counters(worker.pid, message, True)
            case _:
                pass  # words of a newer version are skipped

    def _hello(self, worker: Worker, message: dict[str, Any]) -> None:
        worker.slot, worker.pid = int(message["slot"]), int(message["pid"])
        worker.applied = held = Epoch(*message.get("epoch", NEVER))
        if self._snapshot is not None and held > self._snapshot.epoch:
            log.error("worker holds a newer snapshot than control", slot=worker.slot, held=list(held))
        self._ledger.connected(worker)
        self._awaited.discard(worker.slot)
        self._send_snapshot(worker)

    def _relay(self, sender: Worker, message: dict[str, Any]) -> None:
        self._on_ejected(message)
        told = {"type": "eject", **{key: message[key] for key in ("node_id", "name", "reason")}}
        for worker in self._workers - {sender}:
            if worker.slot >= 0:
                self._send(worker, told)

    def _tell_finished(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
        if self._awaited:
            return
        for name in self._ledger.finished():
            self._on_drained(name)
