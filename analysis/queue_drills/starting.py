"""How long a server takes from its process's start to its first answer, the process being started by the system."""

import os
import time
from pathlib import Path
from typing import Final

from analysis.queue_drills.engines import Engine, direct
from analysis.queue_drills.raw import speaks
from analysis.running import wait_until

TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")
BACK_S: Final = 120.0


def first_answer_s(engine: Engine) -> float:
    """kill -9 of the only server, and its replacement's first answer on the same address. Raises TimeoutError."""
    address = direct(engine)
    (old,) = engine.servers()
    engine.kill(0.0)
    wait_until(
        lambda: engine.servers() not in ([], [old]) and speaks(address), BACK_S, "the replacement's first answer"
    )
    answered = time.clock_gettime(time.CLOCK_BOOTTIME)
    return answered - started_s(engine.servers()[0])


def started_s(pid: int) -> float:
    """When this process was started, on CLOCK_BOOTTIME, to 10 ms (proc(5): starttime). Raises OSError."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[19]) * TICK_S


def settle(engine: Engine) -> None:
    """Until all servers answer, as after a start. Raises TimeoutError."""
    wait_until(engine.whole, BACK_S, "all servers answer")
    time.sleep(1.0)  # what a start leaves to do is none of the next figure's business
