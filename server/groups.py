"""The consumer groups of one server as its APIs and its logs see them: questions in, batches and answers out.

`server.coordinators` decides; here its effects are carried out, in order, and never one within another: an append that
is durable at once, or a reply that brings the connection's next request, only queues what follows from it. So records
lie in the log in the order in which they were decided.

What holds: each call is answered once, at once or through its `reply`. No append is waited for longer than
`append_timeout_ms`. What is reported of an append after `resign` is ignored.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TypeVar, cast

from server.api.shape import Answer as Frame
from server.api.shape import Call, Later
from server.coordinator import Coordinator
from server.coordinators import Coordinators
from server.group_words import (
    Answer,
    Append,
    Appended,
    AppendFailed,
    Effect,
    GroupSettings,
    Outcome,
    Request,
    Tick,
    Ticket,
)
from server.now import Now
from wire.batches import BatchError, walk
from wire.errors import ErrorCode
from wire.primitives import Data, WireError
from wire.records import NewRecord, encode_batch, records_of

T = TypeVar("T", bound=Outcome)

Done = Callable[[ErrorCode, Now], None]

AppendBatch = Callable[[int, bytearray, Done], None]
"""Append a batch (base offset and leader epoch are to be stamped) to a partition of `__consumer_offsets`, behind all
before. `Done` is called with NONE when the high watermark has passed it, or with a code when it isn't in the log and
never will be; maybe at once, and in the order of the appends."""


@dataclass(slots=True, eq=False)
class _Asked:
    """A call under way: its outcomes as they come, and what makes a frame of them."""

    call: Call
    outcomes: list[Outcome | None]
    missing: int
    finish: Callable[[list[Outcome]], Frame]
    frame: Frame | None = None
    is_parked: bool = False


class Groups:
    """See the module. `new_id` yields the random part of member ids; `is_confirmed` tells of a led partition whether
    what needs no replication may be answered now (R2)."""

    def __init__(
        self,
        settings: GroupSettings,
        new_id: Callable[[], str],
        append: AppendBatch,
        is_confirmed: Callable[[int], bool] = lambda _: True,
    ) -> None:
        self._coordinators = Coordinators(settings, new_id, is_confirmed)
        self._append = append
        self._asked: dict[Ticket, tuple[_Asked, int]] = {}
        self._effects: deque[tuple[int, Effect]] = deque()
        self._is_busy = False
        self.next_ticket: Callable[[], Ticket] = count(1).__next__

    # --- asking ------------------------------------------------------------------------------------------------

    def ask(self, call: Call, event: Request, finish: Callable[[T], Frame]) -> Frame | Later:
        """Bring one event, made with a `next_ticket`, to its group; `finish` makes the frame of its outcome."""
        return self.ask_all(call, (event,), lambda outcomes: finish(cast("T", outcomes[0])))

    def ask_all(self, call: Call, events: Sequence[Request], finish: Callable[[list[Outcome]], Frame]) -> Frame | Later:
        """Bring several to their groups, and answer when all have their outcomes."""
        if not events:
            return finish([])
        asked = _Asked(call, [None] * len(events), len(events), finish)
        self._asked.update({event.ticket: (asked, index) for index, event in enumerate(events)})
        for event in events:
            self._carry_out(*self._coordinators.request(event, call.now))
        if asked.frame is not None:
            return asked.frame
        asked.is_parked = True
        return Later.PARKED

    def find(self, group_id: str) -> Coordinator | ErrorCode:
        """For queries: the group's coordinator, if it may answer now."""
        return self._coordinators.find(group_id)

    def all(self) -> Iterator[Coordinator | ErrorCode]:
        """For queries about all groups: each coordinator, or why its groups can't be told."""
        return self._coordinators.all()

    # --- leading -----------------------------------------------------------------------------------------------

    @property
    def partitions(self) -> int | None:
        """How many partitions `__consumer_offsets` has; None as long as it doesn't exist."""
        return self._coordinators.partitions

    @partitions.setter
    def partitions(self, partitions: int | None) -> None:
        self._coordinators.partitions = partitions

    def partition_of(self, group_id: str) -> int | None:
        """Where a group's state is kept; None while the topic doesn't exist."""
        return self._coordinators.partition_of(group_id)

    def lead(self, partition: int, now: Now) -> None:
        """This server has become the leader, or has a new epoch: what is in the log is to be replayed now."""
        self.resign(partition, now)
        self._coordinators.lead(partition)

    def replay(self, partition: int, batches: Iterable[Data]) -> None:
        """The log's next whole batches, in slices of any size. Raises WireError: then it can't be served."""
        for data in batches:
            self._coordinators.replay(partition, _records(data))

    def finish_loading(self, partition: int, now: Now) -> None:
        """All up to the end of the log that was found at the election is replayed, and committed."""
        self._carry_out(partition, self._coordinators.finish_loading(partition, now))

    def resign(self, partition: int, now: Now) -> None:
        """No longer the leader: who waits is told to look for another coordinator."""
        self._carry_out(partition, self._coordinators.resign(partition, now))

    def topic_deleted(self, name: str, now: Now) -> None:
        """Forget what groups have committed of a topic that is gone."""
        for partition, effects in self._coordinators.topic_deleted(name, now):
            self._carry_out(partition, effects)

    # --- time --------------------------------------------------------------------------------------------------

    def next_deadline(self) -> int | None:
        """When `tick` is due, on the steady clock in ms. Every other call may change it."""
        return min((at for at, _ in self._coordinators.deadlines()), default=None)

    def tick(self, now: Now) -> None:
        """Time has passed: sessions end, rebalances go on, offsets expire, appends are given up."""
        for at, partition in self._coordinators.deadlines():
            if at <= now.steady_ms:
                self._carry_out(partition, self._coordinators.step(partition, Tick(), now))

    # --- effects -----------------------------------------------------------------------------------------------

    def _carry_out(self, partition: int, effects: list[Effect]) -> None:
        self._effects.extend([(partition, effect) for effect in effects])
        if self._is_busy:
            return
        self._is_busy = True
        try:
            while self._effects:
                self._carry_out_one(*self._effects.popleft())
        finally:
            self._is_busy = False

    def _carry_out_one(self, partition: int, effect: Effect) -> None:
        if isinstance(effect, Answer):
            self._answered(effect)
        else:
            self._append(partition, _batch(effect), partial(self._appended, partition, effect.append_id))

    def _appended(self, partition: int, append_id: int, code: ErrorCode, now: Now) -> None:
        news = AppendFailed(append_id, code) if code else Appended(append_id)
        self._carry_out(partition, self._coordinators.step(partition, news, now))

    def _answered(self, answer: Answer) -> None:
        asked, index = self._asked.pop(answer.ticket)
        asked.outcomes[index] = answer.outcome
        asked.missing -= 1
        if asked.missing:
            return
        asked.frame = asked.finish(cast("list[Outcome]", asked.outcomes))
        if asked.is_parked:
            asked.call.reply(asked.frame)


def _batch(append: Append) -> bytearray:
    return encode_batch([NewRecord(append.timestamp_ms, key, value) for key, value in append.records])


def _records(data: Data) -> Iterator[tuple[Data | None, Data | None]]:
    """Keys and values; the markers of transactions (a topic may come from elsewhere) are nobody's."""
    try:
        for at, header in walk(data):
            if not header.is_control:
                for record in records_of(data, at, header):
                    yield record.key, record.value
    except BatchError as error:
        raise WireError(str(error)) from None
