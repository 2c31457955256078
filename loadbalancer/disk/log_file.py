"""A file of lines that several processes append to, and that others may rename away at any time.

What holds: each line is whole and stands alone, whoever else writes (one `write` call for whole lines, O_APPEND; into
anything but a regular file no more than PIPE_BUF at once). Lines that can't be written are dropped and counted, and
the next are tried anew: a full disk may have room again. Only where it fills up within a line is there half of one.

Rotation: about once a second it is looked whether the path is still this file; if not (logrotate's rename, somebody's
rm), the path is opened anew. No signal is needed, and `copytruncate` does no harm. What is written in that second goes
into the renamed file, so compress it a cycle later (`delaycompress`).
"""

import errno
import os
import select
import stat
from pathlib import Path

STDOUT = "-"
LOOK_S = 1.0
"""How often the path is compared with the open file."""
CHUNK_BYTES = 64 * 1024
"""The most that one call writes to a regular file."""
MODE = 0o640
"""Addresses of people are in it."""


class LogFile:
    """`path` is absolute, or `-` for standard output. To be used from one thread. Opened when it is first needed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._limit = select.PIPE_BUF
        self._torn = False
        self._looked_at = 0.0

    def write(self, lines: bytes, now: float) -> tuple[int, OSError | None]:
        """Append whole lines, each at most PIPE_BUF long; returns how many were dropped and why.

        Blocks as long as the file does. `now` is in seconds on any clock.
        """
        start = 0
        try:
            self._ensure_open(now)
            while start < len(lines):
                end = self._chunk_end(lines, start)
                start += self._append(lines[start:end])
                if start < end:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            return lines.count(b"\n", start), error
        return 0, None

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _chunk_end(self, lines: bytes, start: int) -> int:
        end = start + self._limit
        return len(lines) if len(lines) <= end else lines.rindex(b"\n", start, end) + 1

    def _append(self, chunk: bytes) -> int:
        """How much of it is written; after half a line, the next begins on a new one. Raises OSError."""
        if self._torn:
            os.write(self._fd, b"\n")
            self._torn = False
        written = os.write(self._fd, chunk)
        self._torn = chunk[written - 1 : written] != b"\n"
        return written

    def _ensure_open(self, now: float) -> None:
        """Raises OSError."""
        if self._fd >= 0 and self._path != STDOUT and now - self._looked_at >= LOOK_S:
            self._looked_at = now
            if not self._is_there():
                self.close()
        if self._fd < 0:
            self._fd = os.dup(1) if self._path == STDOUT else _open(self._path)
            self._looked_at = now
            self._torn = False
            self._limit = CHUNK_BYTES if stat.S_ISREG(os.fstat(self._fd).st_mode) else select.PIPE_BUF

    def _is_there(self) -> bool:
        """Whether the path is still the open file."""
        try:
            return os.path.samestat(Path(self._path).stat(), os.fstat(self._fd))
        except OSError:
            return False


def check(path: str) -> None:
    """Whether lines could be written there. Raises OSError."""
    if path == STDOUT:
        return
    try:
        os.close(_open(path, os.O_NONBLOCK))
    except OSError as error:
        if error.errno != errno.ENXIO:  # a pipe with a name, that nobody reads yet
            raise


def _open(path: str, flags: int = 0) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY | flags, MODE)
