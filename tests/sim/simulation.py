"""A server that is killed again and again, and its clients: everything from one seed.

SEED=7 python -m tests.sim.simulation
"""

import os
import sys
from random import Random

from server.disk.memory import MemoryDisk, honest
from server.now import Now
from server.storage import StorageError
from tests.sim.clients import Consumer, Producer
from tests.sim.ledger import Broken, Ledger
from tests.sim.life import Life, Power, ProducerIds
from tests.support.broker_world import ME, TOPIC_ID
from tests.support.log_case import PowerCut
from wire.batches import BatchError
from wire.cluster import Image, Record

PARTITIONS = 2
OFFSETS_ID = "0" * 31 + "2"
SMALL = {"segment.bytes": "700", "index.interval.bytes": "150"}
"""A dozen batches fill several segments."""
OFFSETS = {**SMALL, "cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1", "segment.bytes": "400"}
POWER_SHARE = 0.7
"""Of all kills; the others leave the page cache as it is, which the next life may lose after all."""
NO_CUT = 1 << 60
MOST_OPERATIONS_LOG2 = 8.5


class Simulation:
    """`kills` power cuts, and what lies between. `lie`: syncs of that kind (KINDS) only pretend."""

    def __init__(self, seed: int, kills: int = 10, lie: str | None = None) -> None:
        self.seed = seed
        self.asked: set[tuple[str, str]] = set()
        self._random = Random(seed)
        self._kills = kills
        self._lie = lie
        self._disk = MemoryDisk()
        self._ids = ProducerIds()
        self._ledger = Ledger()
        self._now = Now(100_000, 1_700_000_000_000)
        self._epoch = 0
        self._producers = [Producer(name, name % PARTITIONS, self._random, self._ledger) for name in range(3)]
        self._consumers = [Consumer(f"g{n}", n % PARTITIONS, self._random, self._ledger) for n in range(3)]
        self._life: Life

    def run(self) -> None:
        """Raises Broken, with the seed, at the first promise that is."""
        try:
            killed = 0
            while killed < self._kills:
                killed += self._live()
            self._end()
        except (AssertionError, BatchError, StorageError) as error:
            raise Broken(f"SEED={self.seed}: {error}") from error

    @property
    def story(self) -> tuple[object, ...]:
        """What it came to; the same for the same seed."""
        ledger = self._ledger
        return self._epoch, self._now, ledger.acknowledged, ledger.seen, self._random.random()

    def _live(self) -> bool:
        """One life; False if it ended in order."""
        operations = int(2 ** self._random.uniform(0, MOST_OPERATIONS_LOG2))
        is_kind = self._random.random() < 0.1
        power = Power(operations, self._lie, lambda: self._life.meanwhile())
        self._disk.hook = power
        try:
            self._begin()
            for _ in range(operations if is_kind else NO_CUT):
                self._act()
            self._life.stop()
            return False
        except PowerCut:
            if self._random.random() < POWER_SHARE:
                self._disk.kill(self._random.randrange)
            return True
        finally:
            self._now = self._life.now
            self.asked |= power.asked
            for client in (*self._producers, *self._consumers):
                client.reconnect()

    def _begin(self) -> None:
        """A new life with what the disk has left: it must have all that was promised."""
        self._epoch += 1
        self._life = Life(self._disk, self._random, self._now, self._ids, self._act)
        self._life.start(Image().with_records(_cluster(self._epoch), 1, self._epoch))
        self._check()

    def _check(self) -> None:
        for partition in range(PARTITIONS):
            self._consumers[partition].check_all(self._life)
        for consumer in self._consumers:
            consumer.read_committed(self._life)
        self._ledger.check_ascending(self._life.offsets_of("__consumer_offsets"))

    def _act(self) -> None:
        """Anything that may happen."""
        life, choice = self._life, self._random.random()
        if not life.is_open:
            return
        if choice < 0.5:
            self._random.choice(self._producers).act(life)
        elif choice < 0.65:
            self._random.choice(self._consumers).act(life)
        elif choice < 0.91:
            life.sync_one()
        elif choice < 0.95:
            life.compact_one()
        else:
            life.pass_ms(self._random.choice((1, 20, 400)))

    def _end(self) -> None:
        """No more trouble: everything that was sent gets through, and stays."""
        self._disk.hook = honest
        self._begin()
        for _ in range(10_000):
            if all(producer.is_done for producer in self._producers):
                break
            for producer in self._producers:
                producer.act(self._life, new=False)
            self._life.sync_one()
        else:
            raise Broken("what was sent never got through")
        self._check()
        assert all(consumer.read_committed(self._life) for consumer in self._consumers)
        self._life.stop()
        self._disk.kill(lambda _: 0)
        self._begin()


def _cluster(epoch: int) -> list[Record]:
    """A lone server in its life of number `epoch`, which leads everything."""
    broker: Record = {"type": "broker", "node_id": ME, "incarnation": "1", "directory": "1", "epoch": epoch}
    broker |= {"fenced": False, "listeners": {"CLIENT": ["here", 9092]}}
    lead = {"replicas": [ME], "isr": [ME], "leader": ME, "leader_epoch": epoch, "partition_epoch": epoch}
    records: list[Record] = [broker]
    for name, topic_id, partitions, configs in (
        ("t", TOPIC_ID, PARTITIONS, SMALL),
        ("__consumer_offsets", OFFSETS_ID, 1, OFFSETS),
    ):
        records.append({"type": "topic", "name": name, "id": topic_id, "configs": configs})
        records += [{"type": "partition", "topic": topic_id, "partition": n, **lead} for n in range(partitions)]
    return records


def main() -> int:
    seed = int(os.environ.get("SEED", "1"))
    Simulation(seed).run()
    print(f"SEED={seed}: no promise broken")
    return 0


if __name__ == "__main__":
    sys.exit(main())
