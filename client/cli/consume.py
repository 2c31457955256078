"""`carousel consume TOPIC…`: messages become lines of a file or a pipe; none counts as read before it is written."""

import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from client.assignments import EVERY, Assignment, parse_all, resolve
from client.cli.consume_job import Job
from client.cli.formats import PLAIN, compiled, json_line
from client.cli.positions import BadPosition, Place
from client.cli.sinks import File, Sink, Stdout
from client.cli.starts import BEGINNING, END, HELP, Start, looks_like_one, offset_of, start_of
from client.cli.terms import EXITS, Cluster, Failed, Json, Misused, say, with_cluster

if TYPE_CHECKING:
    from client import Admin, Consumer

WORDS: Final[dict[Start, str]] = {BEGINNING: "earliest", END: "latest"}

app = typer.Typer(add_completion=False)


@app.command(epilog=EXITS)
@with_cluster
def consume(
    cluster: Cluster,
    topics: Annotated[list[str], typer.Argument(metavar="TOPIC", show_default=False,
        help="T1 is all of it, T1:P2 a partition by name, T1:3 by number")],
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", show_default=False,
        help="Instead of standard output. FILE.position beside it says how far it is: "
        "after a kill the same command goes on, with nothing missing and nothing twice")] = None,
    text: Annotated[str, typer.Option("--format", "-f", help="kcat's: %s value, %k key, %t topic, %p partition, "
        "%o offset, %T time, %h headers, %S %K lengths, %R length in four bytes")] = PLAIN,
    start: Annotated[str, typer.Option("--from", metavar="WHERE", show_default=False,
        help=f"{HELP} (default: beginning; with --group: where the group is)")] = "",
    count: Annotated[int | None, typer.Option("--count", "-c", min=0, help="End after so many", show_default=False)]
        = None,
    until_end: Annotated[bool, typer.Option("--until-end", "-e",
        help="End with the last message that was there at the start")] = False,
    timeout: Annotated[float | None, typer.Option("--timeout", min=0.0, metavar="SECONDS", show_default=False,
        help="End when none came for so long")] = None,
    group: Annotated[str, typer.Option("--group", "-g", show_default=False,
        help="Share the topics with others of this name, and go on where it was")] = "",
    as_json: Json = False,
) -> None:  # fmt: skip
    """Write messages to standard output or a file, kcat-like."""
    if as_json and text != PLAIN:
        raise Misused("--format is for text; --json has a format of its own")
    if output is not None and looks_like_one(str(output)):
        raise Misused(f"-o names a file; where to begin is --from {output} (a file of that name: give its whole path)")
    write = json_line if as_json else compiled(text)
    begin = _start(start, bool(group))
    with _sink(output) as sink:
        following = dict(sink.position.next) if isinstance(sink, File) else {}
        if isinstance(sink, File) and sink.goes_on:
            check_still_there(cluster, following, alone=not group)
            say(f"{output} goes on where it was")
        where: Any = WORDS.get(begin)
        if not group and (where is None or isinstance(sink, File)):
            following = {**starts_of(cluster, topics, begin, following), **following}
            where = dict(following)
        if isinstance(sink, File) and not sink.goes_on:
            sink.keep(following)  # a kill before the first message must not move the start
        with _source(cluster.looking_for_ends() if until_end else cluster, topics, group, where) as source:
            job = Job(source, sink, write, following, count, until_end, timeout, bool(group))
            reached = job.run()
            if until_end and source.idle:
                say(f"other members of {group} read all of it; nothing was left for this one")
            if not reached:
                raise Failed(f"{job.written} of {count} messages came, then none for {timeout:g} s")


def _start(text: str, grouped: bool) -> Start:
    begin = start_of(text, int(time.time() * 1000)) if text else BEGINNING
    if grouped and begin not in WORDS:
        raise Misused("with --group, --from is beginning or end; `carousel groups reset` puts a group elsewhere")
    return begin


@contextmanager
def _sink(output: Path | None) -> Generator[Sink]:
    if output is None:
        yield Stdout()
    else:
        with File(output) as sink:
            yield sink


@contextmanager
def _source(cluster: Cluster, topics: list[str], group: str, start: Any) -> Generator["Consumer"]:
    """Nothing is committed but by our word."""
    from client import Consumer

    properties = cluster.overridden(enable_auto_commit=False).properties
    with Consumer(cluster.bootstrap, topics, group=group or None, start=start, **properties) as consumer:
        yield consumer


def check_still_there(cluster: Cluster, following: Mapping[Place, int], alone: bool) -> None:
    """Raises BadPosition where a topic was made anew, so that offsets say nothing, or where retention took what a
    reader `alone` has not read."""
    with cluster.admin() as admin:
        for topic in sorted({topic for topic, _ in following}):
            held = admin.offsets(topic)
            for number in sorted(number for name, number in following if name == topic):
                at = following[topic, number]
                if number not in held or at > held[number].next:
                    raise BadPosition(f"{topic} ends before what the file holds (was it made anew?); name another file")
                if alone and at < held[number].first:
                    raise BadPosition(f"{topic}:{number} begins at {held[number].first}, behind {at}, where the file "
                                      "ends: what was between is gone; name another file")  # fmt: skip


def starts_of(cluster: Cluster, topics: list[str], start: Start, known: Mapping[Place, int]) -> dict[Place, int]:
    """Where each of these partitions is begun, but for those `known`. Raises BadStart, LookupError."""
    wanted = parse_all(topics)
    found: dict[Place, int] = {}
    with cluster.admin() as admin:
        for topic in sorted({one.topic for one in wanted}):
            numbers = _numbers(admin, topic, [one for one in wanted if one.topic == topic])
            found |= _starts_in(admin, topic, start, [one for one in numbers if (topic, one) not in known])
    return found


def _numbers(admin: "Admin", topic: str, wanted: list[Assignment]) -> list[int]:
    """Names are asked for only if there are some."""
    if any(one.part == EVERY for one in wanted):
        return [one.partition for one in admin.describe_topic(topic).partitions]
    names = admin.partition_names(topic)
    return sorted({number for one in wanted for number in resolve(one, len(names), dict(enumerate(names)))})


def _starts_in(admin: "Admin", topic: str, start: Start, partitions: list[int]) -> dict[Place, int]:
    at_time = admin.offsets_at(topic, start.number) if start.kind == "time" else {}
    offsets = admin.offsets(topic)
    return {
        (topic, number): offset_of(start, offsets[number].first, offsets[number].next, at_time.get(number))
        for number in partitions
    }
