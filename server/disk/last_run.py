"""`last-run.json` (`server.registration`): read at the start, written when an epoch is granted and at the end."""

from pathlib import Path
from typing import Final

from server.disk.whole_files import write_durably
from server.registration import LastRun, parse_last_run

FILE: Final = "last-run.json"
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def read_last_run(directory: Path) -> LastRun:
    """Raises OSError for any error but that there is none."""
    try:
        return parse_last_run((directory / FILE).read_bytes())
    except FileNotFoundError:
        return LastRun()


def write_last_run(directory: Path, run: LastRun) -> None:
    """On disk when it returns. Raises OSError."""
    write_durably(directory / FILE, run.to_text())


def boot_id() -> str:
    """Which boot of the machine this is; "" where the kernel doesn't say. In a container it is the host's, as is the
    page cache."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""
