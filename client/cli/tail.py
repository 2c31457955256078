"""`carousel tail TOPIC…`: the last messages, and those that follow, for people to look at."""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from client.cli.consume import starts_of
from client.cli.formats import json_line
from client.cli.positions import Place, advanced
from client.cli.reached import all_reached
from client.cli.starts import Start
from client.cli.tables import tail_line
from client.cli.terms import EXITS, Cluster, Json, console, with_cluster

if TYPE_CHECKING:
    from client import Consumer, Message

POLL_S = 0.2
BATCH = 1_000

app = typer.Typer(add_completion=False)


@app.command(epilog=EXITS)
@with_cluster
def tail(
    cluster: Cluster,
    topics: Annotated[list[str], typer.Argument(metavar="TOPIC", show_default=False,
        help="T1 is all of it, T1:P2 a partition by name, T1:3 by number")],
    lines: Annotated[int, typer.Option("-n", min=0, help="How many of those that are there already")] = 10,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Go on as they come")] = True,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Show the last messages and follow, in colours; Ctrl-C ends it."""
    from client import Consumer

    starts = starts_of(cluster, topics, Start("last", lines), {})
    many = len({topic for topic, _ in starts}) > 1
    with Consumer(cluster.bootstrap, topics, start=starts, **cluster.looking_for_ends().properties) as consumer:
        for message in _last(consumer, starts, lines):
            show(message, many, as_json)
        while follow:
            for message in _waited(consumer):
                show(message, many, as_json)


def _last(consumer: "Consumer", starts: dict[Place, int], count: int) -> "list[Message]":
    """Of all partitions together; what came meanwhile is among them."""
    following, ends = dict(starts), consumer.ends()
    found: list[Message] = []
    while not all_reached(ends, following, consumer.reached()):
        some = consumer.batch(BATCH, POLL_S)
        advanced(following, some)
        found += some
    return last_of(found, ends, count)


def last_of(found: "list[Message]", ends: Mapping[Place, int], count: int) -> "list[Message]":
    """The last `count` of those before `ends`, and all behind them, in order of time."""
    found = sorted(found, key=lambda one: (one.timestamp_ms, one.topic, one.partition, one.offset))
    old = [one for one in found if one.offset < ends[one.topic, one.partition]]
    new = [one for one in found if one.offset >= ends[one.topic, one.partition]]
    return [*old[max(0, len(old) - count) :], *new]


def _waited(consumer: "Consumer") -> "Iterator[Message]":
    """The next one, when it comes, and those that are there with it."""
    yield from consumer.batch(1, POLL_S)
    yield from consumer.batch(BATCH, 0)


def show(message: "Message", many: bool, as_json: bool) -> None:
    if as_json:
        print(json_line(message).decode(), end="", flush=True)
        return
    console.print(tail_line(message, time.localtime()[:3], many), soft_wrap=True)
