"""What people see of a running system: tables and lines, drawn from the same JSON that programs get."""

import time
from typing import Any

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table

COMMAND_WIDTH = 44  # so that the process table fits 80 columns; --json has all of it
STATE_STYLES = {
    "healthy": "green", "starting": "cyan", "suspect": "yellow", "draining": "magenta", "dead": "red",
}  # fmt: skip


def cluster_table(cluster: dict[str, Any], now: float) -> Group:
    """The body of GET /admin/cluster; `now` is seconds since the epoch. At most 80 columns, unless a name is long."""
    ring = cluster["ring"]
    replicas = cluster["replicas"]
    healthy = sum(replica["state"] == "healthy" for replica in replicas)
    incarnation = [name for name in ("pid", "container") if any(replica.get(name) for replica in replicas)]
    table = _table("name", "state", "for", "node", "index", "address", *incarnation, "weight")
    for replica in replicas:
        table.add_row(*_replica_row(replica, incarnation, now))
    return Group(
        f"{healthy} of {cluster['target']} replicas healthy",
        table,
        *(escape(f"{replica['name']}: {replica['reason']}") for replica in replicas if _asks_why(replica)),
        *([_queue_line(cluster["queue"])] if "queue" in cluster else []),
        f"ring {ring['hash']}: {ring['slots']} slots, {ring['virtual_nodes']} virtual nodes; "
        f"layout version {cluster['version']}",
    )


def _queue_line(queue: dict[str, Any]) -> str:
    if queue.get("lost"):
        return "[red]queue: its state is lost, nothing is decided: see `carousel recover`[/]"
    if queue.get("outside"):
        return escape(f"queue {queue['bootstrap']}: a Kafka cluster of its own")
    moves = queue["moves"]
    words = [f"queue {queue['bootstrap'] or '-'}: {queue['topics']} topics, {queue['partitions']} partitions"]
    words += [f"{queue[name]} {name.replace('_', '-')}" for name in ("offline", "under_replicated") if queue[name]]
    if any(moves.values()):
        words.append(f"{moves['under_way']} moving, {moves['waiting']} to move")
    return escape(", ".join(words))


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading == "memory" else "left")
    return table


def _asks_why(replica: dict[str, Any]) -> bool:
    return replica["state"] != "healthy" and bool(replica.get("reason"))


def _replica_row(replica: dict[str, Any], incarnation: list[str], now: float) -> list[str]:
    style = STATE_STYLES.get(replica["state"], "")
    return [
        escape(replica["name"]),
        f"[{style}]{replica['state']}[/]" if style else replica["state"],
        duration(now - replica["since"]),
        str(replica["node_id"]),
        str(replica["index"]),
        replica["address"] or "-",
        *(str(replica.get(name) or "-") for name in incarnation),
        str(replica["weight"]),
    ]


def duration(seconds: float) -> str:
    """5 s, 3 min, 2 h, 4 d: one unit, rounded down."""
    seconds = max(0.0, seconds)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def event_line(event: dict[str, Any], now: float) -> str:
    """One event on one line, local time, with the date if that is not today's."""
    at, today = time.localtime(event["time"]), time.localtime(now)
    clock = time.strftime("%H:%M:%S" if at[:3] == today[:3] else "%Y-%m-%d %H:%M:%S", at)
    millis = int(event["time"] % 1 * 1000)
    return f"{clock}.{millis:03d}  {event['kind']:<10}  {event['replica'] or '-':<16}  {event['reason']}".rstrip()


def ring_table(key: str, answer: dict[str, Any]) -> Group:
    """What `carousel ring KEY` found: the slot, the owner and who follows clockwise."""
    table = _table("order", "replica", "node", "state")
    for order, replica in enumerate(answer["order"], start=1):
        table.add_row(str(order), escape(replica["name"]), str(replica["node_id"]), replica["state"])
    return Group(escape(f"key {key}: slot {answer['slot']} of {answer['slots']}"), table)


def process_table(processes: list[dict[str, Any]]) -> Group:
    """What `carousel ps` found."""
    table = _table("name", "pid", "memory", "command")
    table.columns[-1].max_width, table.columns[-1].no_wrap = COMMAND_WIDTH, True
    for process in processes:
        program, _, arguments = process["command"].partition(" ")
        command = f"{program.rpartition('/')[2]} {arguments}"
        table.add_row(process["name"], str(process["pid"]), mebibytes(process["pss_bytes"]), escape(command))
    together = mebibytes(sum(process["pss_bytes"] for process in processes))
    return Group(table, f"{len(processes)} processes, {together} together (PSS: what is shared is counted once)")


def mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
