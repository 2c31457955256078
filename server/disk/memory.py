"""The disk of `server.storage` in memory, which can lose what a power cut may lose (cluster-rules R8).

`kill -9` doesn't test a log, because the page cache survives it. At this disk's `kill`, the parts that were not synced
are each kept or lost on their own, as a page cache is written back in any order:
- of a file, any pages; its size may be any since the sync; a page that never arrived is zeros, or what it was before;
- of a directory, any changes of names; a rename is kept or lost as a whole, as all journalling file systems have it.

A `hook` sees each operation before it happens: it may raise (a full disk, the kill itself) or, for a sync, answer True,
and then the sync is a lie. Meant for tests and for a server that keeps nothing.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from server.storage import StorageError
from wire.primitives import Data

PAGE_SIZE = 64
"""Bytes that are kept or lost together. Small, so that small tests have many; a real disk promises 512 at most."""

Hook = Callable[[str, str], bool]
"""(operation, name) -> whether a sync only pretends."""

Choose = Callable[[int], int]
"""How many there are -> which one, counted from 0."""

T = TypeVar("T")


def honest(operation: str, name: str) -> bool:
    """The hook that does nothing."""
    return False


class Inode:
    """A file's bytes: as a reader sees them, and as they were at the last sync."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.synced = b""
        self.lowest = 0
        """The smallest size since the sync: what lies below can't be lost."""

    def sync(self) -> None:
        self.synced = bytes(self.data)
        self.lowest = len(self.data)

    def kill(self, choose: Choose) -> None:
        new, old = bytes(self.data), self.synced
        size = self.lowest + choose(max(len(new), len(old)) - self.lowest + 1)
        left = bytearray(new[: self.lowest])
        while len(left) < size:
            end = min(size, (len(left) // PAGE_SIZE + 1) * PAGE_SIZE)
            source = (new, old, b"")[choose(3)]
            left += source[len(left) : end].ljust(end - len(left), b"\0")
        self.data = left
        self.sync()


class Names(Generic[T]):
    """A directory's names, and what happened to them since the last sync: each may be lost, renames as a whole."""

    def __init__(self) -> None:
        self.now: dict[str, T] = {}
        self._synced: dict[str, T] = {}
        self._changes: list[tuple[str, T | None, str | None]] = []

    def put(self, name: str, value: T | None, old: str | None = None) -> None:
        """`name` stands for `value` from now on, for nothing if it is None, and `old` no longer does."""
        self._changes.append((name, value, old))
        _apply(self.now, name, value, old)

    def sync(self) -> None:
        self._synced = dict(self.now)
        self._changes.clear()

    def kill(self, choose: Choose) -> None:
        self.now = dict(self._synced)
        for change in self._changes:
            if choose(2):
                _apply(self.now, *change)
        self.sync()


def _apply(names: dict[str, T], name: str, value: T | None, old: str | None) -> None:
    if value is None:
        names.pop(name, None)
        return
    names[name] = value
    if old is not None and names.get(old) is value:
        del names[old]


class MemoryFile:
    """An open file. See `server.storage.File`."""

    def __init__(self, disk: "MemoryDisk", name: str, inode: Inode) -> None:
        self._disk = disk
        self._name = name
        self._inode = inode

    @property
    def size(self) -> int:
        return len(self._inode.data)

    def append(self, data: Data) -> None:
        self._disk.hook("append", self._name)
        self._inode.data += data

    def read(self, at: int, size: int) -> bytes:
        return bytes(self._inode.data[at : at + size])

    part = read

    def truncate(self, size: int) -> None:
        self._disk.hook("truncate", self._name)
        del self._inode.data[size:]
        self._inode.lowest = min(self._inode.lowest, size)

    def sync(self) -> None:
        if not self._disk.hook("sync", self._name):
            self._inode.sync()

    def close(self) -> None:
        pass


class MemoryDirectory:
    """One partition's directory. See `server.storage.Directory`."""

    def __init__(self, disk: "MemoryDisk", path: str) -> None:
        self._disk = disk
        self._path = path
        self.files: Names[Inode] = Names()

    def names(self) -> Sequence[str]:
        return sorted(self.files.now)

    def create(self, name: str) -> MemoryFile:
        self._disk.hook("create", name)
        inode = Inode()
        self.files.put(name, inode)
        return MemoryFile(self._disk, name, inode)

    def open(self, name: str) -> MemoryFile:
        if name not in self.files.now:
            raise StorageError(f"{name}: no such file")
        return MemoryFile(self._disk, name, self.files.now[name])

    def rename(self, old: str, new: str) -> None:
        self._disk.hook("rename", old)
        if old not in self.files.now:
            raise StorageError(f"{old}: no such file")
        self.files.put(new, self.files.now[old], old)

    def remove(self, name: str) -> None:
        self._disk.hook("remove", name)
        if name in self.files.now:
            self.files.put(name, None)

    def sync(self) -> None:
        if not self._disk.hook("sync", self._path):
            self.files.sync()

    def kill(self, choose: Choose) -> None:
        self.files.kill(choose)
        for inode in {id(inode): inode for inode in self.files.now.values()}.values():
            inode.kill(choose)


class MemoryDisk:
    """A data directory that is gone with the process. See `server.storage.Disk`."""

    def __init__(self, hook: Hook = honest) -> None:
        self.hook = hook
        self._directories: Names[MemoryDirectory] = Names()

    def names(self) -> Sequence[str]:
        return sorted(self._directories.now)

    def has(self, name: str) -> bool:
        return name in self._directories.now

    def make(self, name: str) -> MemoryDirectory:
        if name not in self._directories.now:
            self.hook("create", name)
            self._directories.put(name, MemoryDirectory(self, name))
        return self._directories.now[name]

    def rename(self, old: str, new: str) -> None:
        self.hook("rename", old)
        if old not in self._directories.now:
            raise StorageError(f"{old}: no such directory")
        self._directories.put(new, self._directories.now[old], old)

    def remove(self, name: str) -> None:
        self.hook("remove", name)
        self._directories.put(name, None)

    def sync(self) -> None:
        if not self.hook("sync", "."):
            self._directories.sync()

    def kill(self, choose: Choose) -> None:
        """The power is cut: `choose` decides about each part that was not synced. Files open before are of no use."""
        self.hook = honest
        self._directories.kill(choose)
        for directory in self._directories.now.values():
            directory.kill(choose)
