"""The fault drills with containers: the compose system under a steady load through its published port.

    python -m analysis.drills.containers [NAMES…] [--requests 50000] [--rate 1000] [--json PATH]

It needs a Docker engine, Compose and both images (`make build`). Each drill brings a project of its own up and leaves
nothing. The rest is as with the processes' drills: harm a fifth of the way in, exit status 1 if a zero is not one.
"""

from pathlib import Path
from typing import Annotated

import typer

from analysis.drills.base import Drill, Size
from analysis.drills.contained import (
    FAULTY,
    adopted,
    churn,
    crash,
    fault,
    kill_and_start,
    kill_processes,
    replaced,
    restart,
)
from analysis.drills.show import run

CONTAINER_DRILLS: dict[str, Drill] = {
    "docker-kill": replaced("docker-kill", lambda container: container.kill()),
    "docker-stop": replaced("docker-stop", lambda container: container.stop()),
    "docker-pause": replaced("docker-pause", lambda container: container.pause()),
    "container-oom": replaced("container-oom", fault("memory"), **FAULTY),
    "container-hang": replaced("container-hang", fault("hang"), **FAULTY),
    "front-processes": adopted("front-processes", kill_processes),
    "front-crash": adopted("front-crash", crash),
    "front-kill": adopted("front-kill", kill_and_start),
    "front-restart": adopted("front-restart", restart, CAROUSEL_ON_EXIT="leave"),
    "container-churn": churn,
}


def main(
    names: Annotated[
        list[str] | None, typer.Argument(help=f"Which: {', '.join(CONTAINER_DRILLS)} (default: all)")
    ] = None,
    requests: Annotated[int, typer.Option(help="Requests for each drill")] = 50_000,
    rate: Annotated[float, typer.Option(help="Requests a second")] = 1000,
    changes: Annotated[int, typer.Option(help="/add and /rm calls of the churn")] = 50,
    json_path: Annotated[Path | None, typer.Option("--json", help="Keep the figures here")] = None,
) -> None:
    """Run the fault drills with containers and print what they showed."""
    run(CONTAINER_DRILLS, names or [], Size(requests, rate, changes), json_path)


if __name__ == "__main__":
    typer.run(main)
