"""A small JSON file that one process holds at a time, and that is whole after a kill at any moment.

It is written beside itself, synced, locked, and put in place by a rename, so the lock travels with the name: whoever
opens the name finds a locked file until we end, however we end. The road not taken: a lock file of its own, which
would stay behind.
"""

import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from client.plain.line_file import sync_names


class Unusable(Exception):
    """The file is in use, or is not ours; the text says which and what to do."""


class Kept:
    """Holds `path` until `close`. Raises Unusable, OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = self._taken()

    def _taken(self) -> int:
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(fd), self.path.stat()):
                    return fd
            except FileNotFoundError:
                pass  # removed meanwhile: make it anew
            except BlockingIOError:
                os.close(fd)
                raise Unusable(f"{self.path} is in use by another process; end it, or name another file") from None
            os.close(fd)  # renamed over between open and lock

    def read(self) -> dict[str, Any] | None:
        """None where nothing has been written."""
        text = self.path.read_bytes()
        if not text:
            return None
        try:
            found: Any = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Unusable(f"{self.path} holds something else; name another file")
        return cast("dict[str, Any]", found)

    def write(self, content: dict[str, Any]) -> None:
        """All of it or nothing, synced."""
        beside = self.path.with_name(f".{self.path.name}.new")  # one name, as one process holds it: kills leave one
        fd = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            rest = json.dumps(content).encode() + b"\n"
            while rest:
                rest = rest[os.write(fd, rest) :]
            os.fsync(fd)
            beside.rename(self.path)
        except BaseException:
            os.close(fd)
            beside.unlink(missing_ok=True)
            raise
        os.close(self._fd)
        self._fd = fd
        sync_names(self.path.parent)

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
