"""Kafka's message schemas: the dataclasses of the kio package, each loaded when it is first needed.

This is the one door to kio. A module of one API and version takes 4 ms and little memory, all of them half a second;
clients use some twelve. kio also imports Hypothesis wherever that is installed, which is in every developer's virtual
environment, and costs 170 ms and 13 MB there: it is kept out unless it is there already.
"""

import importlib
import sys
from dataclasses import is_dataclass
from functools import cache
from types import ModuleType
from typing import Any, Literal

from wire.versions import APIS

Entity = Any
"""An instance of one of kio's dataclasses: which one, and so its fields, depends on API and version."""

Kind = Literal["request", "response"]


@cache
def module(api_key: int, version: int, kind: Kind) -> ModuleType:
    """kio's module with the dataclasses of one message; the message's own is `message_class`.

    API and version must be among `versions.APIS`. Raises KeyError, ModuleNotFoundError otherwise: ask before.
    """
    return load(f"kio.schema.{APIS[api_key].name}.v{version}.{kind}")


@cache
def message_class(api_key: int, version: int, kind: Kind) -> type[Entity]:
    """The dataclass of a whole request or response: the last one in kio's module, behind those that it consists of."""
    found = module(api_key, version, kind)
    return [value for value in vars(found).values() if is_dataclass(value) and _is_from(value, found)][-1]  # type: ignore[return-value]


def load(name: str) -> ModuleType:
    """Import a module of kio's without Hypothesis."""
    if name in sys.modules or "hypothesis" in sys.modules:
        return importlib.import_module(name)
    sys.modules["hypothesis"] = None  # type: ignore[assignment]  # importing it fails, which kio expects
    try:
        return importlib.import_module(name)
    finally:
        del sys.modules["hypothesis"]


def _is_from(value: object, found: ModuleType) -> bool:
    return getattr(value, "__module__", None) == found.__name__
