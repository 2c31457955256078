"""The profile as it is printed."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from analysis.door_profile.table import SUM, Profile, Row

FUNCTIONS = 20


def show(profile: Profile, console: Console) -> None:
    """The table of parts, the functions, and what else was measured."""
    console.print(table_of(profile.rows))
    console.print(functions_table(profile.functions_us))
    for what, us in profile.rare_us.items():
        console.print(f"Once a second for each connection: {what}, {us:.2f} µs")
    for name, cost in profile.costs.items():
        console.print(
            f"{name}: {cost.rate:,.0f} requests/s, {cost.total_us:.1f} µs each "
            f"(worker: user {cost.user_us:.1f}, system {cost.system_us:.1f}); strangers: {cost.foreign:.0%} of a core",
            markup=False,
        )
    for name, look in profile.outside.items():
        said = ", ".join(f"{what} {value:.2f}" for what, value in look.items())
        console.print(f"{name}: {said or 'could not be watched'}", markup=False)


def table_of(rows: Sequence[Row]) -> Table:
    """Parts in order, a line below sums."""
    table = Table(title="One small keyed GET, CPU time", title_justify="left")
    for heading in ("part", "what", "µs", "how it is known"):
        table.add_column(heading, justify="right" if heading == "µs" else "left")
    for row in rows:
        table.add_row(row.part, row.what, f"{row.us:.2f}", row.how, end_section=row.how == SUM)
    return table


def functions_table(functions_us: Mapping[str, float]) -> Table:
    """The largest ones."""
    table = Table(title="The same path by function, sampled: own time", title_justify="left")
    table.add_column("function")
    table.add_column("µs", justify="right")
    for name, us in list(functions_us.items())[:FUNCTIONS]:
        table.add_row(name, f"{us:.2f}")
    return table
