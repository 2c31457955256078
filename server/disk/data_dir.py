"""A replica's data directory: locked for the life of the process, and known to be the right one.

The lock is the fence of the whole system: a replacement takes over the directory of the replica that it
replaces, and two writers in one log would destroy it. `flock` is held by the open file, so the kernel
releases it exactly when the process has ended, however it ended; a pid file would lie after a crash, and
`fcntl` locks are lost by closing any other descriptor.
"""

import binascii
import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from server.disk.whole_files import sync_directory, write_durably
from server.meta import Meta, MetaError, check_meta, parse_meta


class DataDirBusy(Exception):
    """Another process holds the directory. Trying again later may work."""


@dataclass(frozen=True, slots=True)
class DataDir:
    """An open data directory. `lock_fd` holds its lock until it is closed or the process ends."""

    path: Path
    meta: Meta
    lock_fd: int

    def close(self) -> None:
        os.close(self.lock_fd)


def open_data_dir(path: Path, cluster: str | None, node_id: int | None) -> DataDir:
    """Lock the directory and make it ours if it is new. It and its parents are made if they are missing.

    Raises DataDirBusy if it is locked, MetaError if it belongs to another cluster or node (or is new, and
    either is not given), OSError if the disk fails. Nothing stays locked or half-written after an error.
    """
    _make(path, 0o700)
    lock_fd = _lock(path)
    try:
        return DataDir(path, _own(path, cluster, node_id), lock_fd)
    except BaseException:
        os.close(lock_fd)
        raise


def _make(path: Path, mode: int) -> None:
    """It and its parents, each surely there before anything in it: all that is acknowledged will lie below."""
    if path.is_dir():
        return
    _make(path.parent, 0o777)
    path.mkdir(mode=mode, exist_ok=True)
    sync_directory(path.parent)


def _lock(path: Path) -> int:
    fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        os.close(fd)
        raise DataDirBusy(f"it is in use by process {holder or 'unknown'}") from None
    os.truncate(fd, 0)
    os.pwrite(fd, b"%d\n" % os.getpid(), 0)  # for people; only the lock itself decides
    return fd


def _own(path: Path, cluster: str | None, node_id: int | None) -> Meta:
    file = path / "meta.properties"
    try:
        meta = parse_meta(file.read_text("utf-8", "replace"))
    except FileNotFoundError:
        if cluster is None or node_id is None:
            raise MetaError("it is new, so CAROUSEL_CLUSTER and NODE_ID must say whose it is") from None
        with suppress(PermissionError):  # then it was made by somebody else, a while ago
            sync_directory(path.parent)
        meta = Meta(cluster, node_id, _directory_id())
        write_durably(file, meta.to_text().encode())
    check_meta(meta, cluster, node_id)
    return meta


def _directory_id() -> str:
    """A random id as Kafka writes them: 16 bytes in URL-safe base64, not starting with a dash."""
    text = binascii.b2a_base64(os.urandom(16), newline=False).decode().rstrip("=")
    text = text.replace("+", "-").replace("/", "_")
    return _directory_id() if text.startswith("-") else text
