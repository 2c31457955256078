"""Structured logs for every process of ours: one JSON object a line, or the same for people on a terminal.

`get_logger(process)` gives a logger that has the process's name on each line; `bind(request_id=…)` adds more.
A line that can't be written (a closed terminal, a full disk) is dropped: a log must never stop the work.
"""

import contextlib
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from loadbalancer.log_lines import console_line

FORMATS = ("auto", "json", "console")


class _Unbreakable:
    """A text stream whose write errors are swallowed: EIO of a closed terminal must not end the supervisor."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


class _ConsoleLines:
    """structlog's last processor for people: the line of `console_line`."""

    def __init__(self, colour: bool) -> None:
        self._colour = colour

    def __call__(self, _logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
        clock, level, process = (str(event.pop(name, "")) for name in ("timestamp", "level", "process"))
        return console_line(clock, level, process, str(event.pop("event")), event, self._colour)


def configure(log_format: str = "auto", stream: TextIO | None = None) -> None:
    """Set the form of all lines of this process. `auto` is console on a terminal and json elsewhere."""
    target: Any = _Unbreakable(stream or sys.stderr)
    terminal = (stream or sys.stderr).isatty()
    console = log_format == "console" or (log_format == "auto" and terminal)
    renderer: Any = _ConsoleLines(colour=terminal) if console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if console else "iso", utc=not console),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(20),
        logger_factory=structlog.PrintLoggerFactory(file=target),
        cache_logger_on_first_use=True,
    )


def get_logger(process: str) -> Any:
    """A logger whose lines carry `process` (supervisor, control, door-0 …)."""
    return structlog.get_logger(process=process)
