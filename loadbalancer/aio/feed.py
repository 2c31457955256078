"""The worker's end of the feed: snapshots down from control, counters and words up, one JSON object a line.

Control may be away for as long as it likes: the worker goes on with what it holds and keeps asking. Words
that nobody hears are dropped, because whoever comes back is told the state anew (`Door.greet`).
"""

import asyncio
import contextlib
import json
import os
from pathlib import Path
from typing import Any

from loadbalancer.aio.door import Door
from loadbalancer.logs import get_logger
from loadbalancer.snapshot import NEVER, Snapshot

LINE_BYTES = 1 << 20
"""The longest line; a snapshot of 64 replicas takes 10 KB, with a course ring's slots 15."""
COUNTERS_S = 0.5
"""How often control hears the counters."""
CONTROL_START_S = 5.0
"""A worker that knows no replica at all accepts nobody for so long: control takes 0.6 s to start, and clients are
better off in the kernel's queue than with a 503."""
CONTROL_ANSWER_S = 0.2
"""One that has a kept snapshot asks for a newer one: a control that is there answers in milliseconds."""
PAUSE_S = 0.05
"""Between attempts to reach control: a new one waits for its workers, and an attempt costs 50 us."""


class Feed:
    """Keeps the door informed, and control. Slot 0 alone keeps the snapshot as a file: the slots hold the
    same."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._path = Path(door.settings.snapshot_path)
        self._log = get_logger(f"door-{door.slot}")
        self._writer: asyncio.StreamWriter | None = None
        self._informed = asyncio.Event()
        door.replicas.say = self.say

    def load(self) -> None:
        """Read the kept snapshot, if there is a good one."""
        try:
            self._door.replicas.apply(Snapshot.from_json(json.loads(self._path.read_text())))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._log.warning("kept snapshot not used", path=str(self._path), error=repr(error))

    async def informed(self) -> None:
        """Wait for control's first snapshot; not for long, if an earlier worker's is kept or control is dead."""
        patience_s = CONTROL_START_S if self._door.replicas.epoch == NEVER else CONTROL_ANSWER_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._informed.wait()

    async def run(self) -> None:
        """Connect, listen, and again, until cancelled."""
        while True:
            await self._session()
            await asyncio.sleep(PAUSE_S)

    async def _session(self) -> None:
        """One connection to control, until it ends, if there is one."""
        try:
            reader, writer = await asyncio.open_unix_connection(self._door.settings.feed_socket, limit=LINE_BYTES)
        except OSError:
            return
        self._writer = writer
        beat = asyncio.get_running_loop().create_task(self._beat())
        try:
            self._greet()
            while line := await reader.readline():
                self.hear(json.loads(line))
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._log.warning("feed broken off", error=repr(error))
        finally:
            self._writer = None
            beat.cancel()
            writer.transport.abort()

    def _greet(self) -> None:
        door = self._door
        self.say({"type": "hello", "slot": door.slot, "pid": os.getpid(), "epoch": list(door.replicas.epoch)})
        for word in door.replicas.greet():
            self.say(word)

    async def _beat(self) -> None:
        """A control that does not read (frozen, wedged) is told no more until it does."""
        while True:
            self.say({"type": "counters", **self._door.counters.to_json()})
            await asyncio.sleep(COUNTERS_S)
            if self._writer is not None:
                with contextlib.suppress(OSError):
                    await self._writer.drain()

    def say(self, message: dict[str, Any]) -> None:
        """Send one message, if control is there."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    def hear(self, message: dict[str, Any]) -> None:
        """One message of control. Raises KeyError, TypeError or ValueError if it is none; unknown types are
        skipped."""
        match message["type"]:
            case "snapshot":
                self._apply(Snapshot.from_json(message))
                self._informed.set()
            case "eject":
                self._door.replicas.told(message["node_id"], message["name"], message["reason"])
            case _:
                pass

    def _apply(self, snapshot: Snapshot) -> None:
        if not self._door.replicas.apply(snapshot):
            return
        self.say({"type": "applied", "epoch": list(snapshot.epoch)})
        if self._door.slot == 0:
            self._keep(snapshot)

    def _keep(self, snapshot: Snapshot) -> None:
        """Replace the file as a whole: a reader sees the old one or the new one. A full disk must not stop
        anything."""
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        try:
            fresh.write_text(json.dumps(snapshot.to_json()))
            fresh.replace(self._path)
        except OSError as error:
            self._log.warning("snapshot not kept", path=str(self._path), error=repr(error))
