"""The `carousel` command."""

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from loadbalancer.cli.attached import Commands
from loadbalancer.cli.flags import settings_markdown, with_setting_flags
from loadbalancer.cli.remote import NotRunning, Remote, RemoteError, state_dir_of_env_file, tell_supervisor
from loadbalancer.cli.tables import cluster_table, event_line, process_table, ring_table
from loadbalancer.hashes import key_of
from loadbalancer.settings import BadSetting

EXIT_FAILED = 1
EXIT_USAGE = 2

app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="A front door and a queue that look after themselves.",
)  # fmt: skip
# Tables are made to fit 80 columns. Where names are long the terminal wraps the line, so that no word is cut.
console = Console(highlight=False, width=1000)

StateDir = Annotated[
    Path, typer.Option("--state-dir", envvar="CAROUSEL_STATE_DIR", help="The running system's state directory")
]
Url = Annotated[str | None, typer.Option("--url", help="The running system's address, instead of --state-dir")]
Token = Annotated[
    str, typer.Option("--admin-token", envvar="CAROUSEL_ADMIN_TOKEN", help="For changing calls", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="For programs")]
VAR = state_dir_of_env_file()


def _fail(error: Exception | str, code: int = EXIT_FAILED) -> NoReturn:
    print(f"carousel: {str(error).removeprefix('<Error> ')}", file=sys.stderr)
    raise typer.Exit(code)


@app.command(name="up")
@with_setting_flags
def up(flags: dict[str, str]) -> None:
    """Run the whole system in the foreground; Ctrl-C ends it."""
    from loadbalancer.cli.up import run  # the only command that needs all of it

    try:
        code = run(flags)
    except BadSetting as error:
        _fail(error, EXIT_USAGE)
    raise typer.Exit(code)


@app.command()
def status(state_dir: StateDir = VAR, url: Url = None, as_json: Json = False) -> None:
    """Show the replicas, their states and the ring."""
    cluster = _call(state_dir, url, "", "GET", "/admin/cluster")
    if as_json:
        print(json.dumps(cluster))
    else:
        console.print(cluster_table(cluster, time.time()))


@app.command()
def add(
    names: Annotated[list[str] | None, typer.Argument(help="Names for them")] = None,
    n: Annotated[int | None, typer.Option("-n", help="How many (default: as many as names, else 1)")] = None,
    state_dir: StateDir = VAR, url: Url = None, admin_token: Token = "", as_json: Json = False,
) -> None:  # fmt: skip
    """Add replicas; answers when they serve."""
    _change(state_dir, url, admin_token, "POST", "/add", names, n, as_json)


@app.command()
def rm(
    names: Annotated[list[str] | None, typer.Argument(help="Which ones")] = None,
    n: Annotated[int | None, typer.Option("-n", help="How many (default: as many as names, else 1)")] = None,
    state_dir: StateDir = VAR, url: Url = None, admin_token: Token = "", as_json: Json = False,
) -> None:  # fmt: skip
    """Remove replicas; answers when their requests are finished."""
    _change(state_dir, url, admin_token, "DELETE", "/rm", names, n, as_json)


@app.command()
def recover(
    absent: Annotated[list[int] | None, typer.Option(help="A node that is not waited for; may be repeated")] = None,
    state_dir: StateDir = VAR, url: Url = None, admin_token: Token = "", as_json: Json = False,
) -> None:  # fmt: skip
    """Go on with the servers' copies of the queue's state, where control has lost its own."""
    answer = _call(state_dir, url, admin_token, "POST", "/admin/recover", {"absent": absent or []})
    print(json.dumps(answer["message"]) if as_json else answer["message"])


@app.command()
def ring(
    key: Annotated[str, typer.Argument(help="A routing key; digits are that number")],
    state_dir: StateDir = VAR, url: Url = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Show which replica a key goes to, and who follows clockwise."""
    from loadbalancer.cli.ring_view import order_of

    cluster = _call(state_dir, url, "", "GET", "/admin/cluster")
    try:
        answer = {"key": key, **order_of(key_of(key.encode()), cluster)}
    except LookupError as error:
        _fail(error)
    if as_json:
        print(json.dumps(answer))
    else:
        console.print(ring_table(key, answer))


@app.command()
def events(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they come")] = False,
    since: Annotated[int, typer.Option(help="Only those with a higher id")] = 0,
    state_dir: StateDir = VAR, url: Url = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Show what happened to whom, when and why."""
    path = f"/admin/events?since={since}"
    try:
        remote = Remote.find(state_dir, url, "")
        found: Any = remote.follow(path) if follow else remote.call("GET", path)
        with contextlib.suppress(KeyboardInterrupt):
            for event in found:
                print(json.dumps(event) if as_json else event_line(event, time.time()), flush=True)
    except RemoteError as error:
        _fail(error)


@app.command()
def ps(state_dir: StateDir = VAR, as_json: Json = False) -> None:
    """Show the system's processes and their memory."""
    from loadbalancer.cli.processes import processes_of

    try:
        found = processes_of(state_dir)
    except RemoteError as error:
        _fail(error)
    if as_json:
        print(json.dumps(found))
    else:
        console.print(process_table(found))


@app.command()
def reload(state_dir: StateDir = VAR) -> None:
    """Take up new settings and code; no request is lost."""
    try:
        tell_supervisor(state_dir, {"op": "reload"})
    except RemoteError as error:
        _fail(error)
    print("reload under way; the system's log says when the old workers are gone")


@app.command()
def down(state_dir: StateDir = VAR) -> None:
    """End the system that runs in this state directory; answers when it is gone."""
    try:
        tell_supervisor(state_dir, {"op": "shutdown"}, until_it_ends=True)
    except NotRunning as error:
        print(f"carousel: {error}")  # which is what was asked for
    except RemoteError as error:
        _fail(error)


@app.command()
def settings() -> None:
    """Print the table of all settings as Markdown."""
    print(settings_markdown(), end="")


def _call(
    state_dir: Path, url: str | None, token: str, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    try:
        return Remote.find(state_dir, url, token).call(method, path, body)
    except RemoteError as error:
        _fail(error)


def _change(
    state_dir: Path, url: str | None, token: str, method: str, path: str,
    names: list[str] | None, n: int | None, as_json: bool,
) -> None:  # fmt: skip
    names = names or []
    answer = _call(state_dir, url, token, method, path, {"n": len(names) or 1 if n is None else n, "hostnames": names})
    message = answer["message"]
    print(json.dumps(message) if as_json else f"{message['N']} replicas: {', '.join(message['replicas'])}")


def main() -> None:
    """The console script."""
    app()
