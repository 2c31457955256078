"""The controller: the one writer of the cluster's state. It feeds the fleet events and carries out what it says.

Each step is committed before anything of it is seen: first the record and its events go to the disk, then the
effects are carried out in order, then the new view is shown (cluster-rules R4: commit, push, answer). A disk that
fails or hangs is reported and passed over, since a replica must be replaced all the same.

Everything here runs in control's loop. Flask's threads come in through `submit` by call_soon_threadsafe only.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from loadbalancer import fleet_words as f
from loadbalancer.aio.feed_server import FeedServer
from loadbalancer.aio.tickets import Tickets
from loadbalancer.event_log import Event, EventLog
from loadbalancer.fleet import Fleet
from loadbalancer.health import ProbeTarget
from loadbalancer.layout import Layout
from loadbalancer.logs import get_logger
from loadbalancer.queue_places import Listeners, with_listeners
from loadbalancer.queue_words import Ended, Muted
from loadbalancer.snapshot import Epoch, Member, Snapshot
from loadbalancer.spawn.base import NameInUse, Runtime, SpawnError

COMMIT_TIMEOUT_S = 1.0  # a disk that hangs for longer holds up nobody
ALARMING = frozenset({"dead", "crash-loop", "ejected", "queue-state-lost"})
UNSAVED_EVENTS = 1000  # kept for a disk that comes back; a quarter of a megabyte
SETTLE_TIMEOUT_S = 1.0  # a worker that takes longer to apply a snapshot holds up no answer

log = get_logger("control")


class Keeper(Protocol):
    """Where a step is committed, on a thread of its own (disk/keeper.py)."""

    async def commit(self, record: dict[str, Any] | None, events: list[Event]) -> None: ...


class Queue(Protocol):
    """Whom the fleet's news are told (aio/queue_control.py)."""

    def send(self, event: Ended | Muted) -> None: ...

    def is_alive(self, node_id: int) -> bool: ...

    def tell_members(self, wanted: frozenset[int], leaving: frozenset[int], joining: frozenset[int]) -> None: ...


@dataclass(frozen=True, slots=True)
class Moved:
    """The queue's listeners are elsewhere: the front door's ports for it lead there."""

    listeners: Listeners


class Controller:
    """Owns the fleet; everybody else sends it events. `generation` is this control's, committed before."""

    def __init__(
        self, fleet: Fleet, layout: Layout, runtime: Runtime, keeper: Keeper, feed: FeedServer, events: EventLog,
        tickets: Tickets, generation: int, on_step: Callable[[], None], queue: Queue | None = None,
    ) -> None:  # fmt: skip
        self.fleet = fleet
        self.layout = layout
        self.events = events
        self.epoch = Epoch(generation, 0)
        self.respawns = 0
        self._runtime = runtime
        self._keeper = keeper
        self._feed = feed
        self._tickets = tickets
        self._on_step = on_step
        self.queue = queue
        self._listeners: Listeners = {}
        self._inbox: asyncio.Queue[f.Event | f.Note | Moved] = asyncio.Queue()
        self._jobs: set[asyncio.Task[None]] = set()
        self._kept: dict[str, Any] | None = None
        self._unsaved: list[Event] = []
        self._members: tuple[Member, ...] = ()
        self._timer: asyncio.TimerHandle | None = None

    def send(self, event: f.Event) -> None:
        """Queue an event; events are taken one after another, in order."""
        self._inbox.put_nowait(event)

    async def run(self) -> None:
        """Until cancelled; then the work under way (spawns, stops) is left to the next control to find."""
        try:
            while True:
                await self.step(await self._inbox.get())
                self._inbox.task_done()
        finally:
            for job in self._jobs:
                job.cancel()

    async def settled(self) -> None:
        """All that has been told is carried out, and the data path acts on it, or takes too long."""
        await self._inbox.join()
        await self._feed.settled(SETTLE_TIMEOUT_S)

    async def step(self, event: f.Event | f.Note | Moved) -> None:
        """Take one event from its hearing to its effects. For `run`, and for the first event before it."""
        loop = asyncio.get_running_loop()
        effects = self._hear(event, loop.time())
        if any(isinstance(effect, f.Publish) for effect in effects):
            self._members = with_listeners(self.layout.settle(self.fleet.members()), self._listeners)
        notes = [effect for effect in effects if isinstance(effect, f.Note)]
        events = [self.events.make(time.time(), note.kind, note.replica, note.reason) for note in notes]
        await self._commit(events)
        self._show(events)
        if self.queue is not None:
            self.queue.tell_members(*self.fleet.nodes())  # before a newcomer is spawned, which will register
        for effect in effects:
            self._carry_out(effect)
        self._schedule(loop)
        self._on_step()

    def _hear(self, event: f.Event | f.Note | Moved, now: float) -> Sequence[f.Effect]:
        match event:
            case f.Note():
                return [event]
            case Moved():
                self._listeners = event.listeners
                return [f.Publish()]
            case _:
                return self.fleet.step(event, now)

    async def _commit(self, events: list[Event]) -> None:
        """Keep the record if it changed, and the events; what failed is made up for by the next step's."""
        record = {"fleet": self.fleet.dump(), "layout": self.layout.dump()}
        if record == self._kept and not events:
            return
        unsaved = [*self._unsaved, *events]
        self._unsaved = unsaved[-UNSAVED_EVENTS:]
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_S):
                await self._keeper.commit(None if record == self._kept else record, unsaved)
            self._kept, self._unsaved = record, []
        except (TimeoutError, OSError) as error:
            log.error("state not saved", error=str(error) or f"the disk hangs for {COMMIT_TIMEOUT_S} s")

    def _show(self, events: list[Event]) -> None:
        self.events.show(events)
        for event in events:
            say = log.warning if event.kind in ALARMING else log.info
            say(event.kind, replica=event.replica, reason=event.reason)
        if events:
            self._tickets.wake_streams()

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due = self.fleet.deadline()
        self._timer = None if due is None else loop.call_at(due, self.send, f.Tick())

    def _carry_out(self, effect: f.Effect) -> None:
        match effect:
            case f.Spawn():
                self.respawns += effect.replaces
                self.start(self._spawn(effect))
            case f.Stop():
                self.start(self._end(effect, self._runtime.stop(effect.name, effect.grace_s)))
            case f.Kill():
                self.start(self._end(effect, self._runtime.kill(effect.name)))
            case f.Discard():
                self.start(self._runtime.discard(effect.node_id))
            case f.Ended():
                if self.queue is not None:
                    self.queue.send(Ended(effect.node_id))
            case f.Muted():
                if self.queue is not None:
                    self.queue.send(Muted(effect.node_id, effect.mute))
            case f.Publish():
                self._publish()
            case f.Answer():
                self.start(self._answer(effect))
            case f.Note() | f.Adopt():
                pass  # kept and shown already

    def start(self, job: Coroutine[Any, Any, None]) -> None:
        """Something that takes its time; it ends with `run` at the latest."""
        task = asyncio.get_running_loop().create_task(self._guard(job))
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    async def _guard(self, job: Coroutine[Any, Any, None]) -> None:
        try:
            await job
        except (OSError, SpawnError) as error:
            log.error("runtime failed", error=repr(error))

    async def _spawn(self, effect: f.Spawn) -> None:
        try:
            instance = await self._runtime.spawn(effect.spec)
        except (OSError, SpawnError) as error:
            self.send(f.SpawnFailed(effect.spec.name, str(error), refused=isinstance(error, NameInUse)))
        else:
            self.send(f.Spawned(effect.spec.name, instance))

    async def _end(self, effect: f.Stop | f.Kill, ending: Coroutine[Any, Any, None]) -> None:
        """The runtime returns when it is proven gone, also when there was nothing to end and so no exit to hear of."""
        await ending
        self.send(f.Exited(effect.name, effect.handle, "ended by control"))

    async def _answer(self, answer: f.Answer) -> None:
        """Nobody is told before the data path acts on it: who has drained a replica must not see it used."""
        await self._feed.settled(SETTLE_TIMEOUT_S)
        word = "successful" if answer.ok else "failure"
        self._tickets.answer(answer.command, answer.status, {"message": answer.message, "status": word})

    def _publish(self) -> None:
        self.epoch = Epoch(self.epoch.generation, self.epoch.version + 1)
        self._feed.publish(Snapshot(self.epoch, self._members))

    # What the shells around it report.

    def heard(self, target: ProbeTarget, reason: str, late: bool) -> None:
        alive = self.queue is not None and self.queue.is_alive(target.node_id)
        self.send(f.Probed(target.name, target.handle, not reason, reason, late, alive))

    def exited(self, name: str, handle: str, reason: str) -> None:
        self.send(f.Exited(name, handle, reason))

    def listens(self, listeners: Listeners) -> None:
        """Where the front door's ports for the queue are to lead from now on."""
        self._inbox.put_nowait(Moved(listeners))

    def remark(self, kind: str, name: str, reason: str) -> None:
        """Something worth keeping that is no business of the fleet's."""
        self._inbox.put_nowait(f.Note(kind, name, reason))
