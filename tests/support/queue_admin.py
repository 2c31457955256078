"""A cluster of the queue in memory, as `client.Admin` shows it, and the command line's commands run upon it."""

import contextlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from unittest import mock

import typer

from client.errors import GroupNotFound, TopicExists, TopicNotFound
from client.values import ConfigValue, GroupInfo, Lag, Member, Offsets, PartitionInfo, TopicInfo


@dataclass(slots=True)
class FakeAdmin:
    """`logs`: the offsets of each partition by topic. `committed`: of each group. Changes are kept in `done`."""

    logs: dict[str, list[Offsets]] = field(default_factory=dict[str, list[Offsets]])
    committed: dict[str, dict[tuple[str, int], int]] = field(default_factory=dict[str, dict[tuple[str, int], int]])
    done: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])

    def __call__(self, bootstrap: str, **properties: Any) -> Self:
        self.done.append(("connected", bootstrap, properties))
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def topics(self, internal: bool = False) -> list[TopicInfo]:
        found = [self.describe_topic(name) for name in sorted(self.logs)]
        return [one for one in found if internal or not one.internal]

    def describe_topic(self, name: str) -> TopicInfo:
        partitions = tuple(PartitionInfo(index, 1, (1, 2), (1, 2)) for index in range(len(self._of(name))))
        return TopicInfo(name, partitions, name.startswith("__"))

    def partition_names(self, name: str) -> tuple[str, ...]:
        return tuple(f"P{index + 1}" for index in range(len(self._of(name))))

    def create_topic(self, name: str, partitions: int, replication: int = -1, configs: Any = None) -> None:
        if name in self.logs:
            raise TopicExists(f"{name}: there already")
        self.logs[name] = [Offsets(0, 0)] * partitions
        self.done.append(("created", name, partitions, replication, configs))

    def delete_topic(self, name: str) -> None:
        self._of(name)
        del self.logs[name]

    def add_partitions(self, name: str, total: int) -> None:
        self.done.append(("grown", name, total))

    def offsets(self, name: str) -> dict[int, Offsets]:
        return dict(enumerate(self._of(name)))

    def offsets_at(self, name: str, timestamp_ms: int) -> dict[int, int | None]:
        """Each message's time is its offset."""
        return {
            index: max(one.first, timestamp_ms) if timestamp_ms < one.next else None
            for index, one in enumerate(self._of(name))
        }

    def configs(self, topic: str) -> dict[str, ConfigValue]:
        return {"retention.ms": ConfigValue("5", topic == "T2", False)}

    def set_configs(self, topic: str, configs: Mapping[str, str | None]) -> None:
        self.done.append(("set", topic, dict(configs)))

    def groups(self) -> list[GroupInfo]:
        return [GroupInfo(name, "empty", -1, "", ()) for name in sorted(self.committed)]

    def describe_group(self, name: str) -> GroupInfo:
        if name not in self.committed:
            raise GroupNotFound(f"{name}: no such group")
        members = (Member("carousel-1", "carousel", "/127.0.0.1", tuple(self.committed[name])),)
        return GroupInfo(name, "stable", 1, "range", members)

    def lag(self, name: str) -> list[Lag]:
        self.describe_group(name)
        return [
            Lag(topic, index, offset, self.logs[topic][index].next, self.logs[topic][index].next - offset)
            for (topic, index), offset in self.committed[name].items()
        ]

    def set_offsets(self, group: str, offsets: Mapping[tuple[str, int], int]) -> None:
        self.committed[group] = dict(offsets)

    def delete_group(self, name: str) -> None:
        self.describe_group(name)
        del self.committed[name]

    def _of(self, name: str) -> list[Offsets]:
        if name not in self.logs:
            raise TopicNotFound(f"{name}: no such topic")
        return self.logs[name]


def command(app: typer.Typer, *arguments: str, **classes: Any) -> tuple[int, str, str]:
    """Run a command at the cluster `here:1`, with these in place of the client's classes: its exit status, standard
    output and standard error."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.ExitStack() as held:
        for name, stand_in in classes.items():
            held.enter_context(mock.patch(f"client.{name}", stand_in))
        held.enter_context(mock.patch.dict(os.environ, QUEUE_BOOTSTRAP="here:1"))
        held.enter_context(contextlib.redirect_stdout(out))
        held.enter_context(contextlib.redirect_stderr(err))
        try:
            app(list(arguments), prog_name="carousel")
        except SystemExit as end:
            code = int(end.code or 0)
    return code, out.getvalue(), err.getvalue()
