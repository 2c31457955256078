"""The admin for asyncio: the same calls, each in a thread of asyncio's own pool: admin work is rare."""

import asyncio
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Self

from client.kafka.admin import Admin
from client.values import ConfigValue, GroupInfo, Lag, Offsets, TopicInfo


class AsyncAdmin:
    """Looks at a cluster and changes it: `Admin`, awaited. Each call does, returns and raises what Admin's does;
    cancelled, a change may happen all the same.

    >>> async def main():
    ...     async with AsyncAdmin(BOOTSTRAP) as admin:
    ...         await admin.create_topic("leaves", 1)
    ...         return [topic.name for topic in await admin.topics() if topic.name == "leaves"]
    >>> asyncio.run(main())
    ['leaves']
    """

    def __init__(self, bootstrap: str | Iterable[str], *, patience_s: float = 30.0, **overrides: Any) -> None:
        self._admin = Admin(bootstrap, patience_s=patience_s, **overrides)

    async def topics(self, internal: bool = False) -> list[TopicInfo]:
        return await asyncio.to_thread(self._admin.topics, internal)

    async def describe_topic(self, name: str) -> TopicInfo:
        return await asyncio.to_thread(self._admin.describe_topic, name)

    async def create_topic(
        self, name: str, partitions: int, replication: int = -1, configs: Mapping[str, str] | None = None
    ) -> None:
        await asyncio.to_thread(self._admin.create_topic, name, partitions, replication, configs)

    async def delete_topic(self, name: str) -> None:
        await asyncio.to_thread(self._admin.delete_topic, name)

    async def add_partitions(self, name: str, total: int) -> None:
        await asyncio.to_thread(self._admin.add_partitions, name, total)

    async def offsets(self, name: str) -> dict[int, Offsets]:
        return await asyncio.to_thread(self._admin.offsets, name)

    async def partition_names(self, name: str) -> tuple[str, ...]:
        return await asyncio.to_thread(self._admin.partition_names, name)

    async def groups(self) -> list[GroupInfo]:
        return await asyncio.to_thread(self._admin.groups)

    async def describe_group(self, name: str) -> GroupInfo:
        return await asyncio.to_thread(self._admin.describe_group, name)

    async def lag(self, name: str) -> list[Lag]:
        return await asyncio.to_thread(self._admin.lag, name)

    async def configs(self, topic: str) -> dict[str, ConfigValue]:
        return await asyncio.to_thread(self._admin.configs, topic)

    async def set_configs(self, topic: str, configs: Mapping[str, str | None]) -> None:
        await asyncio.to_thread(self._admin.set_configs, topic, configs)

    async def close(self) -> None:
        self._admin.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._admin.close()
