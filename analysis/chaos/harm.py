"""Carries out a plan on a running system, and writes down what was done to whom, and when.

What holds: no more than AT_ONCE replicas are harmed at once, and always fewer than half. A request has three tries, so
somebody is left for the third; with more harmed at once, a request may meet harm three times and fail by the rules. A
harm whose moment comes too early waits. Nobody is signalled but processes that the supervisor lists as its own then.
"""

import contextlib
import http.client
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from analysis.chaos.facts import Harm
from analysis.chaos.plan import Fault
from analysis.running import Running, descendants
from loadbalancer.cli.remote import RemoteError, tell_supervisor

AT_ONCE = 2
Call = tuple[str, str, dict[str, object]]

REST_S = 0.5
"""After a harm that ends, until its replica counts as well again."""
GONE_S = 3600.0
"""One that is killed does not come back; its successor has another name."""
POLL_S = 0.03
ORDER_S = 2.0
"""How long a replica may take to take an order."""
CHANGE_S = 40.0
"""Longer than a drain takes at most."""
AWAY = (OSError, http.client.HTTPException, RemoteError, KeyError, TypeError, ValueError)
"""What calls meet while control is away, or a replica has just gone."""


class Harmer:
    """`harms` is what was done; `missed` says what could not be done, and why. `run` is for a thread of its own."""

    def __init__(self, system: Running, faults: Sequence[Fault], folder: Path, replicas: int) -> None:
        self.harms: list[Harm] = []
        self.missed: list[str] = []
        self._system = system
        self._faults = faults
        self._folder = folder
        self._replicas = replicas
        self._needed = replicas - min(AT_ONCE, (replicas - 1) // 2)
        self._unwell: dict[str, float] = {}
        self._timers: list[threading.Timer] = []

    def run(self, begin: float, end: float) -> None:
        """Harm until `end` (both monotonic); what is due later is left out. Returns when nobody is paused any more."""
        for fault in self._faults:
            time.sleep(max(0.0, begin + fault.at_s - time.monotonic()))
            if time.monotonic() < end:
                self._do(fault, end)
        for timer in self._timers:
            timer.join()

    def _do(self, fault: Fault, end: float) -> None:
        try:
            if fault.kind in self._ON_US:
                self._ON_US[fault.kind](self, fault)
            elif (target := self._wait_for_target(fault.pick, end)) is not None:
                self._ON_REPLICAS.get(fault.kind, Harmer._order)(self, fault, target)
        except AWAY as error:
            self.missed.append(f"{fault.kind}: {error!r}")

    # --- whom ------------------------------------------------------------------------------------------------

    def _wait_for_target(self, pick: float, end: float) -> str | None:
        """A replica that is well, as soon as enough of them are; None if that is not before `end`."""
        while time.monotonic() < end:
            well = self.well()
            if len(well) > self._needed:
                return well[int(pick * len(well))]
            time.sleep(POLL_S)
        return None

    def well(self) -> list[str]:
        """Replicas that serve and are not being harmed; nobody while control is away."""
        now = time.monotonic()
        try:
            replicas = self._system.cluster()["replicas"]
        except AWAY:
            return []
        healthy = (replica["name"] for replica in replicas if replica["state"] == "healthy")
        return sorted(name for name in healthy if self._unwell.get(name, 0.0) <= now)

    def _note(self, fault: Fault, target: str, at: float, lasts_s: float = 0.0, gone: bool = False) -> None:
        self.harms.append(Harm(fault.kind, target, at, at + lasts_s))
        self._unwell[target] = at + (GONE_S if gone else lasts_s + REST_S)

    def _pid(self, role: str, name: str | None = None, pick: float = 0.0) -> int:
        """A process of the system. Raises KeyError if there is none of that name now."""
        found = [child["pid"] for child in self._system.children(role) if name in (None, child["name"])]
        if not found:
            raise KeyError(f"no {role} {name or ''}")
        return found[int(pick * len(found))]

    # --- what, to replicas -----------------------------------------------------------------------------------

    def _kill(self, fault: Fault, target: str) -> None:
        pid = self._pid("replica", target)
        self._note(fault, target, time.monotonic(), gone=True)
        os.kill(pid, signal.SIGKILL)

    def _freeze(self, fault: Fault, target: str) -> None:
        pid = self._pid("replica", target)
        self._note(fault, target, time.monotonic(), gone=True)
        os.kill(pid, signal.SIGSTOP)

    def _pause(self, fault: Fault, target: str) -> None:
        pidfd = os.pidfd_open(self._pid("replica", target))  # so that SIGCONT can't meet another process
        self._note(fault, target, time.monotonic(), fault.lasts_s)
        timer = threading.Timer(fault.lasts_s, _go_on, (pidfd,))
        self._timers.append(timer)
        timer.start()
        signal.pidfd_send_signal(pidfd, signal.SIGSTOP)

    def _order(self, fault: Fault, target: str) -> None:
        """Tell the replica itself, at its own port."""
        port = next(self._folder.glob(f"{target}@*.log")).stem.rpartition("@")[2]
        self._note(fault, target, time.monotonic(), fault.lasts_s)
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=ORDER_S)
        try:
            connection.request("POST", f"/fault/{fault.kind}?lasts={fault.lasts_s:.3f}&strength={fault.strength:.3f}")
            connection.getresponse().read()
        finally:
            connection.close()

    def _replace(self, fault: Fault, target: str) -> None:
        """/rm of it and /add of another one."""
        self._note(fault, target, time.monotonic(), gone=True)
        self._change(lambda names: ("DELETE", "/rm", {"n": 1, "hostnames": [target]}) if target in names else None)
        self._change(lambda names: ("POST", "/add", {"n": 1}) if len(names) < self._replicas else None)

    def _change(self, wanted: Callable[[list[str]], Call | None]) -> None:
        """Make calls until none is wanted: control may be killed within one, and then who is there is what counts."""
        give_up = time.monotonic() + CHANGE_S
        while time.monotonic() < give_up:
            with contextlib.suppress(*AWAY):
                call = wanted(self._system.names())
                if call is None or self._system.call(*call)[0] == 200:
                    return
            time.sleep(POLL_S)
        self.missed.append(f"a change, within {CHANGE_S:.0f} s")

    # --- what, to ourselves ----------------------------------------------------------------------------------

    def _reload(self, fault: Fault) -> None:
        at = time.monotonic()
        tell_supervisor(self._system.state_dir, {"op": "reload"})
        self._note(fault, "all", at)

    def _kill_control(self, fault: Fault) -> None:
        arbiter = self._pid("control")
        doomed = [arbiter, *descendants(arbiter)]
        self._note(fault, "control", time.monotonic())
        for pid in doomed:
            with contextlib.suppress(ProcessLookupError):  # ended by the death of the one before
                os.kill(pid, signal.SIGKILL)

    def _kill_worker(self, fault: Fault) -> None:
        pid = self._pid("worker", pick=fault.pick)
        self._note(fault, "worker", time.monotonic())
        os.kill(pid, signal.SIGKILL)

    _ON_REPLICAS: ClassVar = {"kill": _kill, "freeze": _freeze, "pause": _pause, "replace": _replace}
    _ON_US: ClassVar = {"reload": _reload, "control": _kill_control, "worker": _kill_worker}


def _go_on(pidfd: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # the fleet has killed it meanwhile
        signal.pidfd_send_signal(pidfd, signal.SIGCONT)
    os.close(pidfd)
