"""How a chaos run is printed and kept."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from analysis.chaos.run import EXAMPLES, Outcome
from analysis.provenance import provenance
from analysis.words import duration, number

LATE_S = 1.0
LATE = ": it could not keep up, so these latencies are its own"


def table_of(outcome: Outcome) -> Table:
    verdict, speed = outcome.verdict, outcome.speed
    table = Table(title=f"chaos run, seed {outcome.size.seed}", title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column()
    rows = {
        "requests": f"{number(verdict.requests)}, {number(verdict.answered)} answered",
        "harm": told(_kinds(outcome)),
        "violations": told({rule: len(ids) for rule, ids in verdict.violations.items()}) or "none",
        "examples": "\n".join(outcome.stories),
        "fleet": "" if outcome.whole_again else "not whole again",
        "refused, not repeatable": told(verdict.refused),
        "cut within the answer": told(verdict.cut),
        "left by the client": number(verdict.left),
        "lost with a worker": number(verdict.with_worker) if outcome.size.workers_too else "",
        "handled again": number(verdict.handled_again),
        "front door": told({name: round(value) for name, value in outcome.counted.items()}),
        "latency": f"p50 {duration(speed.p50_s)}, p99 {duration(speed.p99_s)}, p99.9 {duration(speed.p999_s)}, "
        f"worst {duration(speed.worst_s)}",
        "slowest": outcome.slowest,
        "longest gap": f"{duration(speed.gap_s)} without an answer, {speed.gap_at_s:.1f} s after the start",
        "client": f"late by {duration(outcome.late_s)} at worst{LATE if outcome.late_s > LATE_S else ''}",
        "not done": "; ".join(outcome.missed[:EXAMPLES]),
    }
    for name, text in rows.items():
        if text:
            table.add_row(name, text)
    return table


def told(counts: Any) -> str:
    return ", ".join(f"{name} {number(count)}" for name, count in counts.items())


def figures(outcome: Outcome) -> dict[str, Any]:
    """What is kept; times of harm count from the start of the load."""
    verdict = outcome.verdict
    return {
        **asdict(outcome.size),
        "requests": verdict.requests,
        "answered": verdict.answered,
        "violations": {rule: {"count": len(ids), "first": ids[:EXAMPLES]} for rule, ids in verdict.violations.items()},
        "examples": outcome.stories,
        "whole_again": outcome.whole_again,
        "refused": dict(verdict.refused),
        "cut": dict(verdict.cut),
        "with_worker": verdict.with_worker,
        "left": verdict.left,
        "handled_again": verdict.handled_again,
        **{name: round(value) for name, value in outcome.counted.items()},
        **{name: round(value, 4) for name, value in asdict(outcome.speed).items()},
        "slowest": outcome.slowest,
        "client_late_s": round(outcome.late_s, 4),
        "harm": _kinds(outcome),
        "missed": outcome.missed,
        "harms": outcome.harms,
    }


def _kinds(outcome: Outcome) -> dict[str, int]:
    return dict(Counter(harm.partition(" ")[0] for harm in outcome.harms))


def keep(outcome: Outcome, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**provenance(), **figures(outcome)}, indent=1) + "\n")
