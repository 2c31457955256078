"""analysis/results/README.md, written from the kept figures alone: what was observed, and why it is so."""

from collections.abc import Iterable
from typing import Any

from analysis.measures import ALPHA
from analysis.words import KEYS_FROM, duration, number

Figures = dict[str, Any]


def written(kept: dict[str, Figures]) -> str:
    """The report on those analyses (a1 … a4) that were made."""
    makers = {"a1": a1, "a2": a2, "a3": a3, "a4": a4}
    parts = [INTRODUCTION, *(makers[name](figures) + source(name, figures) for name, figures in sorted(kept.items()))]
    return "\n\n".join(part.strip() for part in parts) + "\n"


INTRODUCTION = f"""
# What the analyses show

Made by `make analysis` from the JSON files beside this one; not edited by hand. Every request is a real one, through a
running front door to real replicas, and counts are taken from the answers. *Exact shares* are computed from every slot
of the ring (or place of the table), not sampled. The p-value is that of a chi-squared test of the counts against them.
Among k tests with right shares, the least p-value is below {ALPHA:g} / k once in a hundred times (Bonferroni); that is
the bound for what is called consistent here. Wrong shares fall far below it.
"""


def source(name: str, figures: Figures) -> str:
    """Where the part's figures come from."""
    return (
        f"\n\n[{name}.json]({name}.json): commit {figures['commit']}, {figures['made'][:10]}, seed {figures['seed']}, "
        f"Python {figures['python']}, {figures['cores']} cores."
    )


def table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def percent(shares: Iterable[float]) -> str:
    return " / ".join(f"{100 * share:.2f}" for share in shares) + " %"


def p_text(run: Figures) -> str:
    return "-" if run["p_value"] is None else f"{run['p_value']:.3g}"


def failed(runs: Iterable[Figures]) -> int:
    return sum(sum(run["failed"].values()) for run in runs)


def verdict(runs: list[Figures]) -> str:
    """Whether the counts of these runs are what the shares say, as far as there are shares."""
    tested = [run for run in runs if run["p_value"] is not None]
    doubtful = [run for run in tested if run["p_value"] < ALPHA / len(tested)]
    if not doubtful:
        return f"All {len(tested)} counts are consistent with the exact shares."
    names = ", ".join(f"{run['ring_hash']}/{run['policy']} on N = {run['n']} (p = {p_text(run)})" for run in doubtful)
    return f"{len(doubtful)} of {len(tested)} counts are not what chance alone would give: {names}."


# --- A-1 --------------------------------------------------------------------------------------------------------


def a1(figures: Figures) -> str:
    runs: list[Figures] = figures["runs"]
    rows = (
        (
            f"`{run['ring_hash']}`", KEYS_FROM[run["keys"]], " / ".join(map(number, run["counts"].values())),
            percent(run["shares"].values()), f"{run['chi_squared']:.2f}", p_text(run), sum(run["failed"].values()),
        )
        for run in runs
    )  # fmt: skip
    heads = ("ring", "keys", "requests by replica", "exact shares", "χ²", "p", "failed")
    return f"""
## A-1: {number(figures["requests"])} asynchronous requests on N = {runs[0]["n"]}

![Requests by replica](a1.png)

{table(heads, rows)}

**Observed.** {verdict(runs)} {_even_and_not(runs)}

**Why.** `mmh3` puts 8192 virtual nodes of each replica on the ring: a share is then off by about 1/√8192 = 1.1 %,
little more than the sampling error of the requests. `spec` has nine of each, placed by a polynomial: for i from 1 to 3
and j from 0 to 8, i² + j² + 2j + 25 lies between 26 and 114, all in the first quarter of the 512 slots. The rest, 83 %
of the ring, is one arc; whatever falls there goes round to its end, slot 26, and that is server1's. The front door's
own ids and the client's give the same picture: both are uniform, and only the ring differs.
"""


def _even_and_not(runs: list[Figures]) -> str:
    worst = {run["ring_hash"]: run["max_over_mean"] for run in runs if run["keys"] == "seeded"}
    return " ".join(f"With `{name}` the busiest replica has {load:.2f} times the mean." for name, load in worst.items())


# --- A-2 --------------------------------------------------------------------------------------------------------


def a2(figures: Figures) -> str:
    runs: list[Figures] = figures["runs"]
    rows = (
        (
            f"`{run['ring_hash']}`", run["n"], number(run["mean"]), number(run["std"]), number(run["least"]),
            number(run["most"]), f"{run['max_over_mean']:.2f}", p_text(run), sum(run["failed"].values()),
        )
        for run in runs
    )  # fmt: skip
    heads = ("ring", "N", "mean", "standard deviation", "least", "most", "most / mean", "p", "failed")
    sizes = [run["n"] for run in runs]
    return f"""
## A-2: N from {min(sizes)} to {max(sizes)}, {number(figures["requests"])} requests each

![Mean load and spread](a2.png)

{table(heads, rows)}

**Observed.** The mean is the requests over N, whatever the ring: {number(runs[0]["mean"])} on N = {sizes[0]}, down to
{number(runs[-1]["mean"])} on N = {sizes[-1]}. The spread is what tells rings apart. {_spreads(runs)} {verdict(runs)}

**Why.** Scaling out helps as far as the busiest replica is relieved. With `mmh3` a newcomer takes its part from all who
are there, so the spread stays near the sampling error, √(requests · p · (1 - p)), at every N. With `spec` a newcomer's
slots begin at i² + 25, so they crowd among the others', and the long empty arc still ends at slot 26: server1 keeps
most of what it had, however many come.
"""


def _spreads(runs: list[Figures]) -> str:
    parts: list[str] = []
    for name in dict.fromkeys(run["ring_hash"] for run in runs):
        loads = [run["max_over_mean"] for run in runs if run["ring_hash"] == name]
        parts.append(f"With `{name}` the busiest has between {min(loads):.2f} and {max(loads):.2f} times the mean.")
    return " ".join(parts)


# --- A-3 --------------------------------------------------------------------------------------------------------


def a3(figures: Figures) -> str:
    endpoints: list[Figures] = figures["endpoints"]
    kept = sum(row["kept"] for row in endpoints)
    rows = (
        (row["at"], f"{row['method']} {row['path']}", _sent(row), _status(row), _code(row["answer"]))
        for row in endpoints
    )
    return f"""
## A-3: every endpoint, and a replica killed under load

![A replica is killed](a3.png)

{_kills(figures)}

**Observed.** {_killed_words(figures)}

**Why.** The supervisor is the parent of the replicas' processes, so the kernel tells it of an end at once (with
containers the engine's `die` event does); heartbeats take up to a second and are there for replicas that hang. The data
path does not even wait for that word: what was under way at the dead one is taken back and sent to the next replica
clockwise, as a GET may be, and a connection that is refused goes there too. So what a kill costs is time, not answers.
The replacement takes over the dead one's node id and with it its keys: no other key moves.

{table(("at", "call", "sent", "status", "answer"), rows)}

{kept} of {len(endpoints)} calls were answered with the status that the interface promises.
"""


def _status(row: Figures) -> str:
    return str(row["status"]) if row["kept"] else f"**{row['status']}**, promised was {row['promised']}"


def _sent(row: Figures) -> str:
    return " ".join(filter(None, (_code(row["body"]), f"Accept: {row['accept']}" if row["accept"] else "")))


def _code(text: str) -> str:
    return f"`{text}`" if text and text != "empty" and "`" not in text else text


def _kills(figures: Figures) -> str:
    kills: dict[str, Figures] = figures["kills"]
    heads = (
        "runtime", "requests", "failed", "noticed", "replacement started", "healthy", "its first answer",
        "latency p50 / p99 / max, ms",
    )  # fmt: skip
    rows = [
        (
            runtime, number(kill["requests"]), kill["failed"],
            *(duration(kill[name]) for name in ("noticed_s", "starting_s", "healthy_s", "first_answer_s")),
            " / ".join(f"{kill['latency_ms'][name]:.1f}" for name in ("p50", "p99", "max")),
        )
        for runtime, kill in figures["kills"].items()
        if "skipped" not in kill
    ]  # fmt: skip
    skipped = [f"Not measured with `{name}`: {kill['skipped']}." for name, kill in kills.items() if "skipped" in kill]
    return "\n\n".join([table(heads, rows), *skipped])


def _killed_words(figures: Figures) -> str:
    parts = [
        f"With `{runtime}`, {kill['failed']} of {number(kill['requests'])} requests failed; the end of {kill['victim']}"
        f" was noticed after {duration(kill['noticed_s'])}, and {kill['successor'] or 'nobody'} served instead after"
        f" {duration(kill['first_answer_s'])}."
        for runtime, kill in figures["kills"].items()
        if "skipped" not in kill
    ]
    return " ".join(parts) or "No kill was measured."


# --- A-4 --------------------------------------------------------------------------------------------------------


def a4(figures: Figures) -> str:
    runs: list[Figures] = figures["runs"]
    setups = dict.fromkeys((run["ring_hash"], run["policy"]) for run in runs)
    sizes = sorted({run["n"] for run in runs})
    rows: list[list[object]] = []
    for setup in setups:
        own = {run["n"]: run for run in runs if (run["ring_hash"], run["policy"]) == setup}
        three = own.get(3, next(iter(own.values())))
        rows.append([*(f"`{part}`" for part in setup), " / ".join(map(number, three["counts"].values())), p_text(three),
                     *(f"{own[n]['max_over_mean']:.3f}" for n in sizes)])  # fmt: skip
    heads = ("hash", "policy", "A-1: requests by replica, N = 3", "p", *(f"most / mean, N = {n}" for n in sizes))
    return f"""
## A-4: hashes and policies side by side

![Hashes and policies](a4.png)

{table(heads, rows)}

**Observed.** {_best_and_worst(runs)} {verdict(runs)}
{failed(runs)} of {number(sum(run["requests"] for run in runs))} requests failed.

**Why.** The three course hashes share one flaw, nine virtual servers a replica in a small part of the ring, and differ
in where those fall: whoever holds the slot at the end of the long empty arc gets most. Over `mmh3`, `ring`, `maglev`
and `rendezvous` go by the key alone, so their counts scatter as throws of a die do, about shares that are nearly even
(`ring`), even to one of 16 381 places (`maglev`) or even outright (`rendezvous`). `bounded` is the ring until a replica
has 1.25 times its part of what is under way, then passes on: it trims the busiest. `p2c` looks at who is less busy, not
at the key: equal keys don't meet, and it evens out the work under way, not the counts, so a replica that happens to
answer faster gets more. The last two have no exact share to be tested against: their choice hangs on the moment.
"""


def _best_and_worst(runs: list[Figures]) -> str:
    worst: dict[str, float] = {}
    for run in runs:
        name = f"`{run['ring_hash']}` with `{run['policy']}`"
        worst[name] = max(worst.get(name, 0.0), run["max_over_mean"])
    ordered = sorted(worst.items(), key=lambda item: item[1])
    (best, low), (last, high) = ordered[0], ordered[-1]
    return f"Over all N the most even is {best} (at most {low:.3f} times the mean), the least even {last} ({high:.2f})."
