"""`carousel ring KEY`: the ring built here from what GET /admin/cluster says, as each data-path worker builds it."""

from typing import Any

from loadbalancer.ring import RingMember, RingSpec, build_ring


def order_of(key: int, cluster: dict[str, Any]) -> dict[str, Any]:
    """{"slot", "slots", "order": the replicas clockwise, the key's own first}. Raises LookupError on an empty ring."""
    described = cluster["ring"]
    spec = RingSpec(described["hash"], described["probe"])
    members = [RingMember(m["node_id"], m["index"], m["weight"], tuple(m["slots"])) for m in described["members"]]
    replicas = {replica["node_id"]: replica for replica in cluster["replicas"]}
    if not members:
        raise LookupError("the ring is empty: there are no replicas")
    ring = build_ring(spec, members)
    order = [replicas[node_id] for node_id in ring.successors(key)]
    shown = [{name: replica[name] for name in ("name", "node_id", "state")} for replica in order]
    return {"slot": ring.slot(key), "slots": ring.slots, "order": shown}
