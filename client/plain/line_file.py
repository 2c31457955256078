"""A file of lines and the record beside it (client.consume_log), kept so that kill -9 and a power cut leave both whole.

Order: lines are written, synced, and only then does the record that speaks of them replace the old one by a rename.
The file is locked, so that a second program with the same id is told instead of mixing its lines in.
"""

import fcntl
import os
from dataclasses import replace
from pathlib import Path
from typing import Self

from client.consume_log import Record, decode_record, encode_record
from client.errors import ConfigError


class LineFile:
    """The file at `path`; its record is beside it, with the suffix `.offsets`. Raises ConfigError if another program
    holds it, or if the record can't be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record_path = path.with_suffix(".offsets")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        try:
            self.kept = self._taken_up()
        except BaseException:
            self._file.close()
            raise

    def append(self, lines: bytes) -> None:
        """Writes them to the end; who reads the file sees them now."""
        rest = memoryview(lines)
        while rest:
            rest = rest[self._file.write(rest) :]

    def record(self, record: Record) -> None:
        """Keeps this record, with the file's present length in place of `size_bytes`."""
        os.fdatasync(self._file.fileno())
        self.kept = replace(record, size_bytes=self._file.tell())
        replace_file(self.record_path, encode_record(self.kept))

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _taken_up(self) -> Record | None:
        """The record of the run before, and the file cut to it: what is behind comes again. None: there is none."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(f"another program writes {self.path}: end it, or take another --id") from error
        try:
            kept = decode_record(self.record_path.read_bytes())
        except FileNotFoundError:
            return None
        size = self._file.seek(0, os.SEEK_END)
        self._file.truncate(min(size, kept.size_bytes))  # shorter: somebody began the file anew
        self._file.seek(0, os.SEEK_END)
        return kept


def replace_file(path: Path, data: bytes) -> None:
    """The file holds `data` or what it held before, whatever happens meanwhile."""
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_names(path.parent)


def sync_names(directory: Path) -> None:
    """A rename in it is on disk: it is a change of its directory."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
