"""The compose system (analysis/composed.py) for tests: skipped where there is no engine, image or Compose."""

import time
from collections.abc import Callable

from analysis.composed import FRONT_IMAGE, PATIENCE_S, Composed, commands
from support.docker_ground import engine_or_skip, without


def compose(command: list[str], **settings: str) -> Composed:
    """SkipTest, or what REQUIRE asks for, without an engine that has the image."""
    return Composed(engine_or_skip(FRONT_IMAGE), command, **settings)


def some_commands() -> list[list[str]]:
    """Every Compose on this machine. None: SkipTest, or what REQUIRE asks for."""
    return commands() or without("no docker compose")


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
