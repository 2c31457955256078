"""The supervisor's loop: waits for signals, orders and deadlines, and carries out what the core says.

One thread, one selector, no asyncio: fork is safe in it, PR_SET_PDEATHSIG belongs to a thread that never ends
early, and the process stays small. Nothing in here waits except the selector (and exec, some 2 ms a start).

A child counts as ended when its whole process group is gone: as soon as the leader is seen dead, and before
it is reaped (so its number can't be used again), the rest of the group gets SIGKILL. So whoever hears of an
exit may start a successor on the same data directory at once.
"""

import contextlib
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from loadbalancer import orders
from loadbalancer.orders import BadOrder, Order
from loadbalancer.spawn import forking, listeners, procfs
from loadbalancer.spawn.peers import Peer
from loadbalancer.spawn.plan import SupervisorPlan, say
from loadbalancer.supervisor import Announce, Effects, Haste, Note, Send, Settle, Start, Supervisor

PEERS_LIMIT = 16  # control, its predecessor that ends, and a few people with `carousel reload`
LINGER_S = 0.01  # how often the rest of a killed group is looked for; it takes the kernel less than a millisecond
PRIVATE = (
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "READY_FD",
    "NOTIFY_SOCKET",
)  # were meant for us, not for heirs

Watcher = Callable[[int], None]


class Shell:
    """Owns the children and the sockets' use; `run` returns when all of them have ended."""

    def __init__(
        self,
        plan: SupervisorPlan,
        slots: Sequence[Mapping[str, socket.socket]],
        control_socket: socket.socket,
        orders_socket: socket.socket,
        ready_line: Callable[[int], str],
    ) -> None:
        self._plan = plan
        self._next_plan = plan
        self._slots = slots
        self._control_socket = control_socket
        self._orders_socket = orders_socket
        self._ready_line: Callable[[int], str] | None = ready_line
        self._core = Supervisor(plan.workers, plan.drain_timeout_s)
        self._selector = selectors.DefaultSelector()
        self._peers: set[Peer] = set()
        self._lingering: dict[int, str] = {}  # reaped leaders whose group is not yet gone, and how they ended
        self._environ = {key: value for key, value in os.environ.items() if key not in PRIVATE}

    def run(self, signals: socket.socket) -> None:
        """`signals` delivers a byte for each signal (signal.set_wakeup_fd)."""
        self._orders_socket.setblocking(False)
        self._watch(signals, partial(self._on_signals, signals))
        self._watch(self._orders_socket, self._on_connection)
        self._carry_out(self._core.begin())
        while not self._core.finished:
            for key, events in self._selector.select(self._patience_s()):
                watcher: Watcher = key.data
                watcher(events)
            self._reap()
            self._carry_out(self._core.tick(time.monotonic()))
        for peer in list(self._peers):
            self._drop(peer)
        self._selector.close()

    def _watch(self, source: socket.socket | int, watcher: Watcher) -> None:
        self._selector.register(source, selectors.EVENT_READ, watcher)

    def _patience_s(self) -> float | None:
        if self._lingering:
            return LINGER_S
        due = self._core.deadline()
        return None if due is None else max(0.0, due - time.monotonic())

    # Effects

    def _carry_out(self, effects: Effects) -> None:
        """In order; what an effect brings about itself comes before the rest."""
        for effect in effects:
            match effect:
                case Start():
                    self._start(effect)
                case Send():
                    _signal(effect)
                case Announce():
                    self._announce(effect)
                case Settle(accepted):
                    self._settle(accepted)
                case Note():
                    getattr(self._plan.log, effect.level)(effect.event, **effect.fields)

    def _settle(self, accepted: bool) -> None:
        if accepted:
            self._plan = self._next_plan
            self._core.drain_timeout_s = self._plan.drain_timeout_s
            return
        with contextlib.suppress(OSError):  # then they stay as the newcomers read them
            self._plan.write_files()

    def _announce(self, effect: Announce) -> None:
        child = effect.child
        known = {"name": child.name, "pid": child.pid, "start_time": child.start_time}
        for peer in [peer for peer in self._peers if peer.hears]:
            self._send(peer, {"event": "exited", **known, "reason": effect.reason})

    def _start(self, effect: Start) -> None:
        if not self._core.wanted(effect):
            return
        plan = self._next_plan if effect.standby else self._plan
        post = self._core.posts[effect.post]
        try:
            if post.role == "control":
                argv, listen = plan.control_argv, [("control", self._control_socket.fileno())]
                pid = self._fork(plan, argv, listen, None)
            else:
                pid = self._fork_worker(plan, post.slot)
        except (forking.StartError, OSError) as error:
            self._carry_out(self._core.start_failed(effect, str(error), time.monotonic()))
        else:
            started_at = procfs.start_time(pid) or 0
            self._carry_out(self._core.started(effect, pid, started_at, time.monotonic()))

    def _fork(
        self,
        plan: SupervisorPlan,
        argv: Sequence[str],
        listen: Sequence[tuple[str, int]],
        ready_fd: int | None,
    ) -> int:
        env = {**self._environ, **plan.env, procfs.CLUSTER_VARIABLE: plan.cluster_id}
        return forking.start(forking.Program(argv, env, listen=listen, ready_fd=ready_fd))

    def _fork_worker(self, plan: SupervisorPlan, slot: int) -> int:
        read_end, write_end = os.pipe()
        try:
            listen = listeners.names_and_fds(self._slots[slot])
            pid = self._fork(plan, plan.worker_argv(slot), listen, write_end)
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        self._watch(read_end, partial(self._on_ready, read_end, pid))
        return pid

    # What happens

    def _on_ready(self, read_end: int, pid: int, _events: int) -> None:
        word = os.read(read_end, 64)
        if word.startswith(b"ready"):
            self._carry_out(self._core.ready(pid, time.monotonic()))
        self._selector.unregister(read_end)
        os.close(read_end)

    def _on_signals(self, signals: socket.socket, _events: int) -> None:
        for number in signals.recv(4096):
            if number == signal.SIGUSR2:
                self._reload()
            elif number == signal.SIGTERM:
                self._carry_out(self._core.stop(Haste.DRAIN, time.monotonic()))
            elif number == signal.SIGINT or (number == signal.SIGHUP and not self._core.stopping):
                self._carry_out(self._core.stop(Haste.SHORT, time.monotonic()))

    def _reload(self) -> str | None:
        """Why there is none; None if it is under way."""
        if self._core.stopping or self._core.reloading:
            return "the supervisor is ending" if self._core.stopping else "a reload is under way"
        if self._plan.refresh is None:
            return "there is nothing to reload from"
        try:
            plan = self._plan.heir(wish := self._plan.refresh())
            plan.write_files()
        except Exception as error:  # the settings' own errors are the caller's business; none may end us
            self._plan.log.error("reload refused", reason=str(error))
            return f"reload refused: {error}"
        if plan != wish:
            self._plan.log.warning("ports, workers and directories stay until the next start")
        self._next_plan = plan
        self._carry_out(self._core.reload(time.monotonic()))
        return None

    def _reap(self) -> None:
        while (pid := _dead_child()) is not None:
            known = pid in self._core.children  # else an orphan that came to us: only to be reaped
            if known:
                _signal(Send(pid, signal.SIGKILL, True))
            status = os.waitpid(pid, 0)[1]
            if known:
                self._lingering[pid] = _reason(status)
        for pid in [pid for pid in self._lingering if not _group_exists(pid)]:
            self._carry_out(self._core.exited(pid, self._lingering.pop(pid), time.monotonic()))

    # Orders

    def _on_connection(self, _events: int) -> None:
        try:
            peer = Peer(self._orders_socket.accept()[0])
        except OSError:  # it went away already, or there is no descriptor left
            return
        if len(self._peers) >= PEERS_LIMIT or not peer.trusted():
            peer.close()
            return
        self._peers.add(peer)
        self._watch(peer.sock, partial(self._on_peer, peer))

    def _on_peer(self, peer: Peer, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                peer.flush()
            lines = peer.receive() if events & selectors.EVENT_READ else []
        except OSError:
            self._drop(peer)
            return
        for line in lines:
            self._send(peer, self._answer(peer, line))
        self._interest(peer)

    def _send(self, peer: Peer, message: Mapping[str, object]) -> None:
        if peer not in self._peers:
            return
        try:
            peer.send(message)
        except OSError:
            self._drop(peer)
        self._interest(peer)

    def _interest(self, peer: Peer) -> None:
        if peer in self._peers:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.has_unsent else 0)
            self._selector.modify(peer.sock, events, partial(self._on_peer, peer))

    def _drop(self, peer: Peer) -> None:
        if peer in self._peers:
            self._peers.remove(peer)
            self._selector.unregister(peer.sock)
            peer.close()

    def _answer(self, peer: Peer, line: bytes) -> dict[str, object]:
        try:
            request_id, order = orders.parse(line)
        except BadOrder as error:
            return {"id": error.id, "ok": False, "error": str(error)}
        generation = getattr(order, "generation", None)
        refused = None if generation is None else self._core.refusal(generation)
        answer = refused or self._obey(peer, order)
        if isinstance(answer, str):
            return {"id": request_id, "ok": False, "error": answer}
        return {"id": request_id, "ok": True, **answer}

    def _obey(self, peer: Peer, order: Order) -> dict[str, object] | str:
        """Fields of the answer, or the reason for a refusal."""
        match order:
            case orders.Hello(generation):
                peer.hears = True
                self._core.greet(generation)
                return self._listing()
            case orders.ListChildren():
                return self._listing()
            case orders.SpawnReplica():
                return self._core.refuse_spawn(order) or self._spawn(order)
            case orders.SignalReplica():
                effect = self._core.signal(order)
                return effect if isinstance(effect, str) else _signal(effect)
            case orders.Ready():
                return self._on_fleet_ready(order.replicas)
            case orders.Reload():
                return self._reload() or {}
            case orders.Shutdown():
                self._carry_out(self._core.stop(Haste.DRAIN, time.monotonic()))
                return {}

    def _listing(self) -> dict[str, object]:
        children = [child.to_json() for child in self._core.children.values()]
        return {"starts": self._core.controls, "children": children}

    def _on_fleet_ready(self, replicas: int) -> dict[str, object]:
        if self._ready_line is not None:
            say(self._ready_line(replicas))
            self._ready_line = None
        return {}

    def _spawn(self, order: orders.SpawnReplica) -> dict[str, object] | str:
        env = {key: value for key, value in self._environ.items() if not key.startswith("CAROUSEL_")}
        env |= {**order.env, procfs.CLUSTER_VARIABLE: self._plan.cluster_id}
        try:
            with contextlib.ExitStack() as stack:
                sock = stack.enter_context(listeners.bind_loopback()) if order.listen else None
                listen = [] if sock is None else [("http", sock.fileno())]
                pid = forking.start(forking.Program(order.argv, env, order.cwd, order.log_path, listen))
                bound = {} if sock is None else {"host": listeners.LOOPBACK, "port": sock.getsockname()[1]}
        except (forking.StartError, OSError) as error:
            return str(error)
        child = self._core.spawned(order, pid, procfs.start_time(pid) or 0, bound)
        self._plan.log.info("started", child=child.name, pid=pid)
        return child.to_json()


def _signal(effect: Send) -> dict[str, object]:
    """To a child that is not reaped, so its number is its own. If all of the group is gone, so be it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        (os.killpg if effect.group else os.kill)(effect.pid, effect.signal)
    return {}


def _dead_child() -> int | None:
    """A child that ended, left unreaped."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return None if found is None else found.si_pid


def _group_exists(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _reason(status: int) -> str:
    """For people: "exit 1", "SIGKILL"."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
