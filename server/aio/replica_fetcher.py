"""Followers: one connection to each server that leads partitions which this one holds too.

Each turn asks for what is new, appends it, waits until it is synced, and asks again with that: the leader's HW follows.
While one sync is under way the leader gathers what comes meanwhile, so replication has its group commit too.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from server.aio.queue import Queue, clock
from server.following import Act, Following, Step
from server.partition import Partition
from server.storage import StorageError
from server.truncation import restart_at, truncate
from wire import messages
from wire.batches import BatchError
from wire.cluster_login import authenticate_request, handshake_request, refuses
from wire.follower_fetches import VERSION
from wire.frames import MAX_FRAME, read_response_head
from wire.primitives import WireError
from wire.versions import FETCH, SASL_AUTHENTICATE, SASL_HANDSHAKE, response_header

BACKOFF_S: Final = 0.1
"""After an error, and before a lost connection is made again. A new leader may be known in some ms."""
TIMEOUT_S: Final = 10.0
"""Without an answer for so long, which is many times what a Fetch may wait, a connection is given up."""
MAX_ANSWER: Final = MAX_FRAME + 8 * 1024 * 1024
"""The largest batch that a client could send, and what is said of some thousand partitions around it."""
INTERNAL: Final = "INTERNAL"

_log = logging.getLogger("carousel.replication")


class ReplicaFetchers:
    """Follows whoever the image says. `secret` is the cluster's."""

    def __init__(self, queue: Queue, secret: str) -> None:
        self._queue = queue
        self._secret = secret
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        queue.on_leaders_changed = self.update

    def update(self) -> None:
        """The image, or what is open here, has changed: begin with new leaders. Those without work end."""
        for leader in {partition.leader for partition in self._queue.broker.followed()}:
            if leader not in self._tasks:
                task = self._tasks[leader] = asyncio.create_task(self._follow(leader))
                task.add_done_callback(partial(self._ended, leader))

    def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    def _ended(self, leader: int, task: "asyncio.Task[None]") -> None:
        self._tasks.pop(leader, None)
        if not task.cancelled() and task.exception() is not None:
            _log.error("a fetcher failed", exc_info=task.exception())

    def _followed(self, leader: int) -> list[Partition]:
        return [partition for partition in self._queue.broker.followed() if partition.leader == leader]

    async def _follow(self, leader: int) -> None:
        """Until nothing is left to follow there."""
        while self._followed(leader):
            try:
                await self._converse(leader)
            except (OSError, WireError, TimeoutError, asyncio.IncompleteReadError) as error:
                _log.info("lost a leader", extra={"fields": {"leader": leader, "reason": str(error) or repr(error)}})
            except Exception:  # a fault of ours: another connection may do better, and replication must not end by it
                _log.exception("following failed", extra={"fields": {"leader": leader}})
            await asyncio.sleep(BACKOFF_S)

    async def _converse(self, leader: int) -> None:
        endpoint = self._queue.broker.endpoint_of(leader, INTERNAL)
        if endpoint is None:
            return
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port, limit=2**20)
        try:
            conversation = _Conversation(reader, writer)
            await self._log_in(conversation)
            following = Following(self._queue.broker.node_id)
            resting: dict[Partition, float] = {}
            while followed := self._followed(leader):
                now_s = self._loop.time()
                resting = {partition: until_s for partition, until_s in resting.items() if until_s > now_s}
                partitions = [partition for partition in followed if partition not in resting]
                if not partitions:
                    await asyncio.sleep(BACKOFF_S)
                    continue
                frame = following.request(conversation.next_id(), self._broker_epoch(), partitions)
                told = following.answered(await conversation.ask(frame, FETCH, VERSION))
                wrong = [*told.wrong, *await self._do(told.steps)]
                resting |= dict.fromkeys(wrong, self._loop.time() + BACKOFF_S)
                if told.is_wrong:
                    await asyncio.sleep(BACKOFF_S)
        finally:
            writer.close()

    async def _log_in(self, conversation: "_Conversation") -> None:
        me = self._queue.broker.node_id
        frames: list[tuple[int, int, Callable[[int], bytes]]] = [
            (SASL_HANDSHAKE, 1, lambda number: handshake_request(number, None)),
            (SASL_AUTHENTICATE, 2, lambda number: authenticate_request(number, None, me, self._secret)),
        ]
        for key, version, make in frames:
            refused = refuses(await conversation.ask(make(conversation.next_id()), key, version))
            if refused is not None:
                raise WireError(f"the login was refused: {refused}")

    def _broker_epoch(self) -> int:
        broker = self._queue.broker.image.brokers.get(self._queue.broker.node_id)
        return -1 if broker is None else broker.epoch

    # --- what answers ask for --------------------------------------------------------------------------------------

    async def _do(self, steps: list[Step]) -> list[Partition]:
        """Those with which it couldn't be done."""
        undone: list[Partition] = []
        for step in steps:
            if not (self._append(step) if step.act is Act.APPEND else await self._rewind(step)):
                undone.append(step.partition)
        waiting = [self._queue.synced(step.partition) for step in steps]
        await asyncio.gather(*waiting)
        return undone

    def _append(self, step: Step) -> bool:
        """False if it couldn't be done, and so will be told again."""
        partition, log = step.partition, step.partition.log
        if log is None:
            return True
        try:
            if step.records:
                log.append_fetched(step.records)
            if step.log_start <= log.end_offset:
                log.advance_start(step.log_start)
            partition.follow_high_watermark(step.high_watermark)
            return True
        except StorageError as error:
            self._queue.broker.disk_failed(partition, error, clock())
        except BatchError as error:
            fields = {"partition": partition.name, "reason": str(error)}
            _log.error("a leader's records are corrupt", extra={"fields": fields})
        return False

    async def _rewind(self, step: Step) -> bool:
        """False if not now: while it is being compacted, say.

        It blocks, rarely and for some ms: nothing may see the log in between."""
        partition, log = step.partition, step.partition.log
        await self._queue.synced(partition)
        if log is None or log.is_syncing or log.cleaning or log.failure is not None:
            return False
        _log.info(step.act.value, extra={"fields": {"partition": partition.name, "offset": step.offset}})
        try:
            if step.act is Act.CUT:
                truncate(log, step.offset)
                partition.rewound(log)
            else:
                partition.rewound(restart_at(log, step.offset))
        except StorageError as error:
            self._queue.broker.disk_failed(partition, error, clock())
            return False
        return True


class _Conversation:
    """Question and answer on one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._correlation_id = 0

    def next_id(self) -> int:
        self._correlation_id = (self._correlation_id + 1) & 0x7FFFFFFF
        return self._correlation_id

    async def ask(self, frame: bytes, key: int, version: int) -> messages.Entity:
        """Raises WireError, OSError, TimeoutError or IncompleteReadError: the connection is of no more use."""
        self._writer.write(frame)
        async with asyncio.timeout(TIMEOUT_S):
            size = int.from_bytes(await self._reader.readexactly(4), "big")
            if not 0 < size <= MAX_ANSWER:
                raise WireError(f"an answer of {size} bytes")
            answer = memoryview(await self._reader.readexactly(size))
        correlation_id, at = read_response_head(answer, response_header(key, version))
        if correlation_id != self._correlation_id:
            raise WireError("an answer to another question")
        return messages.decode_response(key, version, answer, at)
