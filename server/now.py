"""A moment, as it is handed to everything that depends on time: no module here looks at a clock by itself."""

from typing import NamedTuple


class Now(NamedTuple):
    """One moment on two clocks: sessions and time-outs run on the steady one, retention on the wall's, which survives
    a restart. Both in ms."""

    steady_ms: int
    wall_ms: int
