"""One line of the log for people on a terminal, the same for every process: who, what, whom, why, and the rest.

    09:01:54 control    starting   server6  replaces server1
    09:01:54 supervisor started    server6  pid=26685
    09:01:55 door-0     warning: replica ejected server6  refused  node_id=1

Programs get JSON instead. It imports nothing: the supervisor, which has no structlog, writes these lines too.
"""

from collections.abc import Mapping

PROCESS_WIDTH = 10  # len("supervisor")
EVENT_WIDTH = 10
COLOURS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
PLAIN = "\x1b[0m"


def console_line(clock: str, level: str, process: str, event: str, fields: Mapping[str, object], colour: bool) -> str:
    """`clock` is the time as it is to be shown. A field `exception` (a traceback) follows on lines of its own."""
    named = dict(fields)
    trace = named.pop("exception", None)
    whom = [str(named.pop(name)) for name in ("child", "replica") if name in named]
    why = [str(named.pop("reason"))] if "reason" in named else []
    rest = [f"{name}={value}" for name, value in named.items()]
    what = event if level in ("debug", "info") else f"{level}: {event}"
    words = "  ".join(word for word in [*whom, *why, *rest] if word)
    line = f"{clock} {process:<{PROCESS_WIDTH}} {what:<{EVENT_WIDTH}} {words}".rstrip()
    if colour and level in COLOURS:
        line = f"{COLOURS[level]}{line}{PLAIN}"
    return line if trace is None else f"{line}\n{trace}"
