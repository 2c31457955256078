"""Which cores a process may use, and for how long."""

import contextlib
import os
from collections.abc import Generator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cores:
    """`load`: wrk's and the backends'; `front`: that of the front under test."""

    load: int
    front: int


def cores() -> Cores:
    """The first two that this process may use. Raises ValueError if there is only one."""
    load, front, *_ = sorted(os.sched_getaffinity(0))
    return Cores(load, front)


@contextlib.contextmanager
def pinned(to: set[int]) -> Generator[None]:
    """What is started within runs on these cores, with all its children; so does the caller meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, to)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
