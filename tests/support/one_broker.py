"""One broker with a fixed image of topics and no control: what clients need to produce and consume.

    python -m tests.support.one_broker --data-dir /tmp/x --port 9092 --topic t:4 --fsync never

Topics that clients create (by Metadata's auto-creation) are made here, at once, as control would.
"""

import argparse
import asyncio
import signal
import threading
import uuid
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvloop

from server.aio.queue import Queue
from server.apis import MODULES, registry
from server.broker import OFFSETS_TOPIC, BrokerSettings
from server.disk.files import FileDisk
from server.group_words import GroupSettings
from server.log_settings import Fsync
from wire import messages
from wire.cluster import Image, Record
from wire.versions import ADVERTISED

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

    def alter_partition(self, partition: Any, isr: tuple[int, ...]) -> None: ...

    def allocate_producer_ids(self) -> None:
        start, self.next_producer_id = self.next_producer_id, self.next_producer_id + 1000
        asyncio.get_running_loop().call_soon(self.queue.broker.give_producer_ids, range(start, start + 1000))

    def create_topic(self, name: str, partitions: int = 4, configs: Mapping[str, str] | None = None) -> None:
        if name in self.image.topics:
            return
        if name == OFFSETS_TOPIC:
            partitions, configs = 3, {"cleanup.policy": "compact"}
        self.change(topic_records(name, partitions, configs or {}))

    def leaders_changed(self) -> None: ...


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


class ApiVersions:
    """As small as can be, until the real one is there."""

    KEY = 18

    def handle(self, call: Any, request: Any, context: Any) -> bytes:
        return self.answer(call, call.version, 0)

    def unknown_version(self, call: Any, head: Any) -> bytes | None:
        return self.answer(call, 0, 35) if head.api_key == self.KEY else None

    def answer(self, call: Any, version: int, code: int) -> bytes:
        keys = [{"api_key": key, "min_version": low, "max_version": high} for key, low, high in ADVERTISED]
        values = {"error_code": code, "api_keys": keys, "throttle_time": 0}
        return messages.answer(call.correlation_id, messages.build(self.KEY, version, values))


class Metadata:
    """As small as can be, until the real one is there."""

    KEY = 3

    def handle(self, call: Any, request: Any, context: Any) -> bytes:
        image = context.image
        names = None if request.topics is None else [_name_of(topic, image) for topic in request.topics]
        if names == [] and call.version == 0:
            names = None
        for name in names or ():
            if name is not None and name not in image.topics:
                context.auto_create(name)
        image = context.image
        values = {
            "throttle_time": 0,
            "error_code": 0,
            "brokers": [
                context.endpoint_of(node, call.listener)._asdict() for node in image.brokers
            ],
            "cluster_id": "one",
            "controller_id": NODE,
            "topics": [_topic(name, image) for name in (image.topics if names is None else names)],
        }
        return messages.answer(call.correlation_id, messages.build(self.KEY, call.version, values))


def _name_of(topic: Any, image: Image) -> str | None:
    topic_id = getattr(topic, "topic_id", None)
    return topic.name if topic.name is not None else image.names.get(topic_id.hex)


def _topic(name: str | None, image: Image) -> dict[str, Any]:
    topic = image.topics.get(name or "")
    if topic is None:
        return {"error_code": 3, "name": name, "topic_id": None, "is_internal": False, "partitions": []}
    partitions = [
        {
            "error_code": 0,
            "partition_index": state.partition,
            "leader_id": state.leader,
            "leader_epoch": state.leader_epoch,
            "replica_nodes": list(state.replicas),
            "isr_nodes": list(state.isr),
            "offline_replicas": [],
        }
        for state in image.partitions_of(topic.id)
    ]
    return {
        "error_code": 0,
        "name": name,
        "topic_id": uuid.UUID(topic.id),
        "is_internal": topic.internal,
        "partitions": partitions,
    }


async def start(
    data_dir: Path,
    port: int = 0,
    topics: Mapping[str, tuple[int, Mapping[str, str]]] | None = None,
    fsync: Fsync = Fsync.NEVER,
    settings: BrokerSettings | None = None,
) -> tuple[Queue, FixedControl, int]:
    control = FixedControl()
    versions = ApiVersions()
    data_dir.mkdir(parents=True, exist_ok=True)
    settings = settings or BrokerSettings(groups=GroupSettings(initial_rebalance_delay_ms=100))
    queue = Queue(
        NODE,
        FileDisk(data_dir),
        control,
        registry([*MODULES, versions, Metadata()]),
        versions.unknown_version,
        replace(settings, log_dir=str(data_dir)),
        fsync,
    )
    control.queue = queue
    bound = await queue.listen("CLIENT", HOST, port)
    opened = asyncio.Event()
    queue.on_opened = opened.set
    records = [broker_record({"CLIENT": bound})]
    for name, (partitions, configs) in (topics or {}).items():
        records += topic_records(name, partitions, configs)
    control.change(records)
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
