"""Which names a topic may have: Kafka's rules (org.apache.kafka.common.internals.Topic). Pure; asked by servers, before
they forward, and by control, which decides."""

import re
from collections.abc import Iterable
from typing import Final

MAX_LENGTH: Final = 249
"""A partition's directory is `<topic>-<partition>`, and file systems end at 255."""

OFFSETS_TOPIC: Final = "__consumer_offsets"
TRANSACTIONS_TOPIC: Final = "__transaction_state"
INTERNAL_TOPICS: Final = frozenset((OFFSETS_TOPIC, TRANSACTIONS_TOPIC))

_LEGAL: Final = re.compile(r"[a-zA-Z0-9._-]+")


def why_not_a_name(name: str) -> str | None:
    """Why a topic can't be called so, in one sentence; None: it can."""
    if not name:
        return "Topic name is invalid: the empty string is not allowed"
    if name in (".", ".."):
        return f"Topic name is invalid: '{name}' is not allowed"
    if len(name) > MAX_LENGTH:
        return f"Topic name is invalid: the length of '{name[:20]}…' is longer than the max allowed length {MAX_LENGTH}"
    if _LEGAL.fullmatch(name) is None:
        return (
            f"Topic name is invalid: '{name}' contains one or more characters other than letters, digits, '.', '_', '-'"
        )
    return None


def colliding(name: str, names: Iterable[str]) -> str | None:
    """The first of `names` that differs from `name` in '.' and '_' only: metric names make no difference between
    these, so Kafka refuses the second one."""
    plain = _plain(name)
    return next((other for other in names if _plain(other) == plain and other != name), None)


def _plain(name: str) -> str:
    return name.replace(".", "_")
