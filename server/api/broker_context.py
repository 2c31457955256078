"""What the APIs of partitions use of the broker."""

from typing import Protocol

from server.api.shape import Call
from server.fetch_sessions import FetchSessions
from server.now import Now
from server.partition import Partition, Watcher
from server.storage import StorageError
from wire.answer_parts import CurrentLeader, Endpoint, Topic
from wire.errors import ErrorCode


class PartitionContext(Protocol):
    """The partitions that this server holds."""

    def find(self, topic: Topic, number: int) -> Partition | None:
        """By the topic's name or its 16 bytes."""
        ...

    def why_not(self, topic: Topic, number: int) -> ErrorCode:
        """What to say about a partition that `find` doesn't know."""
        ...

    def leader_of(self, topic: Topic, number: int) -> CurrentLeader | None:
        """Who leads it, as the cluster's image says."""
        ...

    def endpoint_of(self, node_id: int, listener: str) -> Endpoint | None:
        """Where a live server is reached on that listener."""
        ...

    def disk_failed(self, partition: Partition, error: StorageError, now: Now) -> None:
        """An append or read raised it."""
        ...


class FetchContext(PartitionContext, Protocol):
    @property
    def sessions(self) -> FetchSessions: ...

    def wake(self, watcher: Watcher) -> None:
        """Look at it again once this turn of the loop is over."""
        ...

    def park(self, watcher: "ParkedFetch", deadline_ms: int) -> None:
        """Call its `expire` then."""
        ...

    def check_replica(self, call: Call, replica_id: int, replica_epoch: int) -> ErrorCode:
        """Whether who asks may say that it is this replica (R9)."""
        ...


class ParkedFetch(Watcher, Protocol):
    def look(self, now: Now) -> None:
        """Some of its partitions have changed."""
        ...

    def expire(self, now: Now) -> None: ...


class ProducerIdContext(Protocol):
    def next_producer_id(self) -> int | ErrorCode:
        """A number never used before, or COORDINATOR_LOAD_IN_PROGRESS until control has given a new block."""
        ...
