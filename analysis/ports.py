"""Ports for programs that must be told theirs before they start."""

import contextlib
import random
import socket
from typing import Final

GIVEN: Final = range(20_000, 32_000)
"""Below those that the kernel gives to whoever asks for any: a connection that somebody opens between our look and the
program's start never gets one of these."""


def free_ports(count: int) -> list[int]:
    """Loopback ports on which nobody listens now, all different. Raises OSError where so many can't be found."""
    with contextlib.ExitStack() as stack:
        return [_taken(stack) for _ in range(count)]


def _taken(stack: contextlib.ExitStack) -> int:
    for port in random.sample(GIVEN, 100):
        try:
            stack.enter_context(socket.create_server(("127.0.0.1", port)))
        except OSError:
            continue
        return port
    raise OSError("a hundred ports are in use")


def free_range(count: int) -> int:
    """The first of so many ports in a row on which nobody listens now. Raises OSError if there are none."""
    for first in random.sample(range(GIVEN.start, GIVEN.stop, count), 100):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
    raise OSError(f"no {count} ports in a row are free")
