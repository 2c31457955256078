"""What people see: tables and lines, drawn from the same values that `--json` prints."""

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from client.cli.formats import Seen, headers_text

NUMBERS: Final = frozenset(
    ("partitions", "replicas", "messages", "partition", "first", "next", "committed", "end", "lag", "members")
)
COLOURS: Final = ("cyan", "green", "magenta", "yellow", "blue", "bright_red")
"""Of partitions in `tail`, in turn."""

Entry = dict[str, Any]


def table(entries: Iterable[Entry], *headings: str) -> Table:
    """One row for each entry, by its headings; None is a dash, numbers are right-aligned."""
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        drawn.add_column(heading.replace("_", " "), justify="right" if heading in NUMBERS else "left")
    for entry in entries:
        drawn.add_row(*(_cell(entry.get(heading)) for heading in headings))
    return drawn


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, list | tuple):
        return escape(",".join(str(one) for one in value))  # pyright: ignore[reportUnknownArgumentType,reportUnknownVariableType]
    return escape(str(value))


def topics_table(topics: list[Entry]) -> Group:
    return Group(table(topics, "topic", "partitions", "replicas", "messages"), counted(len(topics), "topic"))


def topic_table(topic: Entry) -> Group:
    """One topic: its partitions, and the configs that are its own."""
    own = {name: value for name, value in topic["configs"].items() if not value["default"]}
    return Group(
        escape(
            f"{topic['topic']}: {counted(len(topic['partitions']), 'partition')}, "
            f"{counted(topic['messages'], 'message')}"
        ),
        table(topic["partitions"], "partition", "leader", "replicas", "isr", "first", "next"),
        *(escape(f"{name}={value['value']}") for name, value in sorted(own.items())),
    )


def groups_table(groups: list[Entry]) -> Group:
    return Group(table(groups, "group", "state", "members", "lag"), counted(len(groups), "group"))


def group_table(group: Entry) -> Group:
    """One group: its members with what they read, and how far behind it is."""
    return Group(
        escape(f"{group['group']}: {group['state']}, {counted(len(group['members']), 'member')}, lag {group['lag']}"),
        *([table(group["members"], "member", "client", "host", "reads")] if group["members"] else []),
        table(group["partitions"], "topic", "partition", "committed", "end", "lag"),
    )


def lag_table(lags: list[Entry]) -> Group:
    together = sum(entry["lag"] for entry in lags)
    return Group(table(lags, "group", "topic", "partition", "committed", "end", "lag"), f"lag {together} together")


def reset_table(moves: list[Entry]) -> Table:
    return table(moves, "topic", "partition", "committed", "next")


def counted(count: int, noun: str) -> str:
    """1 topic, 2 topics."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def tail_line(message: Seen, today: tuple[int, ...], many: bool) -> Text:
    """One message on one line: local time, where it is, key, value, headers. `today`: (year, month, day) now.

    `many`: several topics, so the topic is named. What can't be printed is shown escaped; a line stays a line.
    """
    place = f"{message.topic}:{message.partition}" if many else f"{message.partition}"
    line = Text(no_wrap=True, overflow="ignore")
    line.append(f"{clock(message.timestamp_ms, today)}  ", "dim")
    line.append(f"{place}@{message.offset}", COLOURS[message.partition % len(COLOURS)])
    if message.key is not None:
        line.append("  ").append(printable(message.key), "bold")
    line.append("  ").append(
        "null" if message.value is None else printable(message.value), "dim" if message.value is None else ""
    )
    if message.headers:
        line.append(f"  [{printable(headers_text(message.headers))}]", "dim")
    return line


def clock(timestamp_ms: int, today: tuple[int, ...]) -> str:
    """Local time, with the date unless that is `today`; a dash where there is none."""
    if timestamp_ms < 0:
        return "-"
    at = time.localtime(timestamp_ms // 1000)
    shape = "%H:%M:%S" if at[:3] == today else "%Y-%m-%d %H:%M:%S"
    return f"{time.strftime(shape, at)}.{timestamp_ms % 1000:03d}"


def printable(data: bytes) -> str:
    """UTF-8 as it is, control characters and other bytes escaped."""
    text = data.decode(errors="backslashreplace")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def settings_line(changes: Mapping[str, str | None]) -> str:
    """What `topics set` changed."""
    return ", ".join(
        f"{name} is its default again" if value is None else f"{name}={value}" for name, value in changes.items()
    )
