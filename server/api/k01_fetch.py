"""Fetch (1), versions 4 to 18: records as they lie in the log, to consumers and to followers.

7 adds sessions (KIP-227), 9 the leader's epoch (KIP-320), 12 is flexible and has diverging epochs (KIP-595), 13 topic
ids, 15 the replica's state (KIP-903), 16 the leaders' addresses (KIP-951).

The problem: most fetches find nothing, and wait. One that is parked costs an object in the lists of its partitions, and
is looked at again, once for each turn of the loop, when one of them has moved. And what a slow consumer asked for must
not lie in memory until it takes it: so an answer is no bytes but a `LazyAnswer`, made when its connection can take it,
of as many bytes as there is room for. A client sees a shorter answer than it allowed, as it may at any time.

What holds: consumers never see what is above HW; from there to the log's end they get nothing, and no error. The first
batch is given whole however large it is (KIP-74). Followers see all up to the end, and only they move HW.
"""

from typing import Final

from server.api.broker_context import FetchContext
from server.api.shape import Answer, Call, Later, LazyAnswer
from server.fetch_sessions import Asked, Wanted
from server.log import OffsetOutOfRange
from server.now import Now
from server.partition import Partition, Refused, Role
from server.storage import StorageError
from wire.answer_parts import Endpoint, Topic
from wire.errors import ErrorCode
from wire.fetch_answers import FetchResult, pack_fetch
from wire.fetch_requests import CONSUMER, IDS_FROM, FetchedPartition, FetchRequest, read_fetch
from wire.pieces import Piece

KEY: Final = 1
SESSION_ERRORS_FROM: Final = 7

MAX_WAIT_MS: Final = 60_000
"""No fetch is parked for longer, whatever it says: whether its client is still there isn't known. (Most ask for half
a second.)"""

MAX_MIN_BYTES: Final = 8 * 1024 * 1024
"""No fetch waits for more than one answer can hold (server.aio.kafka.MAX_ANSWER); Kafka caps `min_bytes` alike, by its
`fetch.max.bytes`."""

MIN_READ: Final = 64 * 1024
"""Where there is less room, nothing more than the first batch is read."""

decode = read_fetch


def handle(call: Call, request: FetchRequest, context: FetchContext) -> Answer | Later | LazyAnswer:
    if request.replica_id != CONSUMER:
        code = context.check_replica(call, request.replica_id, request.replica_epoch)
        if code:
            return _refuse(call, code)
    asked = context.sessions.resolve(request, call.version >= IDS_FROM, call.now.steady_ms)
    if asked.code:
        return _refuse(call, asked.code)
    fetch = Fetch(call, request, asked, context)
    if request.replica_id != CONSUMER:
        fetch.note_follower()
    if request.max_wait_ms <= 0 or not asked.wanted or fetch.is_ready():
        return fetch
    fetch.park()
    return Later.PARKED


def _refuse(call: Call, code: ErrorCode) -> Answer:
    return pack_fetch(call.version, call.correlation_id, [], error_code=code)


class Fetch(LazyAnswer):
    """One fetch under way."""

    __slots__ = ("_asked", "_call", "_context", "_is_answered", "_request", "_watched", "is_woken")

    def __init__(self, call: Call, request: FetchRequest, asked: Asked, context: FetchContext) -> None:
        self._call = call
        self._request = request
        self._asked = asked
        self._context = context
        self._watched: list[Partition] = []
        self._is_answered = False
        self.is_woken = False

    @property
    def _is_consumer(self) -> bool:
        return self._request.replica_id == CONSUMER

    # --- waiting ---------------------------------------------------------------------------------------------------

    def is_ready(self) -> bool:
        """There is as much as is asked for, or something that can't wait. No records are read to know that."""
        missing = min(self._request.min_bytes, self._request.max_bytes, MAX_MIN_BYTES)
        for wanted in self._asked.wanted:
            partition = self._context.find(wanted.topic, wanted.asked.partition)
            if partition is None:
                return True
            found = self._available(partition, wanted, missing)
            if found is None:
                return True
            missing -= found
            if missing <= 0:
                return True
        return False

    def _available(self, partition: Partition, wanted: Wanted, at_most: int) -> int | None:
        """Bytes that it could have from there, up to `at_most`; None if an error, or news of HW, is to be told."""
        asked = wanted.asked
        try:
            log = partition.led(asked.leader_epoch)
        except Refused:
            return None
        limit = partition.high_watermark if self._is_consumer else log.end_offset
        offset = asked.fetch_offset
        if not log.log_start <= offset <= log.end_offset or self._diverges(partition, asked):
            return None
        if offset >= limit:
            return 0
        if at_most <= 1:
            return 1
        try:
            return min(log.available(offset, at_most, limit), max(asked.max_bytes, 1))
        except StorageError:
            return None

    def park(self) -> None:
        for wanted in self._asked.wanted:
            partition = self._context.find(wanted.topic, wanted.asked.partition)
            if partition is not None and self not in partition.watchers:  # some name a partition twice
                partition.watchers[self] = None
                self._watched.append(partition)
        wait_ms = min(self._request.max_wait_ms, MAX_WAIT_MS)
        self._context.park(self, self._call.now.steady_ms + wait_ms)

    def look(self, now: Now) -> None:
        """One of the partitions has changed."""
        self.is_woken = False
        if not self._is_answered and self.is_ready():
            self._finish(now)

    def expire(self, now: Now) -> None:
        if not self._is_answered:
            self._finish(now)

    def _finish(self, now: Now) -> None:
        self._is_answered = True
        for partition in self._watched:
            partition.watchers.pop(self, None)
        self._watched = []
        self._call.now = now
        self._call.reply(self)

    # --- followers -------------------------------------------------------------------------------------------------

    def note_follower(self) -> None:
        """What a follower asks for tells what it has."""
        request, now = self._request, self._call.now
        for wanted in self._asked.wanted:
            asked = wanted.asked
            partition = self._context.find(wanted.topic, asked.partition)
            if partition is None or partition.role is not Role.LEADER or asked.leader_epoch != partition.leader_epoch:
                continue
            if self._diverges(partition, asked):
                continue
            try:
                partition.fetched(request.replica_id, request.replica_epoch, asked.fetch_offset, asked.synced_end, now)
            except Refused:
                continue

    def _diverges(self, partition: Partition, asked: FetchedPartition) -> tuple[int, int] | None:
        """Where the asker's log and this one part, if they do (KIP-595): (epoch, its end offset)."""
        if asked.last_fetched_epoch < 0 or partition.log is None:
            return None
        epoch, end = partition.log.epochs.end_of(asked.last_fetched_epoch, partition.log.end_offset)
        if epoch < asked.last_fetched_epoch or end < asked.fetch_offset:
            return epoch, end
        return None

    # --- the answer ------------------------------------------------------------------------------------------------

    def make(self, room: int) -> Answer:
        """The whole frame, with at most about `room` bytes of records, but for a first batch that is larger."""
        call, asked = self._call, self._asked
        left = min(self._request.max_bytes, max(room, MIN_READ))
        is_first = True
        by_topic: dict[Topic, list[FetchResult]] = {}
        for wanted in asked.wanted:
            result = self._result(wanted, left, is_first)
            if result.records:
                is_first = False
                left -= len(result.records[0])
                if asked.session is not None:
                    asked.session.served(wanted)
            if asked.session is not None and not wanted.is_news(result) and asked.is_incremental:
                continue
            results = by_topic.get(wanted.topic)
            if results is None:
                by_topic[wanted.topic] = [result]
            else:
                results.append(result)
        topics = list(by_topic.items())
        return pack_fetch(
            call.version,
            call.correlation_id,
            topics,
            session_id=asked.session_id,
            endpoints=self._endpoints(topics) if call.version >= 16 else (),
        )

    def _result(self, wanted: Wanted, room: int, is_first: bool) -> FetchResult:
        asked = wanted.asked
        number = asked.partition
        partition = self._context.find(wanted.topic, number)
        if partition is None:
            return self._refused(wanted.topic, number, self._context.why_not(wanted.topic, number))
        try:
            log = partition.led(asked.leader_epoch)
            diverging = self._diverges(partition, asked)
            high_watermark = partition.high_watermark
            limit = high_watermark if self._is_consumer else log.end_offset
            records: Piece = b""
            if diverging is None and (room > 0 or is_first):
                records = log.part(asked.fetch_offset, min(asked.max_bytes, max(room, 0)), limit, is_first)
        except Refused as error:
            return self._refused(partition.raw_id, number, error.code)
        except OffsetOutOfRange:
            # With where the log begins, for a follower that has to begin there; Kafka's asks ListOffsets for it.
            start = -1 if partition.log is None else partition.log.log_start
            return FetchResult(number, ErrorCode.OFFSET_OUT_OF_RANGE, log_start_offset=start)
        except StorageError as error:
            self._context.disk_failed(partition, error, self._call.now)
            return FetchResult(number, error.code)
        if self._is_consumer:
            partition.traffic.bytes_out += len(records)
        else:
            partition.answered(self._request.replica_id, self._call.now)
        return FetchResult(
            number,
            0,
            high_watermark,
            high_watermark,
            log.log_start,
            (records,) if records else (),
            diverging_epoch=diverging,
        )

    def _refused(self, topic: Topic, number: int, code: ErrorCode) -> FetchResult:
        tells_leader = code in (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH)
        return FetchResult(
            number, code, current_leader=self._context.leader_of(topic, number) if tells_leader else None
        )

    def _endpoints(self, topics: list[tuple[Topic, list[FetchResult]]]) -> list[Endpoint]:
        nodes = {result.current_leader.leader_id for _, told in topics for result in told if result.current_leader}
        found = [self._context.endpoint_of(node, self._call.listener) for node in sorted(nodes)]
        return [endpoint for endpoint in found if endpoint is not None]
