"""A command group that lists when it is not told what to do: `carousel topics` is `carousel topics list`."""

from typing import Any, Final

from typer.core import TyperGroup

DEFAULT: Final = "list"


class WithList(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_default(args))


def with_default(args: list[str]) -> list[str]:
    """A word that is no option is a command, or a mistake that shall be told."""
    return args if args and (not args[0].startswith("-") or args[0] == "--help") else [DEFAULT, *args]
