"""`carousel lag [GROUP…]`: how far behind consumer groups are, partition by partition."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from client.cli.tables import lag_table
from client.cli.terms import EXITS, Cluster, Json, console, with_cluster

if TYPE_CHECKING:
    from client import Admin

app = typer.Typer(add_completion=False)


@app.command(epilog=EXITS)
@with_cluster
def lag(
    cluster: Cluster,
    groups: Annotated[list[str] | None, typer.Argument(metavar="GROUP", help="Which (default: all)",
        show_default=False)] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Show how far behind consumer groups are."""
    with cluster.admin() as admin:
        names = groups or [group.name for group in admin.groups()]
        found = [entry for name in names for entry in lags_of(admin, name)]
    if as_json:
        print(json.dumps(found))
    else:
        console.print(lag_table(found))


def lags_of(admin: "Admin", group: str) -> list[dict[str, Any]]:
    """Raises GroupNotFound."""
    return [
        {
            "group": group,
            "topic": one.topic,
            "partition": one.partition,
            "committed": one.committed,
            "end": one.end,
            "lag": one.lag,
        }
        for one in admin.lag(group)
    ]
