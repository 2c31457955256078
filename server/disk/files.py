"""The disk of `server.storage` on a real file system, by pread, pwrite and fdatasync.

A file's end is kept here and not asked for: `pwrite` at a known place can't be led astray by a write that failed
halfway, and costs one call. After a failed sync the kernel may have dropped the dirty pages and called them clean
(the "fsyncgate" of PostgreSQL, 2018), so a file whose sync failed refuses everything from then on.
"""

import errno
import os
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from server.storage import StorageError
from wire.pieces import Piece, Unread
from wire.primitives import Data

OPEN_FLAGS = os.O_RDWR | os.O_CLOEXEC
FILE_MODE = 0o600
LEFT_FROM = 64 * 1024
"""Bytes from which on a part is left in its file: a call more for each, and below some pages nothing is won by it."""

NO_SENDFILE = frozenset((errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP))
"""What a file system says from whose files sendfile can't send: its bytes are read then."""


class Opened:
    """A descriptor, closed when nobody holds it any more. `cuts`: how often the file was truncated. `has_failed`: a
    part could not be sent, with an answer half out; from then on the file is read before an answer begins, so that
    whoever tries again is told which partition it is that can't be read."""

    __slots__ = ("cuts", "fd", "has_failed")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.cuts = 0
        self.has_failed = False

    def __del__(self) -> None:
        os.close(self.fd)


class Part(Unread):
    """See there."""

    __slots__ = ("_at", "_cuts", "_left", "_opened")

    def __init__(self, opened: Opened, at: int, size: int) -> None:
        self._opened = opened
        self._cuts = opened.cuts
        self._at = at
        self._left = size

    def __len__(self) -> int:
        return self._left

    def send(self, socket: int) -> None:
        self._check()
        try:
            while self._left:
                self._went(os.sendfile(socket, self._opened.fd, self._at, self._left))
        except BlockingIOError:
            return
        except ConnectionError:
            raise
        except OSError as error:
            if error.errno not in NO_SENDFILE:
                self._opened.has_failed = True
                raise

    def take(self, size: int) -> bytes:
        self._check()
        try:
            data = os.pread(self._opened.fd, min(size, self._left), self._at)
        except OSError:
            self._opened.has_failed = True
            raise
        if self._left:
            self._went(len(data))
        return data

    def _check(self) -> None:
        """What was cut may have been written anew since, with other records."""
        if self._opened.cuts != self._cuts:
            raise OSError(errno.ENODATA, "the file was truncated")

    def _went(self, size: int) -> None:
        if not size:
            raise OSError(errno.ENODATA, "the file has become shorter")
        self._at += size
        self._left -= size


class DiskFile:
    """An open file. See `server.storage.File`."""

    __slots__ = ("_broken", "_fd", "_name", "_opened", "size")

    def __init__(self, path: Path, flags: int) -> None:
        self._name = path.name
        self._broken = False
        with _told(f"{path.name}: open"):
            self._fd = os.open(path, flags, FILE_MODE)
            self._opened: Opened | None = Opened(self._fd)
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

    def part(self, at: int, size: int) -> Piece:
        size = min(size, self.size - at)
        if size < LEFT_FROM or self._opened is None or self._opened.has_failed:
            return self.read(at, size)
        return Part(self._opened, at, size)

    def truncate(self, size: int) -> None:
        with _told(f"{self._name}: truncate"):
            os.ftruncate(self._fd, size)
        self.size = size
        if self._opened is not None:
            self._opened.cuts += 1

    def sync(self) -> None:
        if self._broken:
            raise StorageError(f"{self._name} failed before", final=True, is_io=True)
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            self._broken = True
            raise StorageError(f"{self._name}: sync: {error}", final=True, is_io=True) from error

    def close(self) -> None:
        """What was left in it by `part` can still be sent."""
        self._fd = -1
        self._opened = None


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
