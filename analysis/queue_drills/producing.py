"""Producers that write down what they are told: confluent-kafka with idempotence, acks=all, and no end of retries.

A thread each, open loop: what is due is handed over whether or not earlier messages were acknowledged, so an outage is
felt by what comes meanwhile, too. Records stay in this process, which nobody kills.
"""

import random
import threading
import time
from collections.abc import Mapping
from typing import Final

from confluent_kafka import KafkaError, Message, Producer

from analysis.queue_drills.facts import Lane, LaneId
from analysis.queue_drills.marks import Mark, mark_of, marked

FLUSH_S: Final = 120.0
"""After the last message, for what is under way: longer than any restart."""
TICK_S: Final = 0.005
LARGEST: Final = 2000
SETTINGS: Final[Mapping[str, str | int | bool]] = {
    "enable.idempotence": True,
    "acks": "all",
    "linger.ms": 5,
    "message.timeout.ms": 0,  # never give up: what is given up may be there or not, and nothing could be said of it
    "queue.buffering.max.messages": 1_000_000,
    "log_level": 1,  # that servers are away is what is done here, and no news
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 500,
    "topic.metadata.refresh.interval.ms": 1000,
    "socket.timeout.ms": 10_000,  # a busy machine must not look like a dead server
}


class Recorder(threading.Thread):
    """One producer. `lanes` may be read once it has ended; if it broke, `error` says how, else it is empty.

    `fresh_s` is, by partition, when the newest message was sent that is acknowledged.
    """

    def __init__(self, bootstrap: str, topic: str, number: int, partitions: int, rate: float, seed: int) -> None:
        super().__init__(daemon=True, name=f"producer {number}")
        self.lanes = {LaneId(number, partition): Lane() for partition in range(partitions)}
        self.fresh_s = [0.0] * partitions
        self.error = ""
        self.last_s = 0.0
        self._settings = {**SETTINGS, "bootstrap.servers": bootstrap, "client.id": f"producer-{number}"}
        self._topic, self._number, self._partitions, self._rate = topic, number, partitions, rate
        self._chance = random.Random(f"{seed}/producer/{number}")
        self._filling = self._chance.randbytes(2 * LARGEST)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """No more new messages; the thread ends when all are acknowledged, or FLUSH_S later."""
        self._stopping.set()

    def run(self) -> None:
        try:
            self._load(Producer(self._settings))
        except Exception as error:  # for the report: what it was told until then counts
            self.error = f"{self.name}: {error!r}"
            self.last_s = self.last_s or time.monotonic()

    def _load(self, producer: Producer) -> None:
        begun, made = time.monotonic(), 0
        while not self._stopping.is_set():
            due = int((time.monotonic() - begun) * self._rate)
            for _ in range(due - made):
                self._send(producer)
            made = max(made, due)
            producer.poll(TICK_S)
        self.last_s = time.monotonic()
        producer.flush(FLUSH_S)  # what it leaves open is in the lanes

    def _send(self, producer: Producer) -> None:
        partition = self._chance.randrange(self._partitions)
        at, size = self._chance.randrange(LARGEST), self._chance.randrange(LARGEST)
        lane = self.lanes[LaneId(self._number, partition)]
        number = lane.sent(time.monotonic())
        value = marked(Mark(self._number, partition, number), self._filling[at : at + size])
        try:
            producer.produce(self._topic, value, partition=partition, on_delivery=self._told)
        except BufferError:  # it holds a million already: this one was never sent
            lane.taken_back()

    def _told(self, error: KafkaError | None, message: Message) -> None:
        now = time.monotonic()
        value, partition, offset = message.value(), message.partition(), message.offset()
        mark = mark_of(value) if isinstance(value, bytes) else None
        assert mark is not None and partition == mark.partition
        lane = self.lanes[LaneId(mark.producer, mark.partition)]
        if error is not None:
            lane.gave_up(mark.number, error.str(), now)
        else:
            assert offset is not None
            lane.acked(mark.number, offset, now)
            self.fresh_s[mark.partition] = lane.sent_s[mark.number]
