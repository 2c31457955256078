"""A make-believe server at the far end of control's link: it speaks the real frames over a real socket."""

import asyncio
from itertools import count
from pathlib import Path
from typing import Any

from wire import frames, messages, versions
from wire.cluster import Image
from wire.cluster_link import Position, Registration, Stop, Update, poll_request, read_update, registration_request
from wire.cluster_login import authenticate_request, handshake_request

NEWEST = {
    versions.BROKER_HEARTBEAT: 1, versions.ALTER_PARTITION: 3, versions.ALLOCATE_PRODUCER_IDS: 0,
    versions.CREATE_TOPICS: 7, versions.DELETE_TOPICS: 6, versions.CREATE_PARTITIONS: 3,
    versions.INCREMENTAL_ALTER_CONFIGS: 1, versions.ALTER_CONFIGS: 2, versions.ELECT_LEADERS: 2,
}  # fmt: skip


class LinkedServer:
    """`image` is what it has applied; answers are matched by correlation id, as they come."""

    def __init__(self, node_id: int, cluster_id: str = "c", incarnation: str = "") -> None:
        self.node_id = node_id
        self.cluster_id = cluster_id
        self.incarnation = incarnation or f"{node_id:032x}"
        self.image = Image()
        self.epoch = -1
        self.snapshots = 0
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[memoryview]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._polling: asyncio.Task[None] | None = None

    async def connect(self, path: Path, secret: str) -> "LinkedServer":
        """Log in; ConnectionError if that is refused."""
        self._reader, self._writer = await asyncio.open_unix_connection(str(path))
        self._reading = asyncio.create_task(self._read())
        await self._call(lambda number: handshake_request(number, "s"))
        await self._call(lambda number: authenticate_request(number, "s", self.node_id, secret))
        return self

    async def register(self, stop: Stop = Stop.CLEAN) -> Any:
        """The answer; from then on it polls."""
        what = Registration(
            self.node_id, self.cluster_id, self.incarnation, f"{self.node_id + 100:032x}", self.epoch, stop,
            {"CLIENT": ("127.0.0.1", 9000 + self.node_id)},
        )  # fmt: skip
        frame = await self._call(lambda number: registration_request(number, "s", what))
        answer = self._decode(versions.BROKER_REGISTRATION, 4, frame)
        if answer.error_code == 0:
            self.epoch = answer.broker_epoch
            self._polling = asyncio.create_task(self._poll())
        return answer

    async def ask(self, key: int, version: int | None = None, **values: Any) -> Any:
        used = NEWEST[key] if version is None else version
        body = messages.encode(messages.build(key, used, values, "request"))
        frame = await self._call(lambda number: frames.request_frame(key, used, number, "s", body))
        return self._decode(key, used, frame)

    async def until(self, holds: Any) -> None:
        """Until it has applied an image of which that holds."""
        async with asyncio.timeout(5):
            while not holds(self.image):
                await asyncio.sleep(0.001)

    async def close(self) -> None:
        for task in (self._polling, self._reading):
            if task is not None:
                task.cancel()
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)

    async def _poll(self) -> None:
        while True:
            at = Position(self.image.generation, self.image.version)
            frame = await self._call(lambda number, at=at: poll_request(number, "s", at))
            self._apply(read_update(frame, 4))

    def _apply(self, update: Update) -> None:
        if update.snapshot is not None:
            self.snapshots += 1
            self.image = Image().with_records(update.snapshot, *update.at)
        self.image = self.image.with_records(update.records, *update.at)

    async def _call(self, make: Any) -> memoryview:
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        self._writer.write(make(number))
        async with asyncio.timeout(15):
            return await self._waiting[number]

    async def _read(self) -> None:
        try:
            while True:
                size = int.from_bytes(await self._reader.readexactly(4), "big")
                frame = memoryview(await self._reader.readexactly(size))
                self._waiting.pop(int.from_bytes(frame[:4], "big")).set_result(frame)
        except (asyncio.IncompleteReadError, OSError):
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(ConnectionError("control hung up"))

    def _decode(self, key: int, version: int, frame: memoryview) -> Any:
        _, at = frames.read_response_head(frame, versions.response_header(key, version))
        return messages.decode_response(key, version, frame, at)
