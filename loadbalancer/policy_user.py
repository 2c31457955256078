"""A policy of the user's own, on an import path: any class with a `choose` as in policy_view.Policy.

It proposes; what may not be is vetoed: an answer that is not eligible, was tried already, or never came (an exception)
is replaced by the ring's choice, so that a mistake in it costs affinity and no request. The first one is reported.
"""

from collections.abc import Callable, Collection
from importlib import import_module
from typing import Any

from loadbalancer.policy_ring import RingPolicy
from loadbalancer.policy_view import NOBODY, Policy, View

Report = Callable[[str], None]


def load(name: str) -> Policy:
    """An object of `module:Class`, made without arguments. ValueError, in one line, if there is none or no `choose`."""
    module_name, _, class_name = name.partition(":")
    try:
        made: Any = getattr(import_module(module_name), class_name)()
    except Exception as error:  # an import runs the user's code, which may raise anything
        raise ValueError(f"policy {name!r}: {type(error).__name__}: {_one_line(error)}") from error
    if not callable(getattr(made, "choose", None)):
        raise ValueError(f"policy {name!r} has no method choose(key, view, tried)")
    return made


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


class UserPolicy:
    """The user's policy, held to the contract."""

    def __init__(self, own: Policy, report: Report) -> None:
        self._own = own
        self._report: Report | None = report
        self._instead = RingPolicy()

    def choose(self, key: int, view: View, tried: Collection[int] = NOBODY) -> int | None:
        try:
            chosen: object = self._own.choose(key, view, tried)
        except Exception as error:  # the user's code may raise anything
            return self._veto(f"raised {type(error).__name__}: {_one_line(error)}", key, view, tried)
        if chosen is None and view.eligible.issubset(tried):
            return None
        if isinstance(chosen, int) and chosen in view.eligible and chosen not in tried:
            return chosen
        return self._veto(f"chose {chosen!r} of {sorted(view.eligible.difference(tried))}", key, view, tried)

    def _veto(self, fault: str, key: int, view: View, tried: Collection[int]) -> int | None:
        if self._report is not None:
            self._report(fault)
            self._report = None  # once: it would be every request's message
        return self._instead.choose(key, view, tried)
