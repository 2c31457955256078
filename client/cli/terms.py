"""What all commands of the queue have in common: how they find the cluster, how they end, what their exit status says.

| exit status | meaning |
|---|---|
| 0 | done: all of it; for `produce`, every line acknowledged |
| 1 | failed, or not all of it: one line on standard error says what, and what to do |
| 2 | the command line is wrong: nothing was done |
| 130, 143 | ended by Ctrl-C or SIGTERM: what was under way is finished and counted |
| 141 | the reader of standard output went away, as `head` does |
"""

import functools
import inspect
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer
from rich.console import Console

from client.cli.formats import BadFormat
from client.cli.kept import Unusable
from client.cli.lines import BadLine
from client.cli.positions import BadPosition
from client.cli.sending import BadState
from client.cli.starts import BadStart
from client.cli.where import NotFound, bootstrap_at, state_dir_here, url_in
from client.cli.words import advice_for

if TYPE_CHECKING:
    from client import Admin

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_SIGNAL: Final = 128

EXITS: Final = (
    "Exit status: 0 done, 1 failed or not all of it (a line on standard error says what to do), 2 wrong command line, "
    "130 Ctrl-C, 141 the reader of standard output went away."
)
Json = Annotated[bool, typer.Option("--json", help="For programs")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask")]


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Rich would end the program itself, with status 1."""
        raise BrokenPipeError


# Tables are made to fit 80 columns. Where names are long the terminal wraps the line, so that no word is cut.
console = _Console(highlight=False, width=1000)


class Failed(Exception):
    """The text is for the person at the terminal."""


class Misused(Failed):
    """The command line is wrong."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster, and librdkafka's properties that were given by -X."""

    bootstrap: str
    properties: dict[str, Any] = field(default_factory=dict[str, Any])

    def overridden(self, **properties: Any) -> "Cluster":
        """With these too; those given by -X stand."""
        return Cluster(self.bootstrap, {**properties, **self.properties})

    def looking_for_ends(self) -> "Cluster":
        """For consumers that must know soon where there is nothing more: librdkafka's fetches wait half a second."""
        return self.overridden(enable_partition_eof=True, fetch_wait_max_ms=50)

    @contextmanager
    def admin(self) -> Generator["Admin"]:
        from client import Admin  # librdkafka takes 60 ms, which help should not

        with Admin(self.bootstrap, **self.properties) as admin:
            yield admin


COMMON: Final = {
    "bootstrap": Annotated[str, typer.Option("--bootstrap", "-b", envvar="QUEUE_BOOTSTRAP", show_default=False,
        metavar="HOST:PORT", help="Any Kafka cluster (default: the running system's queue)")],
    "state_dir": Annotated[Path, typer.Option("--state-dir", envvar="CAROUSEL_STATE_DIR",
        help="The running system's state directory")],
    "url": Annotated[str, typer.Option("--url", help="The running system's address, instead of --state-dir",
        show_default=False)],
    "option": Annotated[list[str], typer.Option("-X", metavar="NAME=VALUE", show_default=False,
        help="A property of librdkafka, such as security.protocol=SASL_SSL; may be repeated")],
}  # fmt: skip
DEFAULTS: Final[dict[str, Any]] = {"bootstrap": "", "state_dir": state_dir_here(), "url": "", "option": []}


def with_cluster(command: Callable[..., None]) -> Callable[..., None]:
    """A typer command of `command(cluster, …)`: with the options that name the cluster, and an end that is clean."""

    @functools.wraps(command)
    def run(bootstrap: str, state_dir: Path, url: str, option: list[str], **rest: Any) -> None:
        with ending_clean():
            command(Cluster(bootstrap or bootstrap_at(url or url_in(state_dir)), properties_of(option)), **rest)

    own = list(inspect.signature(command).parameters.values())[1:]
    common = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=DEFAULTS[name], annotation=annotation)
        for name, annotation in COMMON.items()
    ]
    parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own] + common
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def properties_of(texts: Iterable[str]) -> dict[str, str]:
    """`-X name=value` in the client's snake_case. Raises Misused."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise Misused(f"-X {text!r} is not name=value")
        found[name.replace(".", "_")] = value
    return found


@contextmanager
def ending_clean() -> Generator[None]:
    """Whatever ends the block becomes one line and an exit status."""
    from client.errors import CarouselError, ConfigError

    with _terminated_as_interrupted() as received:
        try:
            yield
            sys.stdout.flush()  # here, where a reader that went is told from other ends
        except KeyboardInterrupt:
            raise typer.Exit(EXIT_SIGNAL + (received[-1] if received else signal.SIGINT)) from None
        except BrokenPipeError:
            end_broken_pipe()
        except (Misused, BadFormat, BadStart) as error:
            fail(error, EXIT_USAGE)
        except ConfigError as error:
            fail(advice_for(error), EXIT_USAGE)
        except CarouselError as error:
            fail(advice_for(error))
        except (Failed, NotFound, Unusable, BadLine, BadState, BadPosition) as error:
            fail(error)
        except OSError as error:
            fail(f"{error.filename}: {error.strerror}" if error.filename else error)


@contextmanager
def _terminated_as_interrupted() -> Generator[list[int]]:
    """SIGTERM ends a command as Ctrl-C does. Yields the signals that came."""
    received: list[int] = []

    def note(number: int, _frame: Any) -> None:
        received.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, note)
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, before)


def fail(error: Exception | str, code: int = EXIT_FAILED) -> NoReturn:
    print(f"carousel: {' '.join(str(error).split())}", file=sys.stderr)
    raise typer.Exit(code)


def end_broken_pipe() -> NoReturn:
    """Quietly, with the status of a program that SIGPIPE ended; standard output can't be flushed any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(EXIT_SIGNAL + signal.SIGPIPE) from None


def be_sure(question: str, yes: bool) -> None:
    """Ask who sits at the terminal; in scripts --yes must say it. Raises Misused, Failed."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Misused(f"{question} Say so by --yes")
    try:
        agreed = input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:  # Ctrl-D
        agreed = False
    if not agreed:
        raise Failed("nothing was changed")


def say(text: str) -> None:
    """A note beside the output."""
    print(f"carousel: {text}", file=sys.stderr, flush=True)
