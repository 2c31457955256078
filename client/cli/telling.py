"""What a group has yet to be told: commits that come through, and those that don't.

A commit fails by nobody's fault when the group has moved on: our heartbeat was late and our place was given away, or
a rebalance is under way. The consumer joins again by itself, begins where the group was told last, and hands out once
more what came after. So the failure is no end: it is owed, until what is handed out again has reached where we were.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from client.cli.formats import Seen
from client.cli.positions import Place
from client.errors import CarouselError

MOVED_ON: Final = frozenset(("UNKNOWN_MEMBER_ID", "ILLEGAL_GENERATION", "REBALANCE_IN_PROGRESS", "_ASSIGNMENT_LOST"))


@dataclass(slots=True)
class Telling:
    """`commit` tells the group of everything handed out, and raises CarouselError."""

    commit: Callable[[], None]
    _handed: dict[Place, int] = field(default_factory=dict[Place, int])
    _owed: dict[Place, int] = field(default_factory=dict[Place, int])

    def hand(self, messages: Iterable[Seen]) -> None:
        """These are handed out, and written."""
        for one in messages:
            place = one.topic, one.partition
            self._handed[place] = one.offset + 1
            self._owed[place] = max(self._owed.get(place, 0), one.offset + 1)

    def tell(self) -> bool:
        """Whether the group knows. Raises what waiting doesn't mend."""
        try:
            self.commit()
        except CarouselError as error:
            if error.code in MOVED_ON:
                self._handed = {}
            elif not error.retry:
                raise
            return False
        self._owed = {place: offset for place, offset in self._owed.items() if self._handed.get(place, 0) < offset}
        return True

    def forget(self, place: Place) -> None:
        """Its log was made anew: what was handed out of the old one is owed no more."""
        self._handed.pop(place, None)
        self._owed.pop(place, None)

    def owes(self, places: Iterable[Place]) -> bool:
        """Whether there is one of these that the group doesn't know all of. Others are somebody else's now."""
        return not self._owed.keys().isdisjoint(places)
