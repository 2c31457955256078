"""What the APIs of groups use of the broker."""

from typing import Protocol
from uuid import UUID

from server.groups import Groups
from wire.answer_parts import Endpoint
from wire.errors import ErrorCode


class Topics(Protocol):
    """The server's view of the cluster's topics."""

    def has(self, name: str, partition: int) -> bool: ...

    def name_of(self, topic_id: UUID) -> str | None: ...

    def id_of(self, name: str) -> UUID | None: ...


class GroupContext(Protocol):
    @property
    def groups(self) -> Groups: ...

    @property
    def topics(self) -> Topics: ...

    def locate_group(self, group_id: str, listener: str) -> Endpoint | ErrorCode:
        """Where a group's coordinator is reached on the listener that was asked: the leader of the partition
        `groups.partition_of(group_id)`. While there is none, COORDINATOR_NOT_AVAILABLE, and the topic is created."""
        ...
