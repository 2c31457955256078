"""A broker on a disk in memory, with a clock of its own and nobody else: what it asks for is noted, or done at once."""

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any
from uuid import UUID

from server.api.shape import Answer, Call, LazyAnswer
from server.apis import registry
from server.broker import Broker, BrokerSettings
from server.disk.memory import MemoryDisk
from server.log import Log
from server.log_dirs import create_partition
from server.log_settings import Fsync
from server.now import Now
from server.partition import Partition
from server.recovery import open_log
from server.storage import StorageError
from wire import messages
from wire.cluster import Record
from wire.frames import read_head, read_response_head, request_frame
from wire.records import NewRecord, encode_batch
from wire.versions import response_header

TOPIC_ID = "0" * 31 + "1"
ME = 1


def batch(*values: bytes, timestamp_ms: int = 1_000, key: bytes | None = b"k", **more: Any) -> bytearray:
    return encode_batch([NewRecord(timestamp_ms, key, value) for value in values], **more)


class Asked(Call):
    """A call that keeps its answers."""

    def __init__(self, world: "BrokerWorld", version: int, correlation_id: int, listener: str) -> None:
        super().__init__(version, correlation_id, "test", "here", listener, world.now, self.answered, world.logged_in)
        self.answers: list[Any] = []

    def answered(self, answer: Answer | LazyAnswer) -> None:
        self.answers.append(answer)


class BrokerWorld:
    """`auto_sync`: jobs run when they are wanted; otherwise `run_syncs` is called by the test."""

    def __init__(
        self, fsync: Fsync = Fsync.ALWAYS, auto_sync: bool = True, settings: BrokerSettings | None = None
    ) -> None:
        self.now = Now(100_000, 1_700_000_000_000)
        self.fsync = fsync
        self.auto_sync = auto_sync
        self.disk = MemoryDisk()
        self.asked_control: list[tuple[int, bytes, Callable[[Any], None]]] = []
        self.logged_in: int | None = None
        """Which server asks, on the internal listener."""
        self.retired: list[tuple[str, bool]] = []
        self.wanted_syncs: list[Partition] = []
        self.failed: list[str] = []
        numbers = count(1)
        self.broker = Broker(
            ME,
            "cluster",
            settings or BrokerSettings(),
            self,
            Control(self),
            lambda: self.now,
            lambda: f"id-{next(numbers)}",
            lambda: next(numbers),
        )
        self.apis = registry()
        self._ids = count(1)

    # --- the cluster -----------------------------------------------------------------------------------------------

    def change(self, *records: Record) -> None:
        image = self.broker.image
        self.broker.apply(image.with_records(records, 1, image.version + 1), self.now)
        self.turn()

    def create(
        self, name: str = "t", partitions: int = 1, configs: Mapping[str, str] | None = None, **state: Any
    ) -> None:
        broker = {"type": "broker", "node_id": ME, "incarnation": "1", "directory": "1", "epoch": 5, "fenced": False}
        broker["listeners"] = {"CLIENT": ["here", 9092], "INTERNAL": ["here", 9093]}
        topic = {"type": "topic", "name": name, "id": TOPIC_ID, "configs": configs or {}}
        self.change(broker, topic, *(self.state(number, **state) for number in range(partitions)))

    def state(self, number: int = 0, **more: Any) -> Record:
        usual = {"replicas": [ME], "isr": [ME], "leader": ME, "leader_epoch": 0, "partition_epoch": 0}
        return {"type": "partition", "topic": TOPIC_ID, "partition": number, **usual, **more}

    def other_broker(self, node: int, epoch: int = 7) -> Record:
        listeners = {"CLIENT": ["there", 9092], "INTERNAL": ["there", 9093]}
        broker = {"type": "broker", "node_id": node, "incarnation": "2", "directory": "2", "epoch": epoch}
        return {**broker, "fenced": False, "listeners": listeners}

    def partition(self, name: str = "t", number: int = 0) -> Partition:
        found = self.broker.find(name, number)
        assert found is not None
        return found

    # --- time ------------------------------------------------------------------------------------------------------

    def pass_ms(self, ms: int) -> None:
        self.now = Now(self.now.steady_ms + ms, self.now.wall_ms + ms)
        self.broker.deadlines.expire(self.now)
        self.broker.tick_groups(self.now)
        self.turn()

    def turn(self) -> None:
        """A turn of the loop."""
        for _ in range(10):
            if self.auto_sync:
                self.run_syncs()
            self.broker.run(self.now)

    def run_syncs(self) -> None:
        """A job that fails is told as `server.aio.syncing` does."""
        wanted, self.wanted_syncs = self.wanted_syncs, []
        for partition in wanted:
            log = partition.log
            if log is None or log.is_syncing or log.failure is not None:
                continue
            job = log.sync_job()
            if job is None:
                continue
            try:
                job.run()
            except StorageError as error:
                log.job_failed(job, error)
                self.broker.disk_failed(partition, error, self.now)
            else:
                log.synced(job)
                partition.synced(self.now)

    # --- asking ------------------------------------------------------------------------------------------------------

    def ask(self, key: int, version: int, values: Mapping[str, Any], listener: str = "CLIENT") -> "Asked":
        """One request, through the wire's bytes; what has come of it is in the call's `answers`."""
        body = messages.encode(messages.build(key, version, values, "request"))
        return self.ask_frame(request_frame(key, version, next(self._ids), "test", body), listener)

    def ask_frame(self, frame: bytes, listener: str = "CLIENT") -> "Asked":
        view = memoryview(bytearray(frame))[4:]
        head = read_head(view)
        assert head.at is not None
        call = Asked(self, head.version, head.correlation_id, listener)
        api = self.apis[head.api_key]
        answer = api.handle(call, api.decode(head.version, view, head.at), self.broker)
        if isinstance(answer, bytes | list | LazyAnswer):
            call.answers.append(answer)
        self.turn()
        return call

    def told(self, key: int, call: "Asked", room: int = 1 << 30) -> Any:
        """The one answer of a call, decoded."""
        (answer,) = call.answers
        if isinstance(answer, LazyAnswer):
            answer = answer.make(room)
        frame = memoryview(answer if isinstance(answer, bytes) else b"".join(answer))[4:]
        _, at = read_response_head(frame, response_header(key, call.version))
        return messages.decode_response(key, call.version, frame, at)

    def produce(self, records: bytes, acks: int = -1, version: int = 9, number: int = 0, **more: Any) -> "Asked":
        part = {"index": number, "records": records}
        topics = [{"name": "t", "topic_id": UUID(TOPIC_ID), "partition_data": [part]}]
        return self.ask(
            0, version, {"acks": acks, "timeout": 1_000, "topic_data": topics, "transactional_id": None, **more}
        )

    def produced(self, call: "Asked") -> Any:
        return self.told(0, call).responses[0].partition_responses[0]

    def fetch(
        self, offset: int = 0, version: int = 12, number: int = 0, listener: str = "CLIENT", **more: Any
    ) -> "Asked":
        part = {"partition": number, "fetch_offset": offset, "partition_max_bytes": 1 << 20, "current_leader_epoch": -1}
        part |= {"last_fetched_epoch": -1, "log_start_offset": -1}
        part |= {key: more.pop(key) for key in list(more) if key in part}
        topics = [{"topic": "t", "topic_id": UUID(TOPIC_ID), "partitions": [part]}]
        usual = {"replica_id": -1, "max_wait": 500, "min_bytes": 1, "max_bytes": 1 << 24, "topics": topics}
        usual |= {
            "isolation_level": 0,
            "session_id": 0,
            "session_epoch": -1,
            "forgotten_topics_data": [],
            "rack_id": "",
        }
        return self.ask(1, version, {**usual, **more}, listener)

    def fetched(self, call: "Asked", room: int = 1 << 30) -> Any:
        return self.told(1, call, room).responses[0].partitions[0]

    # --- server.broker.World -----------------------------------------------------------------------------

    def open(self, partition: Partition) -> None:
        name = partition.name
        known = name in self.disk.names()
        directory = self.disk.make(name) if known else create_partition(self.disk, name, UUID(partition.topic_id))
        self.broker.opened(partition, open_log(directory, partition.rules.log, fsync=self.fsync), self.now)

    def retire(self, partition: Partition, log: Log | None, is_deleted: bool) -> None:
        self.retired.append((partition.name, is_deleted))

    def sync(self, partition: Partition) -> None:
        self.wanted_syncs.append(partition)

    def disk_failed(self, partition: Partition, error: StorageError) -> None:
        self.failed.append(partition.name)

    def run_soon(self) -> None: ...

    def deadline_is_earlier(self) -> None: ...

    def leaders_changed(self) -> None: ...

    def disk_bytes(self) -> tuple[int, int]:
        return 1_000, 500


class Control:
    """Keeps what control was asked."""

    def __init__(self, world: BrokerWorld) -> None:
        self.world = world

    def ask(self, api_key: int, version: int, body: bytes, timeout_s: float, done: Callable[[Any], None]) -> None:
        self.world.asked_control.append((api_key, body, done))
