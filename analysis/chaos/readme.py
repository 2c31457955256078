"""The README's paragraph about the last chaos run, from what was kept of it. Pure."""

from typing import Any

from analysis.words import duration, number


def chaos_markdown(kept: dict[str, Any]) -> str:
    """A table of two columns, and where the figures come from; `kept` is analysis/results/chaos.json."""
    broken = sum(rule["count"] for rule in kept["violations"].values())
    rows = {
        "requests": f"{number(kept['requests'])} at {number(kept['rate'])} a second",
        "harm": _counts(kept["harm"]),
        "**rules broken**": f"**{number(broken)}**",
        "retries": f"{number(kept['retries'])}, {number(kept['retries_denied'])} denied",
        "may not be repeated, and were refused": _counts(kept["refused"]),
        "left by their clients": number(kept["left"]),
        "cut within the answer, by what was done to its replica": _counts(kept["cut"]),
        "latency": f"p50 {duration(kept['p50_s'])}, p99 {duration(kept['p99_s'])}, p99.9 {duration(kept['p999_s'])}, "
        f"worst {duration(kept['worst_s'])}",
        "longest time without any answer": duration(kept["gap_s"]),
    }
    lines = ["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows.items() if text)]
    where = f"{kept['cores']} cores, {kept['replicas']} replicas, seed {kept['seed']}"
    return "\n".join([*lines, f"\nCommit {kept['commit']}, {kept['made'][:10]}, {where}.\n"])


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {number(count)}" for name, count in counts.items())
