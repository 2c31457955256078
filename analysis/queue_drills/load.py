"""A topic under several producers, and what must hold of it when they have ended."""

import time
from typing import Final

from analysis.queue_drills.consuming import read_all
from analysis.queue_drills.engines import Engine, create_topic
from analysis.queue_drills.facts import Lane, LaneId, Read
from analysis.queue_drills.plan import BEFORE_S
from analysis.queue_drills.producing import FLUSH_S, Recorder

TOPIC: Final = "drill"
PRODUCERS: Final = 3
PARTITIONS: Final = 12
FIRST_ACK_S: Final = 30.0


class Load:
    """`begin_s` is when each partition had given its first ack, `end_s` when the last message was handed over."""

    def __init__(self, engine: Engine, rate: float, seed: int, topic: str = TOPIC) -> None:
        create_topic(engine, topic, PARTITIONS)
        self._topic = topic
        self._engine = engine
        self._recorders = [
            Recorder(engine.bootstrap, topic, number, PARTITIONS, rate / PRODUCERS, seed) for number in range(PRODUCERS)
        ]
        self.begin_s = self.end_s = 0.0

    def start(self) -> None:
        """Returns when all partitions have given acks for BEFORE_S. Raises TimeoutError."""
        begun = time.monotonic()
        for recorder in self._recorders:
            recorder.start()
        self.wait_fresh(begun, FIRST_ACK_S)
        self.begin_s = time.monotonic()
        time.sleep(BEFORE_S)

    def wait_fresh(self, since_s: float, patience_s: float) -> None:
        """Until each partition has acknowledged a message that was sent after `since_s`. Raises TimeoutError."""
        until = time.monotonic() + patience_s
        while late := [partition for partition, fresh_s in enumerate(self._fresh_s()) if fresh_s <= since_s]:
            if time.monotonic() > until:
                raise TimeoutError(f"partitions {late} gave no ack in {patience_s} s")
            time.sleep(0.01)

    def end(self) -> dict[LaneId, Lane]:
        """Stop, and wait for acks of what is under way."""
        for recorder in self._recorders:
            recorder.stop()
        for recorder in self._recorders:
            recorder.join(FLUSH_S + 10)
        self.end_s = min(recorder.last_s for recorder in self._recorders)
        return {lane_id: lane for recorder in self._recorders for lane_id, lane in recorder.lanes.items()}

    def broken(self) -> list[str]:
        """What broke producers, in words."""
        return [recorder.error for recorder in self._recorders if recorder.error]

    def read(self) -> dict[int, list[Read]]:
        return read_all(self._engine.bootstrap, self._topic, PARTITIONS)

    def _fresh_s(self) -> list[float]:
        return [
            max(recorder.fresh_s[partition] for recorder in self._recorders) for partition in range(PARTITIONS)
        ]  # fmt: skip
