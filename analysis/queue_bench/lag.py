"""How late control's loop is while something else is loaded: its own figure, as /metrics has it, the worst one seen."""

import contextlib
import http.client
import re
import threading
from types import TracebackType
from typing import Final

from analysis.running import Running

LOOK_S: Final = 0.1
"""Control's loop beats twenty times a second; looking is a request to it, so not as often."""
LINE: Final = re.compile(r"^\w*control_loop_lag_seconds (\S+)$", re.MULTILINE)


class Lag:
    """A context manager; `worst_s` grows while it is entered. Without a system there is nothing to look at."""

    def __init__(self, system: Running | None) -> None:
        self._system = system
        self._ended = threading.Event()
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self.worst_s = 0.0

    def __enter__(self) -> "Lag":
        if self._system is not None:
            self._watching.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._ended.set()
        if self._system is not None:
            self._watching.join()

    def _watch(self) -> None:
        assert self._system is not None
        while not self._ended.wait(LOOK_S):
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.worst_s = max(self.worst_s, lag_s(self._system.call("GET", "/metrics")[1]))


def lag_s(metrics: str) -> float:
    """From the text of /metrics; 0 where it is not told."""
    match = LINE.search(metrics)
    return float(match[1]) if match else 0.0
