"""Where the `carousel` command begins: the queue's commands start without the front door's settings.

Those make the flags of `carousel up`. To define and check them takes 0.13 s of CPU, a third of what a command costs;
whoever types `carousel topics` in a loop would pay for that each time. So an attached command
(`loadbalancer.cli.attached`) is run by a group that has nothing else in it; anything else is `loadbalancer.cli.main`'s,
mistyped words and help included.
"""

import sys
from importlib.metadata import entry_points
from typing import Final

import typer

from loadbalancer.cli.attached import GROUP, Commands

OWN: Final = frozenset(
    ("up", "status", "add", "rm", "recover", "ring", "events", "ps", "reload", "down", "settings")
)  # fmt: skip
"""The names of `loadbalancer.cli.main`, which no other package can take."""

attached = typer.Typer(cls=Commands, add_completion=False, pretty_exceptions_enable=False)


@attached.callback()
def _group() -> None: ...


def main() -> None:
    """The console script."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in OWN and entry_points(group=GROUP, name=name):
        attached()
        return
    from loadbalancer.cli import main as own

    own.main()
