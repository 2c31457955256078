"""What servers are told: the committed image, and the newest records, so that one that is up to date gets only what is
new. Pure."""

from collections.abc import Sequence
from typing import Final

from wire.cluster import Image, Record
from wire.cluster_link import Position, Update

KEPT_RECORDS: Final = 4096
"""Some 300 bytes each. A server that is further behind gets a snapshot, which is then hardly longer."""


class Tail:
    """Grows with each commit, never before it."""

    def __init__(self, image: Image, records: Sequence[Record] = ()) -> None:
        """`records`: the last of those that made `image`."""
        self.image = image
        self._records = list(records[-KEPT_RECORDS:])
        self._snapshot: tuple[int, list[Record]] | None = None

    @property
    def position(self) -> Position:
        return Position(self.image.generation, self.image.version)

    def extend(self, image: Image, records: Sequence[Record]) -> None:
        """`records` were committed and made `image`."""
        self.image = image
        self._records = [*self._records, *records][-KEPT_RECORDS:]

    def has_news(self, since: Position) -> bool:
        """Never for one who knows more than we do: what it has may be the only copy (R5)."""
        return since < self.position and since.version <= self.image.version

    def since(self, since: Position) -> Update:
        """What leads from there to here."""
        behind = self.image.version - since.version
        if since > self.position or behind == 0:
            return Update(self.position)
        if since.version > 0 and behind <= len(self._records):
            return Update(self.position, self._records[-behind:])
        return Update(self.position, snapshot=self._shown())

    def _shown(self) -> list[Record]:
        """All servers ask for the same one at the same time, after a start."""
        if self._snapshot is None or self._snapshot[0] != self.image.version:
            self._snapshot = (self.image.version, self.image.records())
        return self._snapshot[1]
