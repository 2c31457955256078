"""`carousel ps`: every process of a running system, found by the mark that the supervisor gives its children."""

from pathlib import Path
from typing import Any

from loadbalancer.cli.remote import tell_supervisor
from loadbalancer.settings import Paths
from loadbalancer.spawn import procfs


def processes_of(state_dir: Path) -> list[dict[str, Any]]:
    """{"name", "pid", "pss_bytes", "command"} of each, the supervisor first. Raises RemoteError.

    Whoever is not the supervisor's own child has its ancestor's name: gunicorn's worker is control too.
    """
    answer = tell_supervisor(state_dir, {"op": "list"})
    names = {child["pid"]: child["name"] for child in answer["children"]}
    marked = procfs.members(Paths(state_dir).cluster_id.read_text().strip())
    names |= {procfs.parent(pid): "supervisor" for pid in names}
    found = [_described(pid, _name(pid, names)) for pid in {*marked, *names}]
    return sorted((entry for entry in found if entry), key=lambda entry: _place(entry["name"], entry["pid"]))


def _name(pid: int, names: dict[int, str]) -> str:
    while pid and pid not in names:
        pid = procfs.parent(pid)
    return names.get(pid, "leftover")


def _place(name: str, pid: int) -> tuple[int, int]:
    kinds = ("supervisor", "control", "door")
    return next((place for place, kind in enumerate(kinds) if name.startswith(kind)), len(kinds)), pid


def _described(pid: int, name: str) -> dict[str, Any] | None:
    """None if it has ended meanwhile."""
    try:
        command = (procfs.PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        rollup = (procfs.PROC / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return None
    pss = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return {"name": name, "pid": pid, "pss_bytes": pss << 10, "command": command.strip()}
