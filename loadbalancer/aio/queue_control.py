"""The queue's controller in control's loop: events in, a commit for what came together, then the push, then the answers
(cluster-rules R4).

All that waits is heard in one step and committed at once, so a hundred ISR changes cost one sync. Where the commit
fails, the step is undone and who asked is refused (NOT_CONTROLLER, which clients try again); a disk that hangs holds up
the queue's changes and nothing else, for no message passes through here.
"""

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from loadbalancer import fleet_words as f
from loadbalancer import queue_words as q
from loadbalancer.aio.queue_link import LinkServer
from loadbalancer.disk.store import QueueState
from loadbalancer.logs import get_logger
from loadbalancer.queue import Queue
from loadbalancer.queue_recovery import CantRecover, recovered
from loadbalancer.queue_tail import Tail
from wire.cluster import Image, Record

SNAPSHOT_RECORDS: Final = 2000
"""A snapshot is written when the log behind the last one is longer than this, and than the snapshot itself."""

SIGN_S: Final = 2.0
"""A server beats once a second over its link, besides all else that it asks there."""

log = get_logger("control")


class Keeper(Protocol):
    """Where records are committed (disk/keeper.py)."""

    async def load_queue(self) -> QueueState: ...

    async def append_queue(
        self, after: int, records: Sequence[Mapping[str, Any]], snapshot: QueueState | None
    ) -> None: ...

    async def recover_queue(self, generation: int, state: QueueState) -> None: ...


class QueueControl:
    """`tail` is what `load_tail` found. `tell_fleet` takes fleet events, `remark` what is for the event log,
    `tell_listeners` where servers listen (by node id, then by the listener's name) when that has changed; `on_step` is
    called behind each step."""

    def __init__(
        self,
        tail: Tail,
        settings: q.QueueSettings,
        keeper: Keeper,
        tell_fleet: Callable[[f.Event], None],
        remark: Callable[[str, str, str], None],
        tell_listeners: Callable[[Mapping[int, Mapping[str, tuple[str, int]]]], None] = lambda _: None,
        on_step: Callable[[], None] = lambda: None,
        *,
        lost: bool = False,
    ) -> None:
        self.tail = tail
        self.queue = Queue(tail.image, settings, lambda: uuid.uuid4().hex, lost=lost)
        self._settings = settings
        self._was_lost = lost
        self.links: LinkServer | None = None
        self._keeper = keeper
        self._tell_fleet = tell_fleet
        self._remark = remark
        self._tell_listeners = tell_listeners
        self._on_step = on_step
        self._listeners: dict[int, Mapping[str, tuple[str, int]]] = {}
        self._inbox: asyncio.Queue[q.Event] = asyncio.Queue()
        self._timer: asyncio.TimerHandle | None = None
        self._logged = 0  # records behind the last snapshot
        self._told: f.Holdings | None = None
        self._members: q.Members | None = None

    def send(self, event: q.Event) -> None:
        """Queue an event; events are taken in order."""
        self._inbox.put_nowait(event)

    def is_alive(self, node_id: int) -> bool:
        """Whether a server was heard on its link within SIGN_S."""
        heard_at = self.links.heard_at(node_id) if self.links is not None else None
        return heard_at is not None and asyncio.get_running_loop().time() - heard_at <= SIGN_S

    def tell_members(self, wanted: frozenset[int], leaving: frozenset[int], joining: frozenset[int]) -> None:
        """Who the fleet is; nothing happens if that is known."""
        members = q.Members(wanted, leaving, joining)
        if members != self._members:
            self._members = members
            self.send(members)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.step(await self._inbox.get())

    async def step(self, event: q.Event) -> None:
        """One event and all that have come with it."""
        loop = asyncio.get_running_loop()
        self.queue.hear(event, loop.time())
        while not self._inbox.empty():
            self.queue.hear(self._inbox.get_nowait(), loop.time())
        step = self.queue.take(loop.time())
        effects = step.effects if await self._commit(step.records) else self.queue.undo(loop.time())
        if self.links is not None and not self.queue.lost:
            self.links.push()
        for effect in effects:
            self._carry_out(effect)
        self._tell_holdings()
        self._tell_moved()
        self._call_for_copies()
        self._schedule(loop)
        self._on_step()

    async def _commit(self, records: list[Record]) -> bool:
        if not records:
            return True
        image, after = self.queue.image, self.tail.image.version
        snapshot = self._snapshot(image, len(records))
        try:
            await self._keeper.append_queue(after, records, snapshot)
        except OSError as error:
            log.error("queue not saved", error=str(error))
            return False
        self._logged = 0 if snapshot else self._logged + len(records)
        self.tail.extend(image, records)
        return True

    def _snapshot(self, image: Image, new: int) -> QueueState | None:
        size = len(image.partitions) + len(image.topics) + len(image.brokers)
        if self._logged + new <= max(SNAPSHOT_RECORDS, size):
            return None
        return QueueState(image.version, image.records())

    def _carry_out(self, effect: q.Effect) -> None:
        if isinstance(effect, q.Note):
            self._remark(effect.kind, effect.about, effect.reason)
        elif self.links is not None:
            self.links.reply(effect)

    def _tell_holdings(self) -> None:
        """What is committed; before the fleet was heard of, nobody's leaving is known."""
        holdings = f.Holdings(self.queue.holders(), self.queue.leaving)
        if holdings != self._told:
            self._told = holdings
            self._tell_fleet(holdings)

    def _tell_moved(self) -> None:
        """Fenced ones too, as their servers come back with the same addresses; but nobody who has yet to take part."""
        brokers = self.tail.image.brokers
        listeners = {node_id: broker.listeners for node_id, broker in brokers.items() if broker.served >= 0}
        if listeners != self._listeners:
            self._listeners = listeners
            self._tell_listeners(listeners)

    def _call_for_copies(self) -> None:
        """Who is registered comes again, is refused, and offers what it has."""
        if self.queue.lost and not self._was_lost:
            self._was_lost = True
            if self.links is not None:
                self.links.hang_up()

    @property
    def takes_offers(self) -> bool:
        return self.queue.lost

    async def recover(self, absent: frozenset[int]) -> str:
        """Commit the highest copy that servers offer as the cluster's state (R5); control must then start anew from it.
        What was done, for people. Raises CantRecover, OSError."""
        if not self.queue.lost or self.links is None:
            raise CantRecover("the queue's state is not lost")
        offers = self.links.offers()
        image = recovered(offers, absent, self._settings)
        await self._keeper.recover_queue(image.generation, QueueState(image.version, image.records()))
        text = f"{len(image.topics)} topics, {len(image.partitions)} partitions from {len(offers)} servers' copies"
        self._remark("queue-recovered", "queue", text)
        return text

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self.queue.deadline()
        self._timer = None if due is None else loop.call_at(due, self.send, q.Tick())


async def load_tail(keeper: Keeper, generation: int) -> Tail:
    """The cluster as it was committed last, with this control's generation written behind it. Raises OSError."""
    state = await keeper.load_queue()
    try:
        image = Image().with_records(state.snapshot, generation, state.version)
        image = image.with_records(state.records, generation, state.version + len(state.records))
    except ValueError as fault:
        raise OSError(f"the queue's log can't be understood: {fault}") from fault
    begin: Record = {"type": "generation", "number": generation}
    await keeper.append_queue(image.version, [begin], None)
    return Tail(image.with_records([begin], generation, image.version + 1), [*state.records, begin])
