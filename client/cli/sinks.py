"""Where consumed messages are written: standard output, or a file that knows how far it is."""

import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from client.cli.kept import Kept, Unusable
from client.cli.positions import BadPosition, Place, Position, position_of
from client.cli.terms import say


class Sink(Protocol):
    def write(self, data: bytes) -> None:
        """Flushed to the system when it returns: no kill takes it back."""
        ...

    def keep(self, following: Mapping[Place, int]) -> None:
        """All before these offsets is written: survive on it."""
        ...

    def begin_anew(self, place: Place) -> None:
        """This partition's log was made anew, and its first messages come next. Raises BadPosition where an account
        of the old one is kept."""
        ...


class Stdout:
    """Keeps nothing; a group's offsets are all that one has."""

    def write(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def keep(self, following: Mapping[Place, int]) -> None:
        pass

    def begin_anew(self, place: Place) -> None:
        say(f"{place[0]}:{place[1]} was made anew; it is read from its beginning")


class File:
    """`path`, with `path.position` beside it (see `client.cli.positions`). Raises Unusable, BadPosition, OSError."""

    def __init__(self, path: Path) -> None:
        with ExitStack() as held:
            self._kept = held.enter_context(Kept(path.with_name(f"{path.name}.position")))
            found = self._kept.read()
            self._file = held.enter_context(path.open("ab", buffering=0))
            self.position = Position(0, {}) if found is None else position_of(found)
            self.goes_on = found is not None
            self._cut(path)
            self._held = held.pop_all()

    def _cut(self, path: Path) -> None:
        size = os.fstat(self._file.fileno()).st_size
        if not self.goes_on and size:
            raise Unusable(
                f"{path} is there and has no {self._kept.path.name} beside it; remove it, or name another file"
            )
        if size < self.position.size_bytes:
            raise Unusable(
                f"{path} was {self.position.size_bytes} bytes long and is {size} now; put it back, or remove both"
            )
        self._file.truncate(self.position.size_bytes)

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def keep(self, following: Mapping[Place, int]) -> None:
        os.fsync(self._file.fileno())
        self._kept.write(Position(self._file.tell(), dict(following)).dump())

    def begin_anew(self, place: Place) -> None:
        raise BadPosition(f"{place[0]}:{place[1]} was made anew, and the file holds the old one; name another file")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()
