"""Who got what in the demo: what must be in the consumers' files, what is, and a table."""

from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from client.assignments import EVERY, parse
from client.produce_log import parse_lines, placed

Received = Mapping[str, Sequence[str]]
"""The messages of each partition (`T1:P1`) in their order."""

Sent = Mapping[str, Sequence[Sequence[str]]]
"""What goes to each partition: of each producer its messages, in order."""


def sent(files: Iterable[tuple[str, Sequence[str]]], names: Mapping[str, Sequence[str]]) -> Sent:
    """Of the producers' files and `--topics`. `names`: the partitions' names by topic."""
    found: dict[str, list[list[str]]] = {}
    for text, topics in files:
        mine: dict[str, list[str]] = {}
        for line, index in placed(parse_lines(text, [parse(topic) for topic in topics]), names):
            mine.setdefault(f"{line.topic}:{names[line.topic][index]}", []).append(line.message)
        for place, messages in mine.items():
            found.setdefault(place, []).append(messages)
    return found


def received(text: str) -> Received:
    """A consumer's file: `T1:P1`, five blanks, the message."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        place, message = line.split(maxsplit=1)
        found.setdefault(place, []).append(message)
    return found


def wanted(topics: Iterable[str], sent: Sent) -> Sent:
    """The part that a consumer with these `--topics` gets."""
    each = [parse(topic) for topic in topics]
    return {
        place: messages
        for place, messages in sent.items()
        if any(place == str(one) or (one.part == EVERY and place.startswith(f"{one.topic}:")) for one in each)
    }


def count(sent: Sent) -> int:
    return sum(len(messages) for producers in sent.values() for messages in producers)


def faults(number: int, got: Received, wanted: Sent) -> list[str]:
    """What is not as it must be: each message of each partition once, each producer's in its order."""
    found: list[str] = []
    for place in sorted(wanted.keys() | got.keys()):
        came, producers = got.get(place, ()), wanted.get(place, ())
        if len(came) != sum(map(len, producers)):
            found.append(f"consumer {number} got {len(came)} messages of {place}, not {sum(map(len, producers))}")
        elif any([one for one in came if one in messages] != list(messages) for messages in producers):
            found.append(f"consumer {number} got {place} in another order than it was sent")
    return found


def report(outcome: Mapping[int, Received]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("consumer", "partition", "messages", "in order"):
        table.add_column(heading, justify="right" if heading == "messages" else "left")
    for number, got in sorted(outcome.items()):
        for place, messages in sorted(got.items()):
            table.add_row(str(number), escape(place), str(len(messages)), escape(shortened(messages)))
    return table


def shortened(messages: Sequence[str], width: int = 42) -> str:
    """As many as fit, and an ellipsis if some don't."""
    text = ""
    for message in messages:
        if len(text) + len(message) + 1 > width:
            return f"{text} …".strip()
        text = f"{text} {message}".strip()
    return text
