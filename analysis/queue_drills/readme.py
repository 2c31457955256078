"""The README's table of the last queue drills, from what was kept of them. Pure."""

from typing import Any, Final

from analysis.queue_drills.report import Limit, told_limit, told_zeros
from analysis.words import duration, number

WHAT: Final = {
    "kill": "kill -9 of a server at random moments, under producers with idempotence",
    "churn": "random `/add` and `/rm`, under the same and a group of consumers",
    "crowd": "thousands of partitions and connections on one server",
    "idle": "a server with nothing to do",
    "stalled": "consumers that ask for 50 MiB each and never read",
}


def queue_drills_markdown(kept: dict[str, Any]) -> str:
    """A row for each drill, and where the figures come from; `kept` is analysis/results/queue_drills.json."""
    lines = ["| what happens | how much | must be zero | limits | times | what else |", "|---|---|---|---|---|---|"]
    lines += [_row(drill) for drill in kept["drills"]]
    seeds = ", ".join(dict.fromkeys(str(drill["seed"]) for drill in kept["drills"]))
    lines.append(f"\nCommit {kept['commit']}, {kept['made'][:10]}, {kept['cores']} cores, seed {seeds}.")
    return "\n".join(lines) + "\n"


def _row(drill: dict[str, Any]) -> str:
    cells = (
        WHAT[drill["drill"]],
        ", ".join(f"{name} {number(value)}" for name, value in drill["counts"].items()),
        told_zeros(drill["zeros"]),
        ", ".join(told_limit(name, Limit(**limit)) for name, limit in drill["limits"].items()),
        ", ".join(f"{name} {duration(value)}" for name, value in drill["seconds"].items()),
        ", ".join(f"{name} {value}" for name, value in drill["other"].items()),
    )
    return f"| {' | '.join(cells)} |"
