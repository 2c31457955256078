"""The disk of `server.storage` on a real file system, by pread, pwrite and fdatasync.

A file's end is kept here and not asked for: `pwrite` at a known place can't be led astray by a write that failed
halfway, and costs one call. After a failed sync the kernel may have dropped the dirty pages and called them clean
(the "fsyncgate" of PostgreSQL, 2018), so a file whose sync failed refuses everything from then on.
"""

import os
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from server.storage import StorageError
from wire.primitives import Data

OPEN_FLAGS = os.O_RDWR | os.O_CLOEXEC
FILE_MODE = 0o600


class DiskFile:
    """An open file. See `server.storage.File`."""

    __slots__ = ("_broken", "_fd", "_name", "size")

    def __init__(self, path: Path, flags: int) -> None:
        self._name = path.name
        self._broken = False
        with _told(f"{path.name}: open"):
            self._fd = os.open(path, flags, FILE_MODE)
            self.size = os.fstat(self._fd).st_size

    def append(self, data: Data) -> None:
        if self._broken:
            raise StorageError(f"{self._name} failed before", final=True, is_io=True)
        size = self.size
        try:
            written = os.pwrite(self._fd, data, size)
            if written != len(data):
                self._append_rest(memoryview(data), written)
        except OSError as error:
            self._undo()
            raise StorageError(f"{self._name}: {error}", final=self._broken, is_io=True) from error
        self.size = size + len(data)

    def _append_rest(self, data: memoryview, written: int) -> None:
        """A short write is a disk about to be full, a signal, or 2 GiB: the next one tells which."""
        while written < len(data):
            written += os.pwrite(self._fd, data[written:], self.size + written)

    def _undo(self) -> None:
        try:
            os.ftruncate(self._fd, self.size)
        except OSError:
            self._broken = True

    def read(self, at: int, size: int) -> bytes:
        try:
            return os.pread(self._fd, size, at)
        except OSError as error:
            raise StorageError(f"{self._name}: {error}", is_io=True) from error

    def truncate(self, size: int) -> None:
        with _told(f"{self._name}: truncate"):
            os.ftruncate(self._fd, size)
        self.size = size

    def sync(self) -> None:
        if self._broken:
            raise StorageError(f"{self._name} failed before", final=True, is_io=True)
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            self._broken = True
            raise StorageError(f"{self._name}: sync: {error}", final=True, is_io=True) from error

    def close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)


class DiskDirectory:
    """One partition's directory. See `server.storage.Directory`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> Sequence[str]:
        with _told(f"{self.path.name}: list"):
            return sorted(entry.name for entry in os.scandir(self.path) if entry.is_file())

    def create(self, name: str) -> DiskFile:
        # Unlinked first: whoever still reads the old file keeps it, as after a rename.
        self.remove(name)
        return DiskFile(self.path / name, OPEN_FLAGS | os.O_CREAT | os.O_EXCL)

    def open(self, name: str) -> DiskFile:
        return DiskFile(self.path / name, OPEN_FLAGS)

    def rename(self, old: str, new: str) -> None:
        with _told(f"{old}: rename"):
            (self.path / old).rename(self.path / new)

    def remove(self, name: str) -> None:
        with _told(f"{name}: remove"), suppress(FileNotFoundError):
            (self.path / name).unlink()

    def sync(self) -> None:
        _sync_directory(self.path)


class FileDisk:
    """The data directory at `path`, which is there. See `server.storage.Disk`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> Sequence[str]:
        with _told(f"{self.path.name}: list"):
            return sorted(entry.name for entry in os.scandir(self.path) if entry.is_dir())

    def has(self, name: str) -> bool:
        return (self.path / name).is_dir()

    def make(self, name: str) -> DiskDirectory:
        with _told(f"{name}: make"):
            (self.path / name).mkdir(mode=0o700, exist_ok=True)
        return DiskDirectory(self.path / name)

    def rename(self, old: str, new: str) -> None:
        with _told(f"{old}: rename"):
            (self.path / old).rename(self.path / new)

    def remove(self, name: str) -> None:
        with _told(f"{name}: remove"), suppress(FileNotFoundError):
            shutil.rmtree(self.path / name)

    def sync(self) -> None:
        _sync_directory(self.path)


def _sync_directory(path: Path) -> None:
    with _told(f"{path.name}: sync", final=True):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


@contextmanager
def _told(what: str, *, final: bool = False) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{what}: {error}", final=final, is_io=True) from error
