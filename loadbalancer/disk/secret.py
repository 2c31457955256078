"""The cluster's secret: what servers show to control and to each other (cluster-rules R9)."""

import os
import secrets
from pathlib import Path

SECRET_BYTES = 32


def cluster_secret(path: Path) -> str:
    """The secret in `path`, 64 hex digits, made if there is none: for its owner only, whole or not at all, and synced.

    Raises OSError, also for a file that is empty.
    """
    if not path.exists():
        _make(path)
    kept = path.read_text().strip()
    if not kept:
        raise OSError(f"{path} is empty; without it, it is made anew")
    return kept


def _make(path: Path) -> None:
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)  # its mode would stay what it was
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(SECRET_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
