"""Cores that don't sleep while round trips are timed.

One message after another leaves every core idle most of the time, and a core of a virtual machine that is idle is
halted: to be woken costs 20 to 50 µs, several times in each round trip, and more or less for each engine as its own
threads happen to keep a core awake. That would be what is measured. So a loop of the lowest priority runs on each core
meanwhile, for all engines alike; it gives way at once to anything else.
"""

import os
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

LOOP: Final = """
import os, sys
from pathlib import Path
parent = os.getppid()
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
group = Path("/proc/self/autogroup")
if group.exists():
    group.write_text("19")
print(flush=True)
while os.getppid() == parent:
    for _ in range(100_000): pass
"""
"""A session of its own has a group of its own in the scheduler (sched(7), autogroup), which must be as modest."""


@contextmanager
def awake() -> Generator[None]:
    """Keep all cores awake that this process may run on."""
    command = [sys.executable, "-I", "-S", "-c", LOOP]
    loops = [
        subprocess.Popen([*command, str(core)], stdout=subprocess.PIPE, start_new_session=True)
        for core in sorted(os.sched_getaffinity(0))
    ]
    try:
        for loop in loops:
            assert loop.stdout is not None
            loop.stdout.readline()
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.communicate()
