"""The server's copy of the cluster's records (R4): on disk before they are acted on, found again after a crash.

`cluster.records` holds a snapshot and the updates behind it (`server.image`). Each update is one append and one
fdatasync; when the updates have outgrown the snapshot, a new one replaces the file. After a failed write or sync the
file's end isn't known any more (fsync may forget the error, R8), so the next store writes a whole new file.
"""

import os
from pathlib import Path
from typing import Final

from server.disk.whole_files import write_durably
from server.image import advanced, line_of, read_lines, snapshot_of
from wire.cluster import Image
from wire.cluster_link import Update

FILE: Final = "cluster.records"

MIN_APPENDED: Final = 64 * 1024
"""Bytes of updates that are kept before a new snapshot is worth it: some 300 changed partitions."""


class ImageStore:
    """Blocks on the disk: one thread at a time calls it."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / FILE
        self._fd = -1
        self._snapshot_bytes = 0
        self._appended_bytes = 0

    def load(self) -> Image:
        """What was stored last; an empty image if nothing was. Raises OSError."""
        try:
            text = self._file.read_bytes()
        except FileNotFoundError:
            return Image()
        return read_lines(text)[0]

    def store(self, image: Image, update: Update) -> Image:
        """The image behind `update`, when it is on disk. `image` is what is there now.

        Raises StaleUpdate and ValueError as `advanced` does, OSError if the disk fails: nothing has changed then.
        """
        following = advanced(image, update)
        if following is image:
            return image
        if self._fd < 0 or update.snapshot is not None or self._appended_bytes > self._allowed():
            self._rewrite(following)
        else:
            self._append(line_of(update))
        return following

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _allowed(self) -> int:
        return max(MIN_APPENDED, self._snapshot_bytes)

    def _append(self, line: bytes) -> None:
        try:
            written = os.write(self._fd, line)
            if written != len(line):
                raise OSError(f"{written} of {len(line)} bytes written to {self._file.name}")
            os.fdatasync(self._fd)
        except OSError:
            self.close()
            raise
        self._appended_bytes += len(line)

    def _rewrite(self, image: Image) -> None:
        self.close()
        text = line_of(snapshot_of(image))
        write_durably(self._file, text)
        self._fd = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._snapshot_bytes, self._appended_bytes = len(text), 0
