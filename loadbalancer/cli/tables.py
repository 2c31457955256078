"""What people see of a running system: tables and lines, drawn from the same JSON that programs get."""

import time
from typing import Any

from rich.table import Table

STATE_STYLES = {
    "healthy": "green", "starting": "cyan", "suspect": "yellow", "draining": "magenta", "dead": "red",
}  # fmt: skip


def cluster_table(cluster: dict[str, Any], now: float) -> Table:
    """The body of GET /admin/cluster; `now` is seconds since the epoch."""
    ring = cluster["ring"]
    table = Table(
        title=f"{len(cluster['replicas'])} of {cluster['target']} replicas",
        caption=f"ring {ring['hash']}: {ring['slots']} slots, {ring['virtual_nodes']} virtual nodes; "
        f"layout version {cluster['version']}",
        title_justify="left",
        caption_justify="left",
    )
    for heading in ("name", "state", "for", "node", "index", "address", "pid / container", "weight"):
        table.add_column(heading)
    for replica in cluster["replicas"]:
        table.add_row(*_replica_row(replica, now))
    return table


def _replica_row(replica: dict[str, Any], now: float) -> list[str]:
    style = STATE_STYLES.get(replica["state"], "")
    return [
        replica["name"],
        f"[{style}]{replica['state']}[/]" if style else replica["state"],
        duration(now - replica["since"]),
        str(replica["node_id"]),
        str(replica["index"]),
        replica["address"] or "-",
        str(replica.get("pid") or replica.get("container") or "-"),
        str(replica["weight"]),
    ]


def duration(seconds: float) -> str:
    """5 s, 3 min, 2 h, 4 d: one unit, rounded down."""
    seconds = max(0.0, seconds)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def event_line(event: dict[str, Any]) -> str:
    """One event on one line, local time."""
    clock = time.strftime("%H:%M:%S", time.localtime(event["time"]))
    millis = int(event["time"] % 1 * 1000)
    return f"{clock}.{millis:03d}  {event['kind']:<10}  {event['replica'] or '-':<16}  {event['reason']}".rstrip()


def ring_table(key: str, answer: dict[str, Any]) -> Table:
    """What `carousel ring KEY` found: the slot, the owner and who follows clockwise."""
    table = Table(title=f"key {key}: slot {answer['slot']} of {answer['slots']}", title_justify="left")
    for heading in ("order", "replica", "node", "state"):
        table.add_column(heading)
    for order, replica in enumerate(answer["order"], start=1):
        table.add_row(str(order), replica["name"], str(replica["node_id"]), replica["state"])
    return table
