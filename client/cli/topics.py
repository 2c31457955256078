"""`carousel topics`: list, create, describe, delete and set."""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from client.cli.default_list import WithList
from client.cli.tables import counted, settings_line, topic_table, topics_table
from client.cli.terms import EXITS, Cluster, Json, Misused, Yes, be_sure, console, with_cluster
from client.errors import TopicExists

if TYPE_CHECKING:
    from client import Admin, TopicInfo

Name = Annotated[str, typer.Argument(metavar="TOPIC", show_default=False)]
Config = Annotated[
    list[str] | None,
    typer.Option("--config", "-c", metavar="NAME=VALUE", help="Such as retention.ms=3600000; may be repeated"),
]

app = typer.Typer(
    cls=WithList, add_completion=False, epilog=EXITS,
    help="List, create, describe, delete topics, and set what they are. Alone it lists them.",
)  # fmt: skip


@app.command(name="list")
@with_cluster
def list_topics(
    cluster: Cluster,
    every: Annotated[bool, typer.Option("--all", "-a", help="Those that the queue keeps for itself too")] = False,
    as_json: Json = False,
) -> None:
    """All topics, with their partitions and messages."""
    with cluster.admin() as admin:
        found = [_listed(admin, topic) for topic in admin.topics(internal=every)]
    if as_json:
        print(json.dumps(found))
    else:
        console.print(topics_table(found))


@app.command()
@with_cluster
def create(
    cluster: Cluster,
    topic: Name,
    partitions: Annotated[int, typer.Option("--partitions", "-p", min=1)] = 1,
    replication: Annotated[int, typer.Option("--replication", "-r", help="Copies; -1: the cluster's own number")] = -1,
    config: Config = None,
    if_not_exists: Annotated[bool, typer.Option("--if-not-exists", help="One that is there is well")] = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Make a topic; answers when its partitions have leaders."""
    made = True
    with cluster.admin() as admin:
        try:
            admin.create_topic(topic, partitions, replication, settings_of(config))
        except TopicExists:
            if not if_not_exists:
                raise
            made = False
    told = f"{topic} has {counted(partitions, 'partition')}" if made else f"{topic} is there already"
    print(json.dumps({"topic": topic, "created": made}) if as_json else told)


@app.command()
@with_cluster
def describe(cluster: Cluster, topic: Name, as_json: Json = False) -> None:
    """One topic: its partitions, who leads them, what they hold, and the configs that are its own."""
    with cluster.admin() as admin:
        found = _described(admin, admin.describe_topic(topic))
    if as_json:
        print(json.dumps(found))
    else:
        console.print(topic_table(found))


@app.command()
@with_cluster
def delete(
    cluster: Cluster,
    topics: Annotated[list[str], typer.Argument(metavar="TOPIC", show_default=False)],
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Delete topics with all their messages."""
    be_sure(f"Delete {', '.join(topics)} with all messages?", yes)
    with cluster.admin() as admin:
        for topic in topics:
            admin.delete_topic(topic)
    print(json.dumps({"deleted": topics}) if as_json else f"deleted {', '.join(topics)}")


@app.command(name="set")
@with_cluster
def set_topic(
    cluster: Cluster,
    topic: Name,
    config: Config = None,
    unset: Annotated[list[str] | None, typer.Option("--unset", "-u", metavar="NAME", help="To its default")] = None,
    partitions: Annotated[int | None, typer.Option("--partitions", "-p", min=1, show_default=False,
        help="So many in all; they can only grow, and keys go elsewhere then")] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Set configs of a topic, or give it more partitions."""
    changes: dict[str, str | None] = {**settings_of(config), **dict.fromkeys(unset or [])}
    if not changes and partitions is None:
        raise Misused("nothing to set: give --config NAME=VALUE, --unset NAME or --partitions N")
    with cluster.admin() as admin:
        if changes:
            admin.set_configs(topic, changes)
        if partitions is not None:
            admin.add_partitions(topic, partitions)
    told = [settings_line(changes)] if changes else []
    told += [counted(partitions, "partition")] if partitions is not None else []
    answer = {"topic": topic, "configs": changes, "partitions": partitions}
    print(json.dumps(answer) if as_json else f"{topic}: {', '.join(told)}")


def settings_of(texts: Iterable[str] | None) -> dict[str, str]:
    """Raises Misused."""
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise Misused(f"--config {text!r} is not NAME=VALUE")
        found[name] = value
    return found


def _listed(admin: "Admin", topic: "TopicInfo") -> dict[str, Any]:
    return {
        "topic": topic.name,
        "partitions": len(topic.partitions),
        "replicas": max((len(one.replicas) for one in topic.partitions), default=0),
        "messages": sum(one.next - one.first for one in admin.offsets(topic.name).values()),
        "internal": topic.internal,
    }


def _described(admin: "Admin", topic: "TopicInfo") -> dict[str, Any]:
    """ "messages" counts offsets: where a log is compacted there are fewer messages."""
    offsets = admin.offsets(topic.name)
    partitions = [
        {
            "partition": one.partition,
            "leader": one.leader,
            "replicas": list(one.replicas),
            "isr": list(one.isr),
            "first": offsets[one.partition].first,
            "next": offsets[one.partition].next,
        }
        for one in topic.partitions
        if one.partition in offsets
    ]
    configs = {name: {"value": one.value, "default": one.default} for name, one in admin.configs(topic.name).items()}
    messages = sum(one.next - one.first for one in offsets.values())
    return {"topic": topic.name, "messages": messages, "partitions": partitions, "configs": configs}
