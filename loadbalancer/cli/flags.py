"""Flags and the README's table, both drawn from the one definition of the settings."""

import inspect
from collections.abc import Callable
from typing import Annotated

import typer
from pydantic.fields import FieldInfo

from loadbalancer.settings import Settings

BARE = ("ring_hash", "ring_probe", "home_format", "queue_bootstrap")  # these variables work without CAROUSEL_ too


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def default_text(field: FieldInfo) -> str:
    """The default as one would type it; "" where there is none."""
    if field.default is None or field.default == ():
        return ""
    return str(field.default)


def with_setting_flags(command: Callable[[dict[str, str]], None]) -> Callable[..., None]:
    """A typer command that has one flag for each setting and gives `command` those that were used."""

    def run(**flags: str | bool | None) -> None:
        command({name: str(value) for name, value in flags.items() if value is not None})

    parameters = [_parameter(name, field) for name, field in Settings.model_fields.items()]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    run.__doc__ = command.__doc__
    return run


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    text = (field.description or "").replace("[", r"\[")
    default = default_text(field)
    text = f"{text} (default: {default})" if default else text
    if field.annotation is bool:
        kind, option = bool, typer.Option(f"{flag(name)}/--no-{flag(name)[2:]}", help=text, show_default=False)
    else:
        kind, option = str, typer.Option(flag(name), help=text, show_default=False, metavar="VALUE")
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def settings_markdown() -> str:
    """The README's table of settings."""
    lines = ["| flag | variable | default | what it does |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        variable = f"`CAROUSEL_{name.upper()}`" + (f", `{name.upper()}`" if name in BARE else "")
        default = f"`{text}`" if (text := default_text(field)) else ""
        description = (field.description or "").replace("|", r"\|")
        lines.append(f"| `{flag(name)}` | {variable} | {default} | {description} |")
    return "\n".join(lines) + "\n"
