"""Who got what in the demo: the consumers' files, what must be in them, and a table."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

Received = Mapping[str, Sequence[str]]
"""The messages of each partition (`T1:P1`) in their order."""


def received(text: str) -> Received:
    """A consumer's file: `T1:P1`, five blanks, the message."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        place, message = line.split(maxsplit=1)
        found.setdefault(place, []).append(message)
    return found


def sent(files: Iterable[str]) -> Mapping[str, Counter[str]]:
    """What the producers' files say: the messages of each topic."""
    found: dict[str, Counter[str]] = {}
    for line in (line for text in files for line in text.splitlines()):
        _, message, _, topic = line.split()
        found.setdefault(topic, Counter())[message] += 1
    return found


def faults(
    outcome: Mapping[int, Received], wanted: Mapping[int, Sequence[str]], sent: Mapping[str, Counter[str]]
) -> list[str]:
    """What is not as it must be. Who reads all of a topic got what was sent to it; who reads the same partition got
    the same in the same order. `wanted`: each consumer's topics, `T1:*` or `T1:P1`."""
    return [
        *(fault for number, topics in wanted.items() for fault in _miscounted(number, topics, outcome[number], sent)),
        *(
            f"consumers {first} and {second} differ in {place}"
            for first, second in ((a, b) for a in outcome for b in outcome if a < b)
            for place in sorted(outcome[first].keys() & outcome[second].keys())
            if outcome[first][place] != outcome[second][place]
        ),
    ]


def _miscounted(number: int, topics: Sequence[str], got: Received, sent: Mapping[str, Counter[str]]) -> Iterable[str]:
    for topic in (name.removesuffix(":*") for name in topics if name.endswith(":*")):
        came = Counter(
            message for place, messages in got.items() if place.split(":")[0] == topic for message in messages
        )
        for message in sorted((came - sent[topic]) + (sent[topic] - came)):
            yield f"consumer {number} got {message} of {topic} {came[message]} times, sent {sent[topic][message]} times"


def report(outcome: Mapping[int, Received]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("consumer", "partition", "messages", "in order"):
        table.add_column(heading, justify="right" if heading == "messages" else "left")
    for number, got in sorted(outcome.items()):
        for place, messages in sorted(got.items()):
            table.add_row(str(number), escape(place), str(len(messages)), escape(shortened(messages)))
    return table


def shortened(messages: Sequence[str], width: int = 48) -> str:
    """As many as fit, and an ellipsis if some don't."""
    text = ""
    for message in messages:
        if len(text) + len(message) + 1 > width:
            return f"{text} …".strip()
        text = f"{text} {message}".strip()
    return text
