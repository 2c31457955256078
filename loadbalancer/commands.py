"""What a changing command may ask for: its faults named, before anything is touched.

The order of the checks is part of the interface: the two texts about the length of the hostname list come
before any other fault of the same body, as clients in the field test for them. What depends on the fleet as
it then is (a name in use, more to remove than there are) is checked when the command's turn comes, not when
it is sent.
"""

from dataclasses import dataclass

from loadbalancer import names
from loadbalancer.ring import MAX_WEIGHT

TOO_MANY_TO_ADD = "<Error> Length of hostname list is more than newly added instances"
TOO_MANY_TO_REMOVE = "<Error> Length of hostname list is more than removable instances"


class BadCommand(Exception):
    """The caller's fault: answer 400 with `message` (it begins with "<Error> "); nothing was changed."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class Change:
    """What /add or /rm asks for, of the right types (requests.py) but not yet checked further."""

    n: int
    hostnames: tuple[str, ...] = ()


def bad(fault: str) -> BadCommand:
    return BadCommand(f"<Error> {fault}")


def check_weight(weight: int) -> None:
    if not 1 <= weight <= MAX_WEIGHT:
        raise bad(f"weight must be from 1 to {MAX_WEIGHT}")


def check_length(n: int, listed: int, *, removing: bool) -> None:
    """First of all checks, whatever else is wrong (see the module's text)."""
    if listed > max(n, 0):
        raise BadCommand(TOO_MANY_TO_REMOVE if removing else TOO_MANY_TO_ADD)


def check_change(change: Change, *, removing: bool, backends: bool) -> None:
    """All that can be said without knowing the fleet; `backends`: names are HOST:PORT. Raises BadCommand."""
    check_length(change.n, len(change.hostnames), removing=removing)
    if change.n < 1:
        raise bad("n must be at least 1")
    for name in change.hostnames:
        if fault := names.fault_of(name, backend=backends):
            raise bad(fault)
    if (twice := names.repeated(change.hostnames)) is not None:
        raise bad(f"{names.shown(twice)} is repeated")
    if backends and not removing and len(change.hostnames) < change.n:
        raise bad("static backends can't be made up: hostnames must name all n of them, as HOST:PORT")
