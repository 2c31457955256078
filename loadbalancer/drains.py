"""When has a leaver finished? When every data-path worker that is connected has said so.

A worker says "drained" for a replica once it holds a snapshot in which that replica drains and has none of its requests
under way. A worker that connects later learns of the leaver first and says so as well; who is gone has no requests.
The ledger is told who is connected and who said what, and answers which leavers are finished.
"""

from collections.abc import Hashable, Iterable

from loadbalancer.snapshot import Epoch


class DrainLedger:
    """Counts the workers' words; `W` below is whatever identifies a worker's connection."""

    def __init__(self) -> None:
        self._workers: set[Hashable] = set()
        self._since: dict[str, Epoch] = {}
        self._said: dict[str, set[Hashable]] = {}

    def set_draining(self, names: Iterable[str], epoch: Epoch) -> None:
        """`names` drain in the snapshot of `epoch`; those not named do not drain any more."""
        wanted = set(names)
        self._since = {name: self._since.get(name, epoch) for name in wanted}
        self._said = {name: self._said.get(name, set()) for name in wanted}

    def connected(self, worker: Hashable) -> None:
        self._workers.add(worker)

    def gone(self, worker: Hashable) -> None:
        self._workers.discard(worker)

    def drained(self, worker: Hashable, name: str, epoch: Epoch) -> None:
        """A word about an older snapshot, from before `name` drained, does not count."""
        if name in self._since and epoch >= self._since[name]:
            self._said[name].add(worker)

    def finished(self) -> list[str]:
        """Leavers of whom every connected worker has said that they are drained, sorted."""
        return sorted(name for name, said in self._said.items() if self._workers <= said)
