"""`carousel groups`: list, describe, reset and delete."""

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from client.cli.consume import starts_of
from client.cli.default_list import WithList
from client.cli.lag import lags_of
from client.cli.starts import HELP, start_of
from client.cli.tables import group_table, groups_table, reset_table
from client.cli.terms import EXITS, Cluster, Json, Yes, be_sure, console, with_cluster

if TYPE_CHECKING:
    from client import Admin, Member

Name = Annotated[str, typer.Argument(metavar="GROUP", show_default=False)]

app = typer.Typer(
    cls=WithList, add_completion=False, epilog=EXITS,
    help="List, describe, reset and delete consumer groups. Alone it lists them.",
)  # fmt: skip


@app.command(name="list")
@with_cluster
def list_groups(cluster: Cluster, as_json: Json = False) -> None:
    """All groups, their members, and how far behind they are."""
    with cluster.admin() as admin:
        found = [_listed(admin, group.name) for group in admin.groups()]
    if as_json:
        print(json.dumps(found))
    else:
        console.print(groups_table(found))


@app.command()
@with_cluster
def describe(cluster: Cluster, group: Name, as_json: Json = False) -> None:
    """One group: its members and what they read, and where it is in each partition."""
    with cluster.admin() as admin:
        info = admin.describe_group(group)
        lags = lags_of(admin, group)
    found = {
        "group": group,
        "state": info.state,
        "coordinator": info.coordinator,
        "assignor": info.assignor,
        "lag": sum(one["lag"] for one in lags),
        "members": [_member(member) for member in info.members],
        "partitions": lags,
    }
    if as_json:
        print(json.dumps(found))
    else:
        console.print(group_table(found))


@app.command()
@with_cluster
def reset(
    cluster: Cluster,
    group: Name,
    topics: Annotated[list[str], typer.Argument(metavar="TOPIC", show_default=False)],
    to: Annotated[str, typer.Option("--to", metavar="WHERE", help=HELP, show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show it, and change nothing")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Put a group, whose members have ended, elsewhere in these topics. A group that is not there is made."""
    starts = starts_of(cluster, topics, start_of(to, int(time.time() * 1000)), {})
    with cluster.admin() as admin:
        before = {} if group not in {one.name for one in admin.groups()} else _committed(admin, group)
        moves = [
            {"topic": topic, "partition": partition, "committed": before.get((topic, partition)), "next": offset}
            for (topic, partition), offset in starts.items()
        ]
        if not dry_run:
            be_sure(f"Put {group} elsewhere in {', '.join(topics)}?", yes)
            admin.set_offsets(group, starts)
    if as_json:
        print(json.dumps(moves))
    else:
        console.print(reset_table(moves))


@app.command()
@with_cluster
def delete(
    cluster: Cluster,
    groups: Annotated[list[str], typer.Argument(metavar="GROUP", show_default=False)],
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Delete groups, whose members have ended, with their offsets."""
    be_sure(f"Delete {', '.join(groups)}, and where they are?", yes)
    with cluster.admin() as admin:
        for group in groups:
            admin.delete_group(group)
    print(json.dumps({"deleted": groups}) if as_json else f"deleted {', '.join(groups)}")


def _listed(admin: "Admin", group: str) -> dict[str, Any]:
    info = admin.describe_group(group)
    lag = sum(one["lag"] for one in lags_of(admin, group))
    return {"group": group, "state": info.state, "members": len(info.members), "lag": lag}


def _member(member: "Member") -> dict[str, Any]:
    reads = [f"{topic}:{partition}" for topic, partition in member.assignment]
    return {"member": member.member_id, "client": member.client_id, "host": member.host, "reads": reads}


def _committed(admin: "Admin", group: str) -> dict[tuple[str, int], int | None]:
    return {(one.topic, one.partition): one.committed for one in admin.lag(group)}
