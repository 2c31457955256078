"""`carousel produce TOPIC [FILE]`: lines of a file or a pipe become messages; the exit status says whether all did.

A line that can't be read or sent ends the run: those under way are waited for, and the first one that was not
acknowledged is named. With `--state` the run can be repeated after a kill (see `client.cli.sending`).
"""

import json
import os
import secrets
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final

import typer

from client.cli.formats import unescaped
from client.cli.kept import Kept
from client.cli.lines import BadLine, Shape, header_of, lines_of
from client.cli.produce_job import Job
from client.cli.progress import progress
from client.cli.resuming import ends_of, found_in_log
from client.cli.sending import BadState, Found, State, Window, state_of
from client.cli.tables import counted
from client.cli.terms import EXITS, Cluster, Failed, Misused, say, with_cluster
from client.cli.words import advice_for
from client.errors import CarouselError

if TYPE_CHECKING:
    from client import Producer

FAREWELL_S: Final = 10.0  # for what is under way when a line fails or Ctrl-C comes; a second Ctrl-C ends that
STDIN: Final = Path("-")

app = typer.Typer(add_completion=False)


@app.command(epilog=EXITS)
@with_cluster
def produce(
    cluster: Cluster,
    topic: Annotated[str, typer.Argument(help="Where to")],
    file: Annotated[Path, typer.Argument(help="One message a line; - is standard input")] = STDIN,
    key_separator: Annotated[str, typer.Option("--key-separator", "-K", metavar="TEXT", show_default=False,
        help=r"What stands between key and value, such as : or \t")] = "",
    header: Annotated[list[str] | None, typer.Option("--header", "-H", metavar="NAME=VALUE",
        help="For every message; may be repeated")] = None,
    partition: Annotated[int | None, typer.Option("--partition", "-p", min=0,
        help="Where to (default: by key, as Java's clients choose it)", show_default=False)] = None,
    compression: Annotated[str, typer.Option("--compression", "-z",
        help="none, gzip, snappy, lz4 or zstd")] = "none",
    tombstones: Annotated[bool, typer.Option("--tombstones", help="Empty values are none (deletes the key)")] = False,
    state: Annotated[Path | None, typer.Option("--state", "--resume-from", metavar="FILE", show_default=False,
        help="Kept while sending. After a kill, the same command again sends the rest and nothing twice")] = None,
    as_json: Annotated[bool, typer.Option("--json",
        help="Lines are JSON, as consume --json writes them (key, value, headers, timestamp_ms), and so is the report")]
        = False,
) -> None:  # fmt: skip
    """Send lines of a file or a pipe; ends with 0 when every one is acknowledged."""
    shape = Shape(
        unescaped(key_separator), tombstones, as_json, partition, tuple(header_of(text) for text in header or [])
    )
    if as_json and key_separator:
        raise Misused("--key-separator is for plain lines; with --json each line has its key")
    cluster = cluster.overridden(compression_type=compression)
    begun_s = time.monotonic()
    with ExitStack() as held:
        source = held.enter_context(opened(file))
        job = held.enter_context(job_for(cluster, topic, shape, state))
        job.told = held.enter_context(progress(_size(source), topic))
        problem = _run(job, source)
    _report(job, problem, time.monotonic() - begun_s, as_json)


@contextmanager
def opened(file: Path) -> Generator[BinaryIO]:
    if file == STDIN:
        yield sys.stdin.buffer
    else:
        with file.open("rb") as source:
            yield source


def _size(source: BinaryIO) -> int | None:
    """Of a file; None for what has no end in sight."""
    return os.fstat(source.fileno()).st_size or None


@contextmanager
def job_for(cluster: Cluster, topic: str, shape: Shape, state: Path | None) -> Generator[Job]:
    """A job, and after a kill what the log says of the last one."""
    with ExitStack() as held:
        kept = None if state is None else held.enter_context(Kept(state))
        begun, found = (State(topic, "", {}), {}) if kept is None else _resumed(cluster, topic, kept)
        yield Job(held.enter_context(producer_of(cluster)), shape, Window(begun), kept, found)


def _resumed(cluster: Cluster, topic: str, kept: Kept) -> tuple[State, dict[int, Found]]:
    before = kept.read()
    if before is None:
        begun = State(topic, secrets.token_hex(8), ends_of(cluster, topic))
        kept.write(begun.dump())  # before anything is sent: a restart must know where to look
        return begun, {}
    begun = state_of(before, topic)
    found = found_in_log(cluster, begun)
    say(f"{begun.lines + len(found)} lines of this run are in {topic} already; the rest follows")
    return begun, found


@contextmanager
def producer_of(cluster: Cluster) -> Generator["Producer"]:
    """What is still under way at its end has been waited for: it is left."""
    from client import Producer

    producer = Producer(cluster.bootstrap, **cluster.properties)
    try:
        yield producer
    finally:
        with suppress(CarouselError):
            producer.close(0.0)


def _run(job: Job, source: BinaryIO) -> BaseException | None:
    """What ended it, None if it is complete. What is under way is waited for in any case."""
    try:
        job.run(lines_of(source))
    except (Exception, KeyboardInterrupt) as error:
        with suppress(KeyboardInterrupt):  # a second Ctrl-C ends the waiting
            job.farewell(FAREWELL_S)
        return error
    return None


def _report(job: Job, problem: BaseException | None, seconds: float, as_json: bool) -> None:
    """On standard output with --json; else on standard error, where somebody looks or something went wrong."""
    if as_json:
        print(json.dumps(_summary(job, seconds)), flush=True)
    elif problem is None and sys.stderr.isatty():
        say(f"{counted(job.sent, 'line')} acknowledged in {seconds:.1f} s")
    if problem is None:
        return
    told = f"{job.sent - job.missing} of {counted(job.sent, 'line')} sent are acknowledged"
    if isinstance(problem, KeyboardInterrupt):
        say(told)
        raise problem
    if isinstance(problem, BadLine | BadState):
        raise Failed(f"{problem}; {told}") from problem
    reason = advice_for(problem) if isinstance(problem, CarouselError) else str(problem)
    raise Failed(f"line {job.window.oldest()} was not acknowledged: {reason}; {told}") from problem


def _summary(job: Job, seconds: float) -> dict[str, Any]:
    return {
        "topic": job.window.state.topic,
        "sent": job.sent,
        "acknowledged": job.sent - job.missing,
        "already_there": job.left_out,
        "seconds": round(seconds, 3),
    }
