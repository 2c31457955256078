"""How often a disk was asked to keep what it was given.

Two counts, as neither tells all: perf's of the system calls of some processes (needs perf and the right to trace; a
tracepoint costs those processes well below a microsecond a call, where strace would stop them twice), and the block
device's own of the flushes that reached it, from everybody (needs nothing, so it is only a figure on an idle machine).
"""

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

CALLS: Final = ("fsync", "fdatasync", "msync", "sync_file_range", "syncfs")
EVENTS: Final = ",".join(f"syscalls:sys_enter_{call}" for call in CALLS)
FLUSHES: Final = 15
"""The field of a device's stat: flush requests completed (Linux 5.5, Documentation/block/stat.rst)."""
END_S: Final = 10.0


class Syncs:
    """What was counted, once the block is left; None where it can't be."""

    calls: int | None = None
    flushes: int | None = None


@contextlib.contextmanager
def counted(pids: Sequence[int], directory: Path) -> Generator[Syncs]:
    """Of these processes and of the device that holds `directory`, while the block runs."""
    found = Syncs()
    before = flushes(directory)
    if not can_trace():
        yield found
    else:
        with _perf(pids) as said:
            yield found
        found.calls = calls(said.read_text()) if said.exists() else None
        said.unlink(missing_ok=True)
    after = flushes(directory)
    found.flushes = None if before is None or after is None else after - before


@cache
def can_trace() -> bool:
    """Whether perf is there and may count these events."""
    if (perf := shutil.which("perf")) is None:
        return False
    command = [perf, "stat", "-e", EVENTS, "--", "true"]
    return subprocess.run(command, capture_output=True, timeout=END_S, check=False).returncode == 0


@contextlib.contextmanager
def _perf(pids: Sequence[int]) -> Generator[Path]:
    """The file in which perf's counts are after the block; perf counts, for certain, from its first line on. It ends
    with the last of the processes that it counts: whoever measures a server must find out by itself that it died."""
    directory = Path(tempfile.mkdtemp(prefix="syncs-", dir="/tmp"))
    said, control, answered = directory.with_suffix(".csv"), directory / "control", directory / "answered"
    os.mkfifo(control)
    os.mkfifo(answered)
    command = [
        "perf", "stat", "-x", ",", "-e", EVENTS, "-p", ",".join(map(str, pids)), "-o", str(said), "-D", "-1",
        "--control", f"fifo:{control},{answered}",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    tell, hear = os.open(control, os.O_RDWR), os.open(answered, os.O_RDONLY | os.O_NONBLOCK)
    try:
        _tell(tell, hear, b"enable\n")
        yield said
        _tell(tell, hear, b"disable\n")
    finally:
        os.close(tell)
        os.close(hear)
        process.send_signal(signal.SIGINT)
        process.wait(END_S)
        shutil.rmtree(directory)


def _tell(tell: int, hear: int, word: bytes) -> None:
    """Until perf has answered, or has ended: these ways to open its pipes never wait, nor break without a reader."""
    os.write(tell, word)
    if select.select([hear], [], [], END_S)[0]:
        os.read(hear, 64)


def calls(text: str) -> int | None:
    """The sum of perf's counts, from its comma-separated lines (count, unit, event, …); None if one was not counted."""
    counts = [line.split(",")[0] for line in text.splitlines() if "syscalls:" in line]
    return sum(map(int, counts)) if counts and all(count.isdigit() for count in counts) else None


def flushes(directory: Path) -> int | None:
    """Of the device below `directory` since the machine began; None where there is none, as below an overlay."""
    number = directory.stat().st_dev
    device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve()
    with contextlib.suppress(OSError, IndexError):
        whole = device.parent if (device / "partition").exists() else device
        return int((whole / "stat").read_text().split()[FLUSHES])
    return None
