"""Two producers, two consumers, two topics of two partitions: `make demo`.

    python -m client.examples.demo [--pace 0] [--broker HOST:PORT]

It uses the system that runs in --state-dir, or at --broker; without one it starts its own, which ends with it. The four
are `client/runproduce.py` and `client/runconsume.py`, each a process. At the end it prints who got what, and exits with
0 if every consumer got each message of its partitions once, in the order in which they were sent.
"""

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from client import Admin
from client.cli.terms import Failed, ending_clean
from client.cli.where import NotFound, bootstrap_at, state_dir_here, url_in
from client.examples.outcome import Sent, count, faults, received, report, sent, wanted
from wire.http_queue import partition_names

HERE: Final = Path(__file__).parent
CLIENT: Final = HERE.parent
PARTITIONS: Final = 2
TOPICS: Final[tuple[str, ...]] = ("T1", "T2")
PRODUCERS: Final = {1: ("T1:*", "T2:P1"), 2: ("T2:*", "T1:P2")}
CONSUMERS: Final = {1: ("T1:*", "T2:P1"), 2: ("T2:*", "T1:P2")}
START_S: Final = 60.0  # a machine under load; four seconds on a quiet one
POLL_S: Final = 0.1
STATE: Final = state_dir_here()


@dataclass(frozen=True, slots=True)
class Door:
    """A running system: its front door's HOST:PORT, and where the Kafka protocol is spoken."""

    broker: str
    bootstrap: str


def demo(
    broker: Annotated[str, typer.Option(help="A running system's HOST:PORT", show_default=False)] = "",
    state_dir: Annotated[Path, typer.Option(envvar="CAROUSEL_STATE_DIR", help="Where a system may run")] = STATE,
    pace: Annotated[float, typer.Option(min=0.0, help="The longest pause between two turns, in seconds")] = 0.3,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the files, and say where they are")] = False,
) -> None:
    """Two producers and two consumers on two topics of two partitions, and who got what."""
    with ending_clean(), ExitStack() as held:
        directory = Path(tempfile.mkdtemp(prefix="carousel-demo-"))
        if not keep:
            held.callback(shutil.rmtree, directory, ignore_errors=True)
        door = held.enter_context(system(broker, state_dir, directory))
        make_topics(door)
        for number in PRODUCERS:
            shutil.copy(HERE / f"producer_{number}.txt", directory)
        run(door, directory, pace)
        raise typer.Exit(tell(directory, keep))


@contextmanager
def system(broker: str, state_dir: Path, directory: Path) -> Generator[Door]:
    """The one that was named, else the one that runs in `state_dir`, else one of our own."""
    if broker:
        yield waited_for(lambda: f"http://{broker}")
        return
    try:
        door = waited_for(lambda: url_in(state_dir), 0.0)
    except NotFound:
        with own_system(directory / "system") as door:
            yield door
    else:
        print(f"using the system in {state_dir}")
        yield door


@contextmanager
def own_system(state_dir: Path) -> Generator[Door]:
    print("starting a system of three servers …", flush=True)
    flags = ("--port", "0", "--second-port", "0", "--queue-port", "0", "--workers", "1", "--replicas", "3")
    command = [sys.executable, "-m", "loadbalancer", "up", "--state-dir", str(state_dir), *flags]
    with (
        (directory_made(state_dir) / "up.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as up,
    ):
        try:
            yield waited_for(lambda: url_in(state_dir), START_S, lambda: up.poll() is None)
        finally:
            up.send_signal(signal.SIGINT)
            up.wait()


def directory_made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def waited_for(url: Callable[[], str], patience_s: float = START_S, lives: Callable[[], bool] = lambda: True) -> Door:
    """Its queue answers. Raises NotFound, Failed."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            found = url()
            return Door(found.removeprefix("http://"), bootstrap_at(found))
        except NotFound:
            if time.monotonic() >= deadline:
                raise
        if not lives():
            raise Failed("the system did not start; see what `carousel up` says")
        time.sleep(POLL_S)


def make_topics(door: Door) -> None:
    with Admin(door.bootstrap) as admin:
        there = {topic.name: len(topic.partitions) for topic in admin.topics()}
        for topic in TOPICS:
            if there.get(topic, PARTITIONS) != PARTITIONS:
                raise Failed(f"{topic} is there with {there[topic]} partitions: `carousel topics delete {topic}`, or "
                             "let the demo start a system of its own: --state-dir /tmp/none")  # fmt: skip
            if topic not in there:
                admin.create_topic(topic, PARTITIONS)
    print(f"topics {', '.join(TOPICS)} of {PARTITIONS} partitions each")


def run(door: Door, directory: Path, pace_s: float) -> None:
    """All four, from start to end. A consumer reads from the topics' ends on, so it must be there first; it would end
    after twenty seconds of silence, and is ended when it has everything."""
    with ExitStack() as held:
        consumers = {
            number: held.enter_context(started("runconsume", number, topics, door, directory))
            for number, topics in CONSUMERS.items()
        }
        wait_until(lambda: all((directory / f"consumer_{number}.offsets").exists() for number in CONSUMERS))
        producers = [
            held.enter_context(started("runproduce", number, topics, door, directory, "--pace", str(pace_s)))
            for number, topics in PRODUCERS.items()
        ]
        for process in producers:
            if process.wait():
                raise Failed(f"a producer ended with {process.returncode}")
        wait_until(lambda: all(complete(number, process, directory) for number, process in consumers.items()))


def complete(number: int, consumer: subprocess.Popen[bytes], directory: Path) -> bool:
    """It has everything, or has given up."""
    return consumer.poll() is not None or len(output(number, directory).splitlines()) >= count(share(number))


def output(number: int, directory: Path) -> str:
    return (directory / f"consumer_{number}.txt").read_text()


def share(number: int) -> Sent:
    """What a consumer must get."""
    names: dict[str, Sequence[str]] = dict.fromkeys(TOPICS, partition_names(PARTITIONS, {}))
    files = [((HERE / f"producer_{one}.txt").read_text(), topics) for one, topics in PRODUCERS.items()]
    return wanted(CONSUMERS[number], sent(files, names))


@contextmanager
def started(
    program: str, number: int, topics: tuple[str, ...], door: Door, directory: Path, *more: str
) -> Generator[subprocess.Popen[bytes]]:
    """Ended with the block, whatever happens in it."""
    print(f"{program} --id {number} --topics {' '.join(topics)}", flush=True)
    command = [sys.executable, str(CLIENT / f"{program}.py"), "--id", str(number), "--topics", *topics]
    process = subprocess.Popen([*command, "--broker", door.broker, "--log_loc", str(directory), *more])
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not condition():
        if time.monotonic() > deadline:
            raise Failed("it takes too long; see what they say above")
        time.sleep(POLL_S)


def tell(directory: Path, where: bool) -> int:
    """The exit status."""
    outcome = {number: received(output(number, directory)) for number in CONSUMERS}
    Console(highlight=False, width=1000).print(report(outcome))
    wrong = [fault for number, got in outcome.items() for fault in faults(number, got, share(number))]
    for fault in wrong or ["every message came once, in order"]:
        print(fault)
    if where:
        print(f"files: {directory}")
    return 1 if wrong else 0


def main() -> None:
    typer.run(demo)


if __name__ == "__main__":
    main()
