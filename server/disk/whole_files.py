"""Small files that are replaced as a whole: all of the new text or all of the old, also after a power cut."""

import os
from pathlib import Path


def write_durably(file: Path, content: bytes) -> None:
    """A new file, synced, renamed, and the rename synced. Raises OSError; the old text is there then."""
    partial = file.with_suffix(".tmp")
    with partial.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    partial.rename(file)
    sync_directory(file.parent)


def sync_directory(path: Path) -> None:
    """Names in it that were made, renamed or removed are on disk."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
