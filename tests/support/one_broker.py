"""One broker with a fixed image of topics and no control: what clients need to produce and consume.

    python -m tests.support.one_broker --data-dir /tmp/x --port 9092 --topic t:4 --fsync never

Topics that clients create (by Metadata's auto-creation) are made here, at once, as control would.
"""

import argparse
import asyncio
import signal
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvloop

from server.aio.queue import Queue
from server.broker import BrokerSettings
from server.disk.files import FileDisk
from server.group_words import GroupSettings
from server.log_settings import Fsync
from wire import messages
from wire.cluster import Image, Record
from wire.errors import ErrorCode
from wire.topic_names import OFFSETS_TOPIC
from wire.versions import ALLOCATE_PRODUCER_IDS, CREATE_TOPICS

NODE = 1
HOST = "127.0.0.1"


class FixedControl:
    """Control for one server: whatever is asked for is so."""

    def __init__(self) -> None:
        self.queue: Queue
        self.image = Image()
        self.next_producer_id = 1000

    def change(self, records: Sequence[Record]) -> None:
        self.image = self.image.with_records(records, 1, self.image.version + len(records))
        self.queue.apply(self.image)

    def ask(self, api_key: int, version: int, body: bytes, timeout_s: float, done: Callable[[Any], None]) -> None:
        if api_key == CREATE_TOPICS:
            results = [self._created(topic) for topic in messages.decode(api_key, version, body).topics]
            answer = messages.build(api_key, version, {"throttle_time": 0, "topics": results})
            self.queue.when_opened(lambda: done(memoryview(messages.answer(0, answer))[4:]))
        elif api_key == ALLOCATE_PRODUCER_IDS:
            start, self.next_producer_id = self.next_producer_id, self.next_producer_id + 1000
            values = {"throttle_time": 0, "error_code": 0, "producer_id_start": start, "producer_id_len": 1000}
            done(memoryview(messages.answer(0, messages.build(api_key, version, values)))[4:])
        else:
            done(ErrorCode.NOT_CONTROLLER)

    def _created(self, topic: Any) -> dict[str, Any]:
        is_there = topic.name in self.image.topics
        configs = {config.name: config.value for config in topic.configs}
        self.create_topic(topic.name, 4 if topic.num_partitions < 0 else topic.num_partitions, configs)
        code = ErrorCode.TOPIC_ALREADY_EXISTS if is_there else ErrorCode.NONE
        return {"name": topic.name, "topic_id": None, "error_code": code, "error_message": None, "configs": None}

    def create_topic(self, name: str, partitions: int = 4, configs: Mapping[str, str] | None = None) -> None:
        if name in self.image.topics:
            return
        if name == OFFSETS_TOPIC:
            partitions, configs = 3, {"cleanup.policy": "compact"}
        self.change(topic_records(name, partitions, configs or {}))


def topic_records(name: str, partitions: int, configs: Mapping[str, str]) -> list[Record]:
    # The same id for the same name at each start, as there is no control that would remember it.
    topic_id = uuid.uuid5(uuid.NAMESPACE_DNS, name).hex
    topic = {"type": "topic", "name": name, "id": topic_id, "internal": name.startswith("__"), "configs": dict(configs)}
    return [topic, *(_partition_record(topic_id, number) for number in range(partitions))]


def _partition_record(topic_id: str, number: int) -> Record:
    return {
        "type": "partition",
        "topic": topic_id,
        "partition": number,
        "replicas": [NODE],
        "isr": [NODE],
        "leader": NODE,
        "leader_epoch": 0,
        "partition_epoch": 0,
    }


def broker_record(ports: Mapping[str, int]) -> Record:
    return {
        "type": "broker",
        "node_id": NODE,
        "incarnation": "0" * 32,
        "directory": "0" * 32,
        "epoch": 1,
        "fenced": False,
        "listeners": {name: [HOST, port] for name, port in ports.items()},
    }


async def start(
    data_dir: Path,
    port: int = 0,
    topics: Mapping[str, tuple[int, Mapping[str, str]]] | None = None,
    fsync: Fsync = Fsync.NEVER,
    settings: BrokerSettings | None = None,
) -> tuple[Queue, FixedControl, int]:
    control = FixedControl()
    data_dir.mkdir(parents=True, exist_ok=True)
    settings = settings or BrokerSettings(groups=GroupSettings(initial_rebalance_delay_ms=100))
    queue = Queue(
        NODE,
        "one",
        FileDisk(data_dir),
        control,
        replace(settings, log_dir=str(data_dir)),
        fsync,
    )
    control.queue = queue
    bound = await queue.listen("CLIENT", HOST, port)
    opened = asyncio.Event()
    records = [broker_record({"CLIENT": bound})]
    for name, (partitions, configs) in (topics or {}).items():
        records += topic_records(name, partitions, configs)
    control.change(records)
    queue.when_opened(opened.set)
    await opened.wait()
    queue.broker.ask_producer_ids()
    queue.start()
    return queue, control, bound


@contextmanager
def running(data_dir: Path, topics: Mapping[str, tuple[int, Mapping[str, str]]] | None = None, **more: Any) -> Any:
    """A broker in a thread of its own; yields "host:port"."""
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    queue, _, port = asyncio.run_coroutine_threadsafe(start(data_dir, 0, topics, **more), loop).result(20)
    try:
        yield f"{HOST}:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(queue.stop(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _main(arguments: Any) -> None:
    topics = {name: (int(count), {}) for name, count in (topic.split(":") for topic in arguments.topic)}
    queue, _, port = await start(Path(arguments.data_dir), arguments.port, topics, Fsync(arguments.fsync))
    print(f"ready {HOST}:{port}", flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await queue.stop()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--topic", action="append", default=[])
    parser.add_argument("--fsync", default="never")
    parser.add_argument("--profile")
    arguments = parser.parse_args()
    uvloop.install()
    if arguments.profile:
        import cProfile

        profile = cProfile.Profile()
        profile.runcall(asyncio.run, _main(arguments))
        profile.dump_stats(arguments.profile)
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_main(arguments))


if __name__ == "__main__":
    main()
