"""Who leads a partition, and who is in sync: what each change of the cluster makes of one Partition. Pure functions.

Cluster-rules R3 and R6, after Kafka's PartitionChangeBuilder and KIP-966 (eligible leader replicas):
- a leader is in the ISR and lives, or there is none;
- the ISR is what acks=all waited for, so it alone may be elected from; then the ELR, who were in the ISR when it fell
  below min ISR and have acknowledged all that was shown since (the high watermark stands still below min ISR);
- a change of leader, also to nobody, raises the leader epoch by one; any change raises the partition epoch.

Every function returns the identical object if nothing changes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from wire.cluster import NO_LEADER, Partition

IsLive = Callable[[int], bool]
MIN_ISR = "min.insync.replicas"
UNCLEAN = "unclean.leader.election.enable"


def min_isr_of(partition: Partition, *configs: Mapping[str, str]) -> int:
    """The setting of the first of `configs` that has it, else 1; no more than the partition has replicas (KIP-966)."""
    asked = next((config[MIN_ISR] for config in configs if config.get(MIN_ISR, "").isdecimal()), "1")
    return max(1, min(int(asked), settled_size(partition)))


def settled_size(partition: Partition) -> int:
    """How many replicas there are while or once no move is under way."""
    return len(partition.replicas) - max(len(partition.adding), len(partition.removing))


def allows_unclean(*configs: Mapping[str, str]) -> bool:
    """Whether an out-of-sync replica may lead: the first of `configs` that says so, else no."""
    return next((config[UNCLEAN] for config in configs if UNCLEAN in config), "false") == "true"


def without(partition: Partition, node_id: int, min_isr: int, *, lost: bool = False) -> Partition:
    """A member is away. Where min ISR is 1 the last one stays in the ISR: it has everything, nobody else does.

    `lost`: its disk can't be believed (R3), so it goes from ISR and ELR, even as the last. It leads no more either way:
    `elect` says who does.
    """
    isr = tuple(member for member in partition.isr if member != node_id)
    elr = partition.elr
    if lost:
        elr = tuple(member for member in elr if member != node_id)
    elif node_id in partition.isr and not isr and min_isr <= 1:
        isr = partition.isr
    elif node_id in partition.isr:
        elr = (*elr, node_id)
    if len(isr) >= min_isr:
        elr = ()
    return _changed(partition, isr=isr, elr=elr)


def dethrone(partition: Partition, node_id: int) -> Partition:
    """Whoever led there leads no more, under a new epoch: it may come back, and must find its old one over (R3)."""
    if partition.leader != node_id:
        return partition
    return _led(partition, NO_LEADER)


def elect(partition: Partition, is_live: IsLive, *, unclean: bool = False) -> Partition:
    """Keep the leader if it may lead; else the first in-sync replica that lives, in order of placement, then one of the
    ELR, then (`unclean`) any that lives, the last known leader first; else nobody, and the last one is remembered."""
    if partition.leader in partition.isr and is_live(partition.leader):
        return partition
    living = [member for member in partition.replicas if is_live(member)]
    in_sync = [member for member in living if member in partition.isr]
    if in_sync:
        return _led(partition, in_sync[0])
    chosen = _first(living, lambda member: member in partition.elr)
    if chosen is not None:
        elr = tuple(member for member in partition.elr if member != chosen)
        return _led(partition, chosen, isr=(chosen,), elr=elr)
    if unclean and living:
        chosen = partition.last_leader if partition.last_leader in living else living[0]
        return _led(partition, chosen, isr=(chosen,), elr=())
    return _led(partition, NO_LEADER) if partition.leader != NO_LEADER else partition


def prefer(partition: Partition, is_live: IsLive) -> Partition:
    """The first replica leads, if it is in sync and lives."""
    first = partition.replicas[0]
    if partition.leader == first or first not in partition.isr or not is_live(first):
        return partition
    return _led(partition, first)


def with_isr(partition: Partition, isr: tuple[int, ...], min_isr: int) -> Partition:
    """The leader's wish, checked before. Who was dropped below min ISR is eligible; with enough in sync nobody is."""
    dropped = [member for member in partition.isr if member not in isr]
    elr = () if len(isr) >= min_isr else tuple(m for m in (*partition.elr, *dropped) if m not in isr)
    return replace(partition, isr=isr, elr=elr, partition_epoch=partition.partition_epoch + 1)


def settle_elr(partition: Partition, min_isr: int) -> Partition:
    """After a leader came by election: the ELR empties when the ISR is large enough."""
    return _changed(partition, elr=()) if partition.elr and len(partition.isr) >= min_isr else partition


def begin_move(partition: Partition, target: tuple[int, ...]) -> Partition:
    """Towards `target`, in its order: the newcomers are replicas from now on, the leavers still are."""
    adding = tuple(member for member in target if member not in partition.replicas)
    removing = tuple(member for member in partition.replicas if member not in target)
    return _changed(partition, replicas=(*target, *removing), adding=adding, removing=removing)


def is_caught_up(partition: Partition, is_live: IsLive) -> bool:
    """Whether a move can end: all newcomers are in sync, and somebody who stays can lead."""
    staying = [member for member in partition.isr if member not in partition.removing]
    moved = bool(partition.adding or partition.removing)
    return moved and set(partition.adding) <= set(partition.isr) and any(map(is_live, staying))


def end_move(partition: Partition, is_live: IsLive) -> Partition:
    """The leavers go, and the first in sync leads, under a new epoch, in one record (as Kafka's reassignments end)."""
    leavers = partition.removing
    replicas, isr, elr = (
        tuple(member for member in members if member not in leavers)
        for members in (partition.replicas, partition.isr, partition.elr)
    )
    ended = _changed(partition, replicas=replicas, isr=isr, elr=elr, adding=(), removing=())
    preferred = prefer(ended, is_live)
    return elect(preferred, is_live)


def call_off(partition: Partition) -> Partition:
    """Back to what was before the move; who was added and is in sync already stays until then out of the ISR.

    Unless none of the others is in it: then who was added has what they lack, and stays a replica (R11)."""
    added, isr = set(partition.adding), set(partition.isr)
    gone = added if isr - added else added - isr - set(partition.elr)
    replicas, isr, elr = (
        tuple(member for member in members if member not in gone)
        for members in (partition.replicas, partition.isr, partition.elr)
    )
    return _changed(partition, replicas=replicas, isr=isr, elr=elr, adding=(), removing=())


def _led(partition: Partition, leader: int, **fields: Any) -> Partition:
    if leader == partition.leader and not fields:
        return partition
    last = leader if leader != NO_LEADER else partition.leader if partition.leader != NO_LEADER else None
    if last is not None:
        fields["last_leader"] = last
    return _changed(partition, leader=leader, leader_epoch=partition.leader_epoch + 1, **fields)


def _changed(partition: Partition, **fields: Any) -> Partition:
    changed = replace(partition, **fields)
    if changed == partition:
        return partition
    return replace(changed, partition_epoch=partition.partition_epoch + 1)


def _first(members: Iterable[int], wanted: Callable[[int], bool]) -> int | None:
    return next((member for member in members if wanted(member)), None)
