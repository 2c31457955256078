"""`meta.properties`: whose a data directory is, in Kafka's own format and words. Pure.

    version=1
    cluster.id=<the cluster's id>
    node.id=<the node id: what the ring knows, and the Kafka broker id>
    directory.id=<random, made with the directory>

A replica that was given another cluster's or another node's directory would serve, and then replicate, the
wrong shards. So the file is checked at each start and a mismatch refused; nothing ever rewrites it.
"""

from dataclasses import dataclass
from typing import Final

VERSION: Final = "1"


class MetaError(Exception):
    """The directory isn't ours to use: the text says why, in one line."""


@dataclass(frozen=True, slots=True)
class Meta:
    """A data directory's identity."""

    cluster_id: str
    node_id: int
    directory_id: str

    def to_text(self) -> str:
        return (
            f"version={VERSION}\ncluster.id={self.cluster_id}\n"
            f"node.id={self.node_id}\ndirectory.id={self.directory_id}\n"
        )


def parse_meta(text: str) -> Meta:
    """The identity that a `meta.properties` holds; unknown keys and comments pass. Raises MetaError."""
    lines = [line.strip() for line in text.splitlines()]
    pairs = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    missing = [key for key in ("version", "cluster.id", "node.id", "directory.id") if not pairs.get(key)]
    if missing:
        raise MetaError(f"meta.properties lacks {', '.join(missing)}")
    if pairs["version"] != VERSION:
        raise MetaError(f"meta.properties is of version {pairs['version']}, not {VERSION}")
    if not (pairs["node.id"].isascii() and pairs["node.id"].isdigit()):
        raise MetaError(f"meta.properties has node.id={pairs['node.id']}, not a number")
    return Meta(pairs["cluster.id"], int(pairs["node.id"]), pairs["directory.id"])


def check_meta(meta: Meta, cluster: str | None, node_id: int | None) -> None:
    """Raises MetaError if the directory belongs to another cluster or node than was asked for (None: any)."""
    if cluster is not None and cluster != meta.cluster_id:
        raise MetaError(f"it belongs to cluster {meta.cluster_id}, not to {cluster}")
    if node_id is not None and node_id != meta.node_id:
        raise MetaError(f"it belongs to node {meta.node_id}, not to {node_id}")
