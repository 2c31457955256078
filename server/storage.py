"""What the log asks of a disk: files that grow at their end, and directories whose names are data too.

The problem: a write, a create, a rename and an unlink are each lost by a power cut unless they were synced, each on its
own and in any order; the bytes of a file by syncing the file, its name by syncing the directory. So both are in this
interface, and nothing else that a log needs. `disk/files.py` is the real one; `disk/memory.py` is held to the same
tests and can lose what was not synced.

Every method raises StorageError where the disk fails. `read` and the `sync`s may run on any thread beside all else.
"""

from collections.abc import Sequence
from contextlib import closing
from typing import Final, Protocol

from wire.errors import ErrorCode
from wire.pieces import Piece
from wire.primitives import Data

PARTIAL: Final = ".tmp"
"""What a file is called until it is whole and synced; one that is found at a start is nobody's."""


class StorageError(Exception):
    """The disk failed, is full, or holds what it can't hold. The broker's fault: the client may try another replica.

    `code` is the answer to it. `final` says that the log can't go on: no later call on it will succeed. `is_io`: a
    system call has failed, now; otherwise what is on the disk isn't what was written, which another life won't change.
    """

    code = ErrorCode.KAFKA_STORAGE_ERROR

    def __init__(self, reason: str, *, final: bool = False, is_io: bool = False) -> None:
        super().__init__(reason)
        self.final = final
        self.is_io = is_io


class File(Protocol):
    """An open file, written at its end only."""

    @property
    def size(self) -> int: ...

    def append(self, data: Data) -> None:
        """All of `data` behind the end by one write, or none of it and a StorageError."""
        ...

    def read(self, at: int, size: int) -> bytes:
        """The bytes from `at` on: `size` of them, or fewer where the file ends."""
        ...

    def part(self, at: int, size: int) -> Piece:
        """What `read` would give. It may be left in the file until it is sent."""
        ...

    def truncate(self, size: int) -> None: ...

    def sync(self) -> None:
        """When it returns, all that was appended or truncated before the call is on disk (not the file's name)."""
        ...

    def close(self) -> None: ...


class Directory(Protocol):
    """A directory of files. What is created, renamed or removed is sure only after `sync`."""

    def names(self) -> Sequence[str]: ...

    def create(self, name: str) -> File:
        """A new, empty file, in place of one that there may be."""
        ...

    def open(self, name: str) -> File: ...

    def rename(self, old: str, new: str) -> None:
        """In one step, in place of a file `new` that there may be."""
        ...

    def remove(self, name: str) -> None:
        """Nothing happens if there is none."""
        ...

    def sync(self) -> None: ...


class Disk(Protocol):
    """A data directory: one directory for each partition."""

    def names(self) -> Sequence[str]: ...

    def has(self, name: str) -> bool: ...

    def make(self, name: str) -> Directory:
        """The directory of that name, made if it is missing."""
        ...

    def rename(self, old: str, new: str) -> None: ...

    def remove(self, name: str) -> None:
        """With all that is in it."""
        ...

    def sync(self) -> None: ...


def write_whole(directory: Directory, name: str, content: Data) -> None:
    """`content` as file `name`: at any moment all of the old or all of the new. Sure after the directory's sync."""
    with closing(directory.create(name + PARTIAL)) as file:
        file.append(content)
        file.sync()
    directory.rename(name + PARTIAL, name)


def read_whole(directory: Directory, name: str) -> bytes:
    """The whole of a file that must be there."""
    with closing(directory.open(name)) as file:
        return file.read(0, file.size)
