"""The parent of everything, as a plain object: what runs, what is started again, and in which order it ends.

The problem: data-path workers and control must come back when they die, without a crash loop that eats the
machine; a reload must not lose a connection; replicas must outlive control; and at the end nothing may be
left. The shell (spawn/supervise.py) forks, reaps and signals; every method here takes what happened and the
time (seconds of a monotonic clock), and returns the effects that the shell carries out, in order.

- A *post* is a place for one of our own processes (control, door-0, door-1 …). It is refilled whenever it is
  empty. A replica has no post: who is started and who is replaced is control's decision, never made here.
- A child is known by pid and start time. It is in `children` from its start until it is reaped, so a signal
  to a pid in the table can't meet a stranger.
- A reload is all or nothing: only when every newcomer has said that it is ready are the old workers told to
  drain. Otherwise the newcomers end and the old ones were never touched.
- A command of an older generation of control is refused (cluster-rules R4): a control that was thought dead
  can't start a replica beside the one that its successor started.

The road not taken: restarting replicas here as well. It would be quicker by some milliseconds, but then two
parts would decide about the fleet, and a replica that was just removed by /rm would come back.
"""

import enum
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from loadbalancer.orders import SignalReplica, SpawnReplica

Role = Literal["control", "worker", "replica"]

QUICK_DEATH_S = 1.0  # who dies sooner is taken for broken, not for unlucky (daemontools and runit use 1 s as well)
BACKOFF_FIRST_S = 0.1
BACKOFF_LAST_S = 5.0  # a fixed setting or a freed port is picked up within this
READY_LIMIT_S = 10.0  # a new worker imports, reads one file and accepts: 0.3 s; ten seconds is a sick machine
CONTROL_LIMIT_S = 5.0  # between SIGTERM and SIGKILL: it holds no work that SQLite would lose
REPLICA_LIMIT_S = 10.0  # as long as `docker stop` grants, and what a replica allows itself
INTERRUPT_DRAIN_S = 5.0  # somebody waits at the terminal
REPLICAS_LIMIT = 256  # --max-replicas allows 64; twice that while all are replaced, and room

KILLED = float("inf")  # in the place of a deadline: SIGKILL was sent, now it is the kernel's turn
STAGES: tuple[Role, ...] = ("worker", "control", "replica")


class Haste(enum.IntEnum):
    """How quickly the end is wanted."""

    DRAIN = 0  # SIGTERM: as long as --drain-timeout
    SHORT = 1  # Ctrl-C, or the terminal was closed
    NOW = 2  # Ctrl-C once more

    def limit_s(self, role: Role, drain_timeout_s: float) -> float:
        """From SIGTERM to SIGKILL."""
        table: dict[Role, tuple[float, float, float]] = {
            "worker": (drain_timeout_s, min(drain_timeout_s, INTERRUPT_DRAIN_S), 0.0),
            "control": (CONTROL_LIMIT_S, CONTROL_LIMIT_S, 0.5),
            "replica": (REPLICA_LIMIT_S, REPLICA_LIMIT_S, 1.0),
        }
        return table[role][self]


@dataclass(frozen=True, slots=True)
class Child:
    """A process that was started and is not reaped. `meta` is control's, kept for its successor."""

    name: str
    role: Role
    pid: int
    start_time: int  # clock ticks since boot
    meta: Mapping[str, str | int] = field(default_factory=dict[str, str | int])

    def to_json(self) -> dict[str, object]:
        own = {"name": self.name, "role": self.role, "pid": self.pid, "start_time": self.start_time}
        return {**self.meta, **own}


@dataclass(slots=True)
class Post:
    """A place for one of our own processes, and who fills it."""

    name: str
    role: Role
    slot: int = 0
    pid: int | None = None
    started_at: float = 0.0
    quick_deaths: int = 0
    restart_at: float | None = None
    successor: int | None = None  # a reload's newcomer, until all of them are ready


@dataclass(frozen=True, slots=True)
class Start:
    """Start the process of a post, if still `wanted`; then call `started` or `start_failed`.

    `standby`: by the new plan, beside the old process.
    """

    post: str
    standby: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    """Signal a child, which is not yet reaped."""

    pid: int
    signal: signal.Signals
    group: bool


@dataclass(frozen=True, slots=True)
class Announce:
    """A replica ended: tell control, if there is one."""

    child: Child
    reason: str


@dataclass(frozen=True, slots=True)
class Settle:
    """The reload is over: go on with the new plan, or forget it."""

    accepted: bool


@dataclass(frozen=True, slots=True)
class Note:
    """For the log."""

    level: Literal["info", "warning", "error"]
    event: str
    fields: Mapping[str, object]


Effect = Start | Send | Announce | Settle | Note
Effects = list[Effect]


class Supervisor:
    """See the module. `finished` holds when the end was asked for and no child is left."""

    def __init__(self, workers: int, drain_timeout_s: float) -> None:
        doors = [Post(f"door-{slot}", "worker", slot) for slot in range(workers)]
        self.posts = {post.name: post for post in (Post("control", "control"), *doors)}
        self.children: dict[int, Child] = {}
        self.generation = 0  # the highest that any command had
        self.controls = 0  # generations that said hello; a gunicorn worker that died alone counts as well
        self._greeted = -1
        self.drain_timeout_s = drain_timeout_s
        self._haste: Haste | None = None
        self._stage = 0
        self._kill_at: dict[int, float] = {}
        self._unready: set[str] = set()  # posts whose newcomer is awaited
        self._reload_until: float | None = None

    @property
    def stopping(self) -> bool:
        return self._haste is not None

    @property
    def finished(self) -> bool:
        return self.stopping and not self.children

    @property
    def reloading(self) -> bool:
        return self._reload_until is not None

    def deadline(self) -> float | None:
        """When `tick` has something to do, if nothing else happens before."""
        restarts = [post.restart_at for post in self.posts.values() if post.restart_at is not None]
        reload = [] if self._reload_until is None else [self._reload_until]
        kills = [due for due in self._kill_at.values() if due != KILLED]
        return min([*restarts, *reload, *kills], default=None)

    # Our own processes

    def begin(self) -> Effects:
        return [Start(name) for name in self.posts]

    def wanted(self, start: Start) -> bool:
        """False for a newcomer whose reload has failed meanwhile, because another one could not start."""
        return self.reloading if start.standby else not self.stopping

    def started(self, start: Start, pid: int, start_time: int, now: float) -> Effects:
        post = self.posts[start.post]
        self.children[pid] = Child(post.name, post.role, pid, start_time, {"slot": post.slot})
        if start.standby:
            post.successor = pid
            return []
        post.pid, post.started_at, post.restart_at = pid, now, None
        return [Note("info", "started", {"child": post.name, "pid": pid})]

    def start_failed(self, start: Start, reason: str, now: float) -> Effects:
        """fork or exec failed: as if it had died at once."""
        note = Note("error", "start failed", {"child": start.post, "reason": reason})
        if start.standby:
            return [note, *self._abandon(f"{start.post}: {reason}", now)]
        post = self.posts[start.post]
        post.started_at = now
        return [note, *self._refill(post, now)]

    def _refill(self, post: Post, now: float) -> Effects:
        """Start a successor: at once, or after a backoff if they keep dying young."""
        if self.stopping:
            return []
        young = now - post.started_at < QUICK_DEATH_S
        post.quick_deaths = post.quick_deaths + 1 if young else 0
        delay = backoff_s(post.quick_deaths)
        if delay == 0:
            return [Start(post.name)]
        post.restart_at = now + delay
        return [Note("warning", "dies young", {"child": post.name, "again_in_s": delay})]

    # Replicas

    def refusal(self, generation: int) -> str | None:
        """Why a command of this generation is not obeyed; remembers the highest."""
        if generation < self.generation:
            return f"generation {generation} is over: {self.generation} commands"
        self.generation = generation
        return None

    def greet(self, generation: int) -> None:
        """A control that may command is there; again after a broken connection: the same one."""
        self.controls += generation > self._greeted
        self._greeted = max(generation, self._greeted)

    def refuse_spawn(self, order: SpawnReplica) -> str | None:
        if self.stopping:
            return "the supervisor is ending"
        if order.name in self.posts or any(child.name == order.name for child in self.children.values()):
            return f"{order.name} is already running"
        if sum(child.role == "replica" for child in self.children.values()) >= REPLICAS_LIMIT:
            return f"{REPLICAS_LIMIT} replicas are running"
        return None

    def spawned(self, order: SpawnReplica, pid: int, start_time: int, address: Mapping[str, str | int]) -> Child:
        child = Child(order.name, "replica", pid, start_time, {**order.meta, **address})
        self.children[pid] = child
        return child

    def signal(self, order: SignalReplica) -> Send | str:
        """The effect, or why it is refused. Only this very incarnation, and only replicas."""
        child = self.children.get(order.pid)
        if child is None or (child.name, child.start_time) != (order.name, order.start_time):
            return f"{order.name} with pid {order.pid} is not running"
        if child.role != "replica":
            return f"{order.name} is not a replica"
        return Send(order.pid, order.signal, order.group)

    # What happens to them

    def exited(self, pid: int, reason: str, now: float) -> Effects:
        """Reaped, with all of its group. Unknown pids (orphans that came to us) are nobody's loss."""
        child = self.children.pop(pid, None)
        if child is None:
            return []
        asked = self._kill_at.pop(pid, None) is not None
        effects: Effects = [Note("info", "ended", {"child": child.name, "pid": pid, "reason": reason})]
        if child.role == "replica":
            effects.append(Announce(child, reason))
        else:
            effects += self._vacated(self.posts[child.name], pid, reason, asked, now)
        return effects + (self._next_stage(now) if self.stopping else [])

    def _vacated(self, post: Post, pid: int, reason: str, asked: bool, now: float) -> Effects:
        if post.successor == pid:
            post.successor = None
            return self._abandon(f"{post.name}: {reason}", now) if self.reloading else []
        if post.pid != pid:
            return []  # an old worker, drained
        post.pid = None
        if asked:
            post.started_at = -QUICK_DEATH_S  # it did not die young, it was told to
        return self._refill(post, now)

    def ready(self, pid: int, now: float) -> Effects:
        """A worker accepts connections."""
        child = self.children.get(pid)
        if child is None or child.role != "worker" or self.posts[child.name].successor != pid:
            return []
        self._unready.discard(child.name)
        return [] if self._unready or not self.reloading else self._switch(now)

    def tick(self, now: float) -> Effects:
        effects: Effects = []
        for pid in [pid for pid, due in self._kill_at.items() if due <= now]:
            self._kill_at[pid] = KILLED
            effects.append(Send(pid, signal.SIGKILL, True))
        for post in self.posts.values():
            if post.restart_at is not None and post.restart_at <= now:
                post.restart_at = None
                effects.append(Start(post.name))
        if self._reload_until is not None and self._reload_until <= now:
            late = ", ".join(sorted(self._unready))
            effects += self._abandon(f"not ready in {READY_LIMIT_S:g} s: {late}", now)
        return effects

    # Reload

    def reload(self, now: float) -> Effects:
        """New workers beside the old ones. Only when neither `stopping` nor `reloading` holds."""
        assert not self.stopping and not self.reloading
        self._unready = {post.name for post in self._workers()}
        self._reload_until = now + READY_LIMIT_S
        return [Note("info", "reload", {}), *(Start(name, standby=True) for name in sorted(self._unready))]

    def _switch(self, now: float) -> Effects:
        effects: Effects = [Settle(True), Note("info", "reloaded", {})]
        self._reload_until = None
        for post in self._workers():
            old, post.pid, post.successor = post.pid, post.successor, None
            post.started_at, post.restart_at = now, None
            if old is not None:
                effects += self._end(old, self.drain_timeout_s, now)
        control = self.posts["control"].pid
        return effects + ([] if control is None else self._end(control, CONTROL_LIMIT_S, now))

    def _abandon(self, reason: str, now: float) -> Effects:
        """End the newcomers. Says why once, also if several of them fail."""
        if not self.reloading:
            return []
        self._reload_until = None
        newcomers = [post.successor for post in self._workers() if post.successor is not None]
        ends = [effect for pid in newcomers for effect in self._end(pid, 0, now)]
        return [
            Settle(False),
            Note("error", "reload failed, the old workers go on", {"reason": reason}),
            *ends,
        ]

    def _workers(self) -> Iterator[Post]:
        return (post for post in self.posts.values() if post.role == "worker")

    # The end

    def stop(self, haste: Haste, now: float) -> Effects:
        """Workers, then control, then replicas. Ctrl-C once more makes it quick; nothing else does."""
        if self._haste is not None:
            if haste is not Haste.SHORT:
                return []
            self._haste = Haste.NOW
            return self._end_stage(now)
        self._haste, self._stage, self._reload_until = haste, 0, None
        for post in self.posts.values():
            post.restart_at = None
        return [Note("info", "ending", {"haste": haste.name.lower()}), *self._end_stage(now)]

    def _end_stage(self, now: float) -> Effects:
        assert self._haste is not None
        role = STAGES[self._stage]
        pids = [child.pid for child in self.children.values() if child.role == role]
        limit_s = self._haste.limit_s(role, self.drain_timeout_s)
        effects = [effect for pid in pids for effect in self._end(pid, limit_s, now)]
        return effects or self._next_stage(now)

    def _next_stage(self, now: float) -> Effects:
        if any(child.role == STAGES[self._stage] for child in self.children.values()):
            return []
        if self._stage + 1 == len(STAGES):
            return []
        self._stage += 1
        return self._end_stage(now)

    def _end(self, pid: int, limit_s: float, now: float) -> Effects:
        """SIGTERM, and SIGKILL to the group after the limit. A replica's group gets the first one too."""
        due = min(self._kill_at.get(pid, KILLED), now + limit_s)
        if limit_s == 0:
            self._kill_at[pid] = KILLED
            return [Send(pid, signal.SIGKILL, True)]
        self._kill_at[pid] = due
        return [Send(pid, signal.SIGTERM, self.children[pid].role == "replica")]


def backoff_s(quick_deaths: int) -> float:
    """0 for the first, then 0.1 s doubling to 5 s.

    >>> [backoff_s(n) for n in (0, 1, 2, 3, 4, 9)]
    [0.0, 0.0, 0.1, 0.2, 0.4, 5.0]
    """
    if quick_deaths < 2:
        return 0.0
    return min(BACKOFF_LAST_S, BACKOFF_FIRST_S * 2.0 ** min(quick_deaths - 2, 16))
