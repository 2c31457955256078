"""Commands of other packages, attached to `carousel` by the entry points of the group `carousel.commands`.

The load balancer must not import the client, and `carousel up` must not pay for it: the group is looked at when a
command is not one of our own, and when help lists them all. Each entry point is a typer app.
"""

import contextlib
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

import typer
from typer.core import TyperGroup

GROUP: Final = "carousel.commands"


class Commands(TyperGroup):
    """Our own commands, then the attached ones."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        point = next(iter(entry_points(group=GROUP, name=cmd_name)), None)
        try:
            return point and command_of(point)
        except ImportError as error:
            ctx.fail(f"carousel {cmd_name} needs {error.name}, which is not installed here")

    def list_commands(self, ctx: Any) -> list[str]:
        """Those whose package is there: in the image of the front door it may not be."""
        own = super().list_commands(ctx)
        return [
            *own,
            *(point.name for point in entry_points(group=GROUP) if point.name not in own and _is_there(point)),
        ]


def command_of(point: EntryPoint) -> Any:
    """The command behind an entry point, called by the entry point's name. Raises ImportError."""
    command: Any = typer.main.get_command(point.load())
    command.name = point.name
    return command


def _is_there(point: EntryPoint) -> bool:
    with contextlib.suppress(ImportError):
        point.load()
        return True
    return False
