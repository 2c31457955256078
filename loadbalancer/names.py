"""Names of replicas: what one may look like, when two are the same, and the next one to generate.

A name is host name, container name and network alias at once, so it is unique whatever the case (DNS knows
none). A static backend's name is its address.
"""

import re
from collections.abc import Container

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
BACKEND = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?):(?P<port>[1-9]\d{0,4})"
)
GENERATED = "server"
MAX_SHOWN = 80
"""A refused name is quoted up to here: an error message is no place for a megabyte."""


def fold(name: str) -> str:
    """The name's identity: equal for two names that only case tells apart."""
    return name.casefold()


def parse_backend(name: str) -> tuple[str, int]:
    """Host (an IPv6 one without its brackets) and port of a static backend's name; ValueError says what is
    wrong."""
    match = BACKEND.fullmatch(name)
    if match is None or int(match["port"]) > 65535:
        raise ValueError(f"{shown(name)} is not of the form HOST:PORT")
    return match["host"].strip("[]"), int(match["port"])


def fault_of(name: str, *, backend: bool) -> str | None:
    """Why this can't be a name, or None if it can."""
    if not backend:
        return None if NAME.fullmatch(name) else f"{shown(name)} is not of the form {NAME.pattern}"
    try:
        parse_backend(name)
    except ValueError as fault:
        return str(fault)
    return None


def repeated(names: tuple[str, ...]) -> str | None:
    """The first name that came before, whatever its case."""
    seen: set[str] = set()
    for name in names:
        if fold(name) in seen:
            return name
        seen.add(fold(name))
    return None


def generate(number: int, taken: Container[str], prefix: str = GENERATED) -> tuple[str, int]:
    """The first of server<number>, server<number+1>, … that isn't among the folded names `taken`; and the
    number after it.

    Numbers only go up, so the newcomer is never called like the dead one whose place it takes.
    """
    while fold(f"{prefix}{number}") in taken:
        number += 1
    return f"{prefix}{number}", number + 1


def shown(name: str) -> str:
    """The name in quotes for a message, cut when it is absurdly long."""
    return f"'{name}'" if len(name) <= MAX_SHOWN else f"'{name[:MAX_SHOWN]}…'"
