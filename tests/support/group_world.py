"""Consumer groups in their own world: a clock that tests move, a log that is a list, clients that are calls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final
from uuid import UUID

from server.api.shape import Call, Later
from server.group_words import (
    Commit,
    DeleteGroup,
    DeleteOffsets,
    GroupSettings,
    Heartbeat,
    Join,
    Leave,
    NewOffset,
    Request,
    Sync,
)
from server.groups import Groups
from server.now import Now
from wire import messages
from wire.answer_parts import Endpoint
from wire.batches import check_crc, read_header
from wire.errors import ErrorCode
from wire.versions import response_header

SETTINGS: Final = GroupSettings(initial_rebalance_delay_ms=0)
START: Final = Now(1_000, 1_700_000_000_000)
RANGE: Final = (("range", b"range metadata"),)


@dataclass(eq=False)
class Asked:
    """What was asked, and its outcomes: none yet, or one; more would be a fault."""

    event: Any
    life: int
    outcomes: list[Any] = field(default_factory=list[Any])

    @property
    def outcome(self) -> Any:
        assert len(self.outcomes) == 1, f"{len(self.outcomes)} outcomes of {self.event}"
        return self.outcomes[0]

    @property
    def code(self) -> ErrorCode:
        return self.outcome if isinstance(self.outcome, ErrorCode) else self.outcome.code

    @property
    def waits(self) -> bool:
        return not self.outcomes


class GroupWorld:
    """A server that leads all partitions of `__consumer_offsets`.

    Appends are durable at once while `is_durable`; otherwise they wait in `appends` for `settle`. `life` counts how
    often generations may have begun anew: as in Kafka one that wasn't stored is forgotten with its coordinator, and a
    group that was deleted begins at 1 again.
    """

    def __init__(self, settings: GroupSettings = SETTINGS, partitions: int = 1) -> None:
        self.now = START
        self.settings = settings
        self.is_durable = True
        self.is_confirmed = True
        self.life = 0
        self.appends: list[tuple[int, bytearray, Callable[[ErrorCode, Now], None]]] = []
        self.logs: dict[int, list[bytes]] = {partition: [] for partition in range(partitions)}
        self.asked: list[Asked] = []
        self._ids = count(1)
        self.topics = FakeTopics()
        self.groups = self.new_groups(partitions)

    def new_groups(self, partitions: int, *, load: bool = True) -> Groups:
        groups = Groups(self.settings, lambda: str(next(self._ids)), self._append, lambda _: self.is_confirmed)
        groups.partitions = partitions
        for partition in range(partitions):
            groups.lead(partition, self.now)
            if load:
                groups.replay(partition, self.logs[partition])
                groups.finish_loading(partition, self.now)
        return groups

    def fail_over(self) -> None:
        """Another server takes over: it knows the log, and nothing else."""
        self.life += 1
        for partition in self.logs:
            self.groups.resign(partition, self.now)
        self.appends.clear()
        self.groups = self.new_groups(len(self.logs))

    def locate_group(self, group_id: str, listener: str) -> Endpoint | ErrorCode:
        return Endpoint(1, listener, 9092) if group_id != "lost" else ErrorCode.COORDINATOR_NOT_AVAILABLE

    # --- time and the log

    def advance(self, ms: int) -> None:
        """Let time pass, and every deadline come when it's due."""
        end = self.now.steady_ms + ms
        while (at := self.groups.next_deadline()) is not None and at <= end:
            self._set(max(at, self.now.steady_ms))
            self.groups.tick(self.now)
        self._set(end)

    def settle(self, code: ErrorCode = ErrorCode.NONE) -> None:
        """The first append that waits is durable, or fails."""
        partition, batch, done = self.appends.pop(0)
        if not code:
            self.logs[partition].append(bytes(batch))
        done(code, self.now)

    def _append(self, partition: int, batch: bytearray, done: Callable[[ErrorCode, Now], None]) -> None:
        check_crc(batch, 0, read_header(batch))
        self.appends.append((partition, batch, done))
        if self.is_durable:
            self.settle()

    def _set(self, steady_ms: int) -> None:
        passed = steady_ms - self.now.steady_ms
        self.now = Now(steady_ms, self.now.wall_ms + passed)

    # --- asking, as values

    def ask(self, event: Request) -> Asked:
        asked = Asked(event, self.life)
        self.asked.append(asked)
        call = self.call(0, asked.outcomes.append)
        frame: Any = self.groups.ask(call, event, _same)
        if frame is not Later.PARKED:
            asked.outcomes.append(frame)
        return asked

    def call(self, version: int, reply: Callable[[Any], None]) -> Call:
        return Call(version, 7, "client", "10.0.0.1", "external", self.now, reply)

    def join(
        self,
        member_id: str = "",
        group: str = "g",
        instance: str | None = None,
        protocols: tuple[tuple[str, bytes], ...] = RANGE,
        session_ms: int = 10_000,
        rebalance_ms: int = 60_000,
        protocol_type: str = "consumer",
        needs_id: bool = False,
        can_skip: bool = True,
    ) -> Asked:
        return self.ask(
            Join(
                self.groups.next_ticket(),
                group,
                member_id,
                instance,
                "c",
                "/10.0.0.1",
                session_ms,
                rebalance_ms,
                protocol_type,
                protocols,
                needs_id,
                can_skip,
            )
        )

    def sync(
        self,
        member_id: str,
        generation: int,
        assignments: dict[str, bytes] | None = None,
        group: str = "g",
        instance: str | None = None,
    ) -> Asked:
        ticket = self.groups.next_ticket()
        return self.ask(Sync(ticket, group, generation, member_id, instance, None, None, assignments or {}))

    def heartbeat(self, member_id: str, generation: int, group: str = "g", instance: str | None = None) -> Asked:
        return self.ask(Heartbeat(self.groups.next_ticket(), group, generation, member_id, instance))

    def leave(self, *members: tuple[str, str | None], group: str = "g") -> Asked:
        return self.ask(Leave(self.groups.next_ticket(), group, members))

    def commit(
        self,
        offset: int,
        member_id: str = "",
        generation: int = -1,
        group: str = "g",
        topic: str = "t",
        partition: int = 0,
        metadata: str = "",
        leader_epoch: int = -1,
        retention_ms: int = -1,
        instance: str | None = None,
    ) -> Asked:
        new = NewOffset(topic, partition, offset, leader_epoch, metadata)
        ticket = self.groups.next_ticket()
        return self.ask(Commit(ticket, group, generation, member_id, instance, (new,), retention_ms))

    def delete_offsets(self, *partitions: tuple[str, int], group: str = "g") -> Asked:
        return self.ask(DeleteOffsets(self.groups.next_ticket(), group, partitions))

    def delete_group(self, group: str = "g") -> Asked:
        asked = self.ask(DeleteGroup(self.groups.next_ticket(), group))
        self.life += asked.waits or asked.code == ErrorCode.NONE
        return asked

    # --- asking for what is known

    def group(self, group: str = "g") -> Any:
        coordinator = self.groups.find(group)
        return coordinator if isinstance(coordinator, ErrorCode) else coordinator.group_of(group)

    def committed(self, group: str = "g", topic: str = "t", partition: int = 0) -> Any:
        coordinator = self.groups.find(group)
        assert not isinstance(coordinator, ErrorCode), coordinator
        offsets = coordinator.offsets_of(group)
        assert not isinstance(offsets, ErrorCode), offsets
        return offsets.get(topic, partition)

    def stable(self, *names: str, group: str = "g") -> list[str]:
        """A stable group of as many dynamic members as there are names; the first leads, each is assigned its name."""
        joins = [self.join(group=group)]
        for _ in names[1:]:
            joins.append(self.join(group=group))
            if joins[0].outcomes:  # a rebalance began: the members so far join again
                for index, join in enumerate(joins[:-1]):
                    joins[index] = self.join(join.outcome.member_id, group=group)
        ids = [join.outcome.member_id for join in joins]
        generation = joins[0].outcome.generation
        self.sync(ids[0], generation, dict(zip(ids, (name.encode() for name in names), strict=True)), group)
        for member_id in ids[1:]:
            assert self.sync(member_id, generation, group=group).code == ErrorCode.NONE
        return ids

    # --- asking, as bytes

    def wire(self, module: Any, version: int, values: dict[str, Any]) -> list[Any]:
        """Send a request through its API module; a list into which the decoded answer comes, now or later."""
        request = messages.build(module.KEY, version, values, "request")
        decoded = messages.decode(module.KEY, version, messages.encode(request))
        answers: list[Any] = []

        def reply(frame: Any) -> None:
            assert int.from_bytes(frame[:4], "big") == len(frame) - 4
            assert frame[4:8] == b"\0\0\0\x07"
            at = 8 + response_header(module.KEY, version)
            answers.append(messages.decode_response(module.KEY, version, frame, at))

        answer = module.handle(self.call(version, reply), decoded, self)
        if answer is not Later.PARKED:
            reply(answer)
        return answers


class FakeTopics:
    """Topics `t` and `u` of four partitions each."""

    IDS: Final = {"t": UUID(int=1), "u": UUID(int=2)}

    def has(self, name: str, partition: int) -> bool:
        return name in self.IDS and 0 <= partition < 4

    def name_of(self, topic_id: UUID) -> str | None:
        return next((name for name, known in self.IDS.items() if known == topic_id), None)

    def id_of(self, name: str) -> UUID | None:
        return self.IDS.get(name)


def _same(outcome: Any) -> Any:
    return outcome


def codes_of(asked: Sequence[Asked]) -> list[ErrorCode]:
    return [one.code for one in asked]
