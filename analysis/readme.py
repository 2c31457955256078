"""Fills the README's made parts: the settings from their definition, the figures from analysis/results.

python -m analysis.readme [--check]
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

from analysis.chaos.readme import chaos_markdown
from analysis.door_bench.readme import bench_markdown
from analysis.provenance import ROOT
from analysis.queue_bench.readme import queue_markdown
from analysis.queue_drills.readme import queue_drills_markdown
from loadbalancer.cli.flags import settings_markdown

RESULTS = ROOT / "analysis" / "results"

WHAT = {
    "startup": "`carousel up` until the first answer, three replicas serving",
    "kill": "a replica is killed (kill -9)",
    "exit": "a replica exits by itself",
    "hang": "a replica hangs with its port open",
    "freeze": "a replica is frozen (SIGSTOP)",
    "arbiter": "kill -9 of gunicorn's arbiter",
    "control-worker": "kill -9 of control's worker",
    "control-both": "kill -9 of both",
    "control-and-replica": "kill -9 of both and of a replica at once",
    "door-worker": "kill -9 of one of two data-path workers",
    "reload": "`carousel reload`, twice",
    "supervisor": "kill -9 of the supervisor",
    "burst": "10 000 asynchronous GETs at once",
    "connections": "10 000 connections at once on one worker",
    "churn": "random `/add` and `/rm` under load",
    "docker-kill": "`docker kill` of a replica",
    "docker-stop": "`docker stop` of a replica",
    "docker-pause": "`docker pause` of a replica",
    "container-oom": "a replica takes more memory than it may",
    "container-hang": "a replica hangs with its port open",
    "front-processes": "kill -9 of all processes of the front door but the first of its container",
    "front-crash": "kill -9 of the first one, so of the container; its restart policy",
    "front-kill": "`docker kill` of the front door, `docker start`",
    "front-restart": "`docker restart` of the front door, `CAROUSEL_ON_EXIT=leave`",
    "container-churn": "random `/add` and `/rm` under load",
}


def figures_markdown(results: dict[str, Any]) -> str:
    """A row for each drill, and where the figures come from."""
    lines = ["| what happens | requests | failed | what else | times, s |", "|---|---|---|---|---|"]
    for drill in results["drills"]:
        zeros = {name: value for name, value in drill["zeros"].items() if name != "failed"}
        failed = drill["zeros"].get("failed", "")
        lines.append(
            f"| {WHAT.get(drill['drill'], drill['drill'])} | {drill['requests'] or ''} | {failed} "
            f"| {_others(drill['other'], zeros)} | {_times(drill['seconds'])} |"
        )
    where = f"{results['cores']} cores, {results['rate']:g} requests/s"
    lines.append(f"\nCommit {results['commit']}, {results['made'][:10]}, {where}.")
    return "\n".join(lines) + "\n"


def _others(other: dict[str, Any], zeros: dict[str, int]) -> str:
    words = [f"{name}: {value}" for name, value in zeros.items()]
    words += [
        f"{name}: {other[name]}"
        for name in ("idle PSS, MB", "answers", "failed on its open connections", "failed while it was away")
        if name in other
    ]
    return ", ".join(words)


def _times(seconds: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in seconds.items())


PARTS = (
    ("figures", "drills.json", figures_markdown),
    ("containers", "containers.json", figures_markdown),
    ("door", "door.json", bench_markdown),
    ("chaos", "chaos.json", chaos_markdown),
    ("queue", "queue.json", queue_markdown),
    ("queue-drills", "queue_drills.json", queue_drills_markdown),
)


def filled(text: str) -> str:
    """The README with its made parts made anew; figures that were never measured are left as they are."""
    text = _replace(text, "settings", settings_markdown())
    for part, file, made in PARTS:
        if (RESULTS / file).exists():
            text = _replace(text, part, made(json.loads((RESULTS / file).read_text())))
    return text


def _replace(text: str, part: str, made: str) -> str:
    pattern = re.compile(rf"(<!-- {part}: [^\n]*-->\n).*?(<!-- /{part} -->)", re.DOTALL)
    return pattern.sub(lambda match: f"{match[1]}\n{made}\n{match[2]}", text)


def main() -> int:
    readme: Path = ROOT / "README.md"
    text = readme.read_text()
    if "--check" in sys.argv:
        return int(filled(text) != text)
    readme.write_text(filled(text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
