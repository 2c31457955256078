"""A progress bar where a person looks, nothing in pipes."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def progress(size_bytes: int | None, label: str) -> Generator[Callable[[int, int], None]]:
    """What it yields is called with (lines, bytes) so far; `size_bytes` None where no end is in sight."""
    if not sys.stderr.isatty() or (size_bytes is None and sys.stdin.isatty()):
        yield lambda lines, size: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[lines]} lines"))
    with Progress(*columns, TransferSpeedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=size_bytes, lines=0)
        yield lambda lines, size: bar.update(task, completed=size, lines=lines)
