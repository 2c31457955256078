"""Simulated clients: they speak through frames, forget nothing that they were told, and tell the ledger of it."""

from collections import deque
from random import Random
from typing import Any
from uuid import UUID

from tests.sim.ledger import Broken, Ledger
from tests.sim.life import Life
from tests.support.broker_world import TOPIC_ID, Asked, batch
from wire.batches import walk, whole_end
from wire.errors import ErrorCode
from wire.records import records_of

MOST_IN_FLIGHT = 5
"""`max.in.flight.requests.per.connection`, the most with which Kafka keeps idempotence: the broker remembers five."""

TRY_AGAIN = frozenset({ErrorCode.REQUEST_TIMED_OUT, ErrorCode.NOT_LEADER_OR_FOLLOWER})
LOADING = frozenset({ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, ErrorCode.NOT_COORDINATOR})


class Batch:
    def __init__(self, values: list[bytes], sequence: int, records: bytes) -> None:
        self.values = values
        self.sequence = sequence
        self.records = records


class Producer:
    """An idempotent producer of one partition: sends in order, several at a time, and again until it is told."""

    def __init__(self, name: int, partition: int, random: Random, ledger: Ledger) -> None:
        self.partition = partition
        self._name = name
        self._random = random
        self._ledger = ledger
        self._id: int | None = None
        self._count = 0
        self._unacked: list[Batch] = []
        self._next = 0
        """Which of them is to be sent next."""
        self._calls: deque[tuple[Batch, Asked]] = deque()
        self._has_failed = False

    @property
    def is_done(self) -> bool:
        return not self._unacked

    def act(self, life: Life, new: bool = True) -> None:
        """Hear what was answered; or send, something new only if `new`."""
        if self._id is None:
            self._begin(life)
        elif self._calls and (self._random.random() < 0.6 or len(self._calls) == MOST_IN_FLIGHT):
            self._hear(life)
        elif self._has_failed and not self._calls:
            self._has_failed, self._next = False, 0
        elif not self._has_failed and (new or self._next < len(self._unacked)):
            self._send(life)

    def reconnect(self) -> None:
        """The server is gone, with the answers that were under way."""
        self._calls.clear()
        self._has_failed = True

    def _begin(self, life: Life) -> None:
        values = {"transactional_id": None, "transaction_timeout": 1000, "producer_id": -1, "producer_epoch": -1}
        told = life.told(22, life.ask(22, 3, values))
        if not told.error_code:
            self._ledger.given_producer_id(told.producer_id)
            self._id = told.producer_id
        elif told.error_code != ErrorCode.COORDINATOR_LOAD_IN_PROGRESS:
            raise Broken(f"no producer id: {told.error_code}")

    def _send(self, life: Life) -> None:
        if self._next == len(self._unacked):
            self._unacked.append(self._new_batch(life))
        one = self._unacked[self._next]
        self._next += 1
        call = life.produce(one.records, number=self.partition)
        self._calls.append((one, call))

    def _new_batch(self, life: Life) -> Batch:
        sequence, size = self._count, self._random.choice((1, 1, 2, 3))
        values = [b"%d:%d" % (self._name, number) for number in range(sequence, sequence + size)]
        self._count += size
        producer = (self._id, 0, sequence)
        records = batch(
            *values, timestamp_ms=life.now.wall_ms, key=b"k" * self._random.choice((1, 90)), producer=producer
        )
        return Batch(values, sequence, bytes(records))

    def _hear(self, life: Life) -> None:
        one, call = self._calls[0]
        if not call.answers:
            return
        self._calls.popleft()
        told = life.produced(call)
        if not told.error_code:
            self._ledger.acknowledge(self.partition, told.base_offset, one.values)
            at = self._unacked.index(one)
            del self._unacked[at]
            self._next -= at < self._next
            return
        is_first = one is self._unacked[0] and not self._has_failed
        if told.error_code not in TRY_AGAIN and (is_first or told.error_code != ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER):
            raise Broken(f"producer {self._name} at {one.sequence}: {ErrorCode(told.error_code).name}")
        self._has_failed = True


class Consumer:
    """Reads somewhere, deletes now and then what is old, and commits how far it has come."""

    def __init__(self, group: str, partition: int, random: Random, ledger: Ledger) -> None:
        self.partition = partition
        self._group = group
        self._random = random
        self._ledger = ledger
        self._offset = 0
        self._start = 0
        self._commit_count = 0
        self._commits: list[tuple[int, Asked]] = []

    def act(self, life: Life) -> None:
        choice = self._random.random()
        if choice < 0.3:
            start, records = self.read(life, self._random.choice((self._start, self._offset)))
            self._ledger.see(self.partition, records)
            if records:
                self._offset, self._start = records[-1][0] + 1, start
        elif choice < 0.6:
            self._commit(life)
        elif choice < 0.85:
            self._hear(life)
        elif choice < 0.95:
            self.read_committed(life)
        else:
            self._delete(life)

    def reconnect(self) -> None:
        self._commits.clear()

    def read(self, life: Life, offset: int) -> tuple[int, list[tuple[int, bytes]]]:
        """(log start, records from `offset` on as far as one answer goes); nothing if it isn't served."""
        call = life.fetch(offset, number=self.partition, max_wait=0)
        if not call.answers:
            life.pass_ms(50)
        told = life.fetched(call)
        if told.error_code:
            return 0, []
        data = bytes(told.records or b"")
        found = [
            (record.offset, bytes(record.value or b""))
            for at, header in walk(data[: whole_end(data, len(data))])
            for record in records_of(data, at, header)
            if record.offset >= offset
        ]
        return told.log_start_offset, found

    def check_all(self, life: Life) -> None:
        """Read the whole partition and have it judged."""
        start = life.partition(number=self.partition).led().log_start
        found: list[tuple[int, bytes]] = []
        at = start
        while records := self.read(life, at)[1]:
            found += records
            at = records[-1][0] + 1
        self._ledger.check(self.partition, start, found)
        self._start, self._offset = start, max(start, min(self._offset, at))

    def _commit(self, life: Life) -> None:
        offset = self._commit_count = self._commit_count + 1
        part = {"partition_index": self.partition, "committed_offset": offset, "committed_leader_epoch": -1}
        topics = [{"name": "t", "partitions": [{**part, "committed_metadata": "m" * self._random.choice((0, 60))}]}]
        values = {"group_id": self._group, "generation_id_or_member_epoch": -1, "member_id": ""}
        values |= {"group_instance_id": None, "topics": topics}
        self._ledger.ask_offset(self._group, offset)
        self._commits.append((offset, life.ask(8, 8, values)))

    def _hear(self, life: Life) -> None:
        for offset, call in [commit for commit in self._commits if commit[1].answers]:
            self._commits.remove((offset, call))
            code = life.told(8, call).topics[0].partitions[0].error_code
            if not code:
                self._ledger.commit_offset(self._group, offset)
            elif code not in LOADING:
                raise Broken(f"commit of {self._group}: {ErrorCode(code).name}")

    def read_committed(self, life: Life) -> bool:
        """Whether the group's coordinator is there to tell."""
        topics = [{"name": "t", "partition_indexes": [self.partition]}]
        told = life.told(9, life.ask(9, 5, {"group_id": self._group, "topics": topics}))
        if not told.error_code:
            self._ledger.read_offset(self._group, told.topics[0].partitions[0].committed_offset)
        elif told.error_code not in LOADING:
            raise Broken(f"offsets of {self._group}: {ErrorCode(told.error_code).name}")
        return not told.error_code

    def _delete(self, life: Life) -> None:
        partition = life.broker.find("t", self.partition)
        end = 0 if partition is None else partition.high_watermark
        offset = self._start + self._random.randrange(max(1, end - self._start) + 1)
        if offset <= end:
            self._ledger.ask_start(self.partition, offset)
        parts = [{"partition_index": self.partition, "offset": offset}]
        topics: Any = [{"name": "t", "topic_id": UUID(TOPIC_ID), "partitions": parts}]
        life.ask(21, 1, {"topics": topics, "timeout": 1000})
