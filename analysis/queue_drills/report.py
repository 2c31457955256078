"""What a drill reports, how it is printed and kept."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from analysis.provenance import provenance
from analysis.queue_drills.judge import GROUP_RULES, RULES, Verdict
from analysis.words import duration, number


@dataclass(frozen=True, slots=True)
class Limit:
    value: float
    at_most: float

    @property
    def met(self) -> bool:
        return self.value <= self.at_most


@dataclass(slots=True)
class Report:
    """One drill's figures. `zeros` must all be 0 and `limits` met; the rest is only told. A time of None never came."""

    drill: str
    engine: str
    seed: int
    zeros: dict[str, int] = field(default_factory=dict[str, int])
    limits: dict[str, Limit] = field(default_factory=dict[str, Limit])
    counts: dict[str, int] = field(default_factory=dict[str, int])
    seconds: dict[str, float | None] = field(default_factory=dict[str, float | None])
    other: dict[str, Any] = field(default_factory=dict[str, Any])
    examples: list[str] = field(default_factory=list[str])

    @property
    def clean(self) -> bool:
        return not any(self.zeros.values()) and all(limit.met for limit in self.limits.values())


def add_verdict(report: Report, verdict: Verdict, group: bool = False) -> None:
    """Each rule is a zero, broken or not."""
    report.zeros |= {rule: verdict.broken[rule] for rule in (*RULES, *(GROUP_RULES if group else ()))}
    report.counts |= {"sent": verdict.sent, "acknowledged": verdict.acked, "read": verdict.read}
    if group:
        report.counts["delivered again"] = verdict.redelivered
    report.examples += [f"{rule}: {what}" for rule, told in verdict.examples.items() for what in told]


def add_broken(report: Report, who: str, errors: Sequence[str]) -> None:
    report.zeros[f"{who} that broke"] = len(errors)
    report.examples += errors


def table_of(reports: Sequence[Report]) -> Table:
    table = Table(title="queue drills", title_justify="left")
    for heading in ("drill", "engine", "counts", "must be zero", "limits", "times", "other"):
        table.add_column(heading)
    for report in reports:
        table.add_row(
            report.drill, report.engine,
            ", ".join(f"{name} {number(value)}" for name, value in report.counts.items()),
            told_zeros(report.zeros) + "".join(f"\n{example}" for example in report.examples),
            ", ".join(told_limit(name, limit) for name, limit in report.limits.items()),
            ", ".join(f"{name} {duration(value)}" for name, value in report.seconds.items()),
            ", ".join(f"{name} {value}" for name, value in report.other.items()),
        )  # fmt: skip
    return table


def told_zeros(zeros: dict[str, int]) -> str:
    """Those that are not zero, or that all are."""
    broken = ", ".join(f"{name} {number(value)}" for name, value in zeros.items() if value)
    return broken or (f"all {len(zeros)} are" if zeros else "")


def told_limit(name: str, limit: Limit) -> str:
    return f"{name} {limit.value:.3g} (≤ {limit.at_most:g}{'' if limit.met else ': NOT MET'})"


def keep(reports: Sequence[Report], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {**provenance(), "drills": [asdict(report) for report in reports]}
    path.write_text(json.dumps(kept, indent=1) + "\n")
