"""Control: the thread in gunicorn's worker that runs the controller's loop, and what Flask sees of it.

Order of a start: the lock (one control at a time), generation + 1 committed, the runtime opened, the fleet found and
adopted, and only then a snapshot pushed. Until that is done Flask answers 503 to everything.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import uvloop

from loadbalancer import metrics
from loadbalancer import requests as r
from loadbalancer.aio.assembly import Assembly, assemble
from loadbalancer.logs import configure, get_logger
from loadbalancer.queue_calls import QueueCall
from loadbalancer.rest.port import Busy
from loadbalancer.settings import Paths, Settings

T = TypeVar("T")

LOCK_POLL_S = 0.02
BEAT_S = 0.5
WEDGED_AFTER_S = 10.0  # a loop that has not come round for so long does not come round
LOOP_ANSWER_S = 5.0  # a question of Flask's to the loop; one that is this late is as good as dead

log = get_logger("control")


class Control:
    """The ControlPort (rest/port.py) of the real system; its methods are called by Flask's threads."""

    def __init__(self, settings: Settings, replicas_asked: bool) -> None:
        self._settings = settings
        self._replicas_asked = replicas_asked
        self._loop = uvloop.new_event_loop()
        self._main: asyncio.Task[None] | None = None
        self._assembly: Assembly | None = None
        self._thread = threading.Thread(target=self._run, name="controller", daemon=True)
        self._beat_at = monotonic()
        self._wedged = False

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the loop's work and wait for it; replicas live on. Safe to call again."""
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._cancel)
        self._thread.join()

    def _cancel(self) -> None:
        if self._main is not None:
            self._main.cancel()

    def wedged(self, now: float) -> bool:
        """Whether the loop's thread hangs somewhere: nothing in it may, so nothing else would end it."""
        told, self._wedged = self._wedged, self._thread.is_alive() and now - self._beat_at > WEDGED_AFTER_S
        if self._wedged and not told:
            log.error("the controller's loop hangs", limit_s=WEDGED_AFTER_S)
        return self._wedged

    def _beat(self) -> None:
        self._beat_at = monotonic()
        self._loop.call_later(BEAT_S, self._beat)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._beat()
            self._main = self._loop.create_task(self._live())
            with contextlib.suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._main)
        except Exception:
            log.exception("control failed")
            os.kill(os.getpid(), signal.SIGKILL)  # half a control is worse than none: gunicorn starts the next
        finally:
            self._loop.close()

    async def _live(self) -> None:
        async with (
            one_control_at_a_time(Paths(self._settings.state_dir).control_lock),
            assemble(self._settings, self._replicas_asked) as (assembly, stack),
        ):
            self._assembly = assembly
            try:
                await assembly.run(stack)
            finally:
                self._assembly = None

    def _ask(self, question: Callable[[Assembly], T]) -> T:
        """Ask in the loop. Raises Busy when there is no answer in time (or no controller yet); then nothing has been
        done, and nothing will be.
        """
        future: Future[T] = Future()
        try:
            self._loop.call_soon_threadsafe(self._answer, question, future)
            return future.result(LOOP_ANSWER_S)
        except (TimeoutError, RuntimeError) as error:
            if isinstance(error, TimeoutError) and not future.cancel():
                return future.result()  # it has been asked in this very moment
            raise Busy("control is starting or overloaded") from error

    def _answer(self, question: Callable[[Assembly], T], future: "Future[T]") -> None:
        """In the loop. A question that was given up is not asked."""
        if not future.set_running_or_notify_cancel():
            return
        try:
            if self._assembly is None:
                raise Busy("control is starting")
            future.set_result(question(self._assembly))
        except Exception as error:  # the asker's business
            future.set_exception(error)

    def ready(self) -> bool:
        assembly = self._assembly
        return assembly is not None and assembly.adopted

    def cluster(self) -> dict[str, Any]:
        return self._ask(Assembly.cluster)

    def replicas(self) -> dict[str, Any]:
        return self._ask(Assembly.replicas)

    def events(self, since: int, limit: int) -> list[dict[str, Any]]:
        return self._ask(lambda assembly: assembly.events(since, limit))

    def submit(self, command: r.Command, request_id: str) -> str:
        return self._ask(lambda assembly: assembly.submit(command))

    def submit_queue(self, call: QueueCall, request_id: str) -> str:
        return self._ask(lambda assembly: assembly.submit_queue(call))

    def open_streams(self) -> int:
        return self._ask(lambda assembly: assembly.tickets.streams)

    def metrics(self) -> bytes:
        return metrics.render(self._ask(Assembly.metrics))


@contextlib.asynccontextmanager
async def one_control_at_a_time(path: Path) -> AsyncGenerator[None]:
    """Hold the lock; a predecessor that is not quite dead holds it some milliseconds longer."""
    with path.open("a") as file:
        waited = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waited:
                    log.info("waits for the control before it to end")
                waited = True
                await asyncio.sleep(LOCK_POLL_S)
        yield


_running: list[Control] = []


def start(settings_path: str) -> Control:
    """Start control in this process (gunicorn's worker, after the fork). Raises OSError or ValueError."""
    kept = json.loads(Path(settings_path).read_text())
    settings = Settings(**{name: value for name, value in kept.items() if name in Settings.model_fields})
    configure(settings.log_format)
    control = Control(settings, kept["replicas_asked"])
    _running.append(control)
    control.start()
    return control


def wedged() -> bool:
    """Whether the controller's loop hangs; the worker then has no pulse any more, and is killed."""
    return any(control.wedged(monotonic()) for control in _running)


def stop() -> None:
    """End it; called when the worker exits."""
    while _running:
        _running.pop().stop()
