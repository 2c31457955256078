"""A control that speaks the link over a Unix socket: a second implementation, with an image in memory and no rules.

It lets in whoever knows the secret, grants epochs, gives out records and producer ids, and creates topics (each
partition on the lowest node that is registered). What is to go wrong is set by the test.
"""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from wire import messages
from wire.cluster import Broker, Image, Partition, Record, Topic
from wire.cluster_link import Position, Registration, Update, poll_answer, read_poll, read_registration
from wire.cluster_login import authenticated_node
from wire.frames import BufferPool, FrameReader, RequestHead, read_head

Handler = Callable[["Peer", RequestHead, memoryview], bytes | None]
"""The answer's frame, or None: it is given later, or never."""

IDS = 1000


class FakeControl:
    """`async with FakeControl(path)`; `address` is what ControlLink takes. `heard`: (api key, decoded request)."""

    def __init__(self, path: str, secret: str = "secret", image: Image | None = None) -> None:
        self.address = f"unix:{path}"
        self.secret = secret
        self.image = image or Image(generation=1)
        self.peers: list[Peer] = []
        self.registered: list[Registration] = []
        self.polls: list[Position] = []
        self.beats: list[Any] = []
        self.heard: list[tuple[int, Any]] = []
        self.overrides: dict[int, Handler] = {}
        self._path = path
        self._log: list[tuple[int, Sequence[Record]]] = []
        self._parked: list[tuple[Peer, int, Position]] = []

    async def __aenter__(self) -> "FakeControl":
        self._server = await asyncio.get_running_loop().create_unix_server(lambda: Peer(self), self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.hang_up()
        await asyncio.sleep(0)

    def hang_up(self) -> None:
        """All connections end, as by a crash."""
        for peer in self.peers:
            peer.transport.abort()
        self.peers.clear()
        self._parked.clear()

    def commit(self, *records: Record) -> None:
        """Decide something: the image's next version, told to everyone who polls."""
        version = self.image.version + 1
        self.image = self.image.with_records(records, self.image.generation, version)
        self._log.append((version, records))
        parked, self._parked = self._parked, []
        for peer, correlation_id, at in parked:
            self._answer_poll(peer, correlation_id, at)

    def handle(self, peer: "Peer", head: RequestHead, frame: memoryview) -> bytes | None:
        if head.api_key in self.overrides:
            return self.overrides[head.api_key](peer, head, frame)
        handlers = {17: self._handshake, 36: self._authenticate}
        if peer.node_id is not None:
            handlers |= {62: self._register, 63: self._beat, 67: self._give_ids, 56: self._alter, 19: self._create}
            handlers[10_000] = self._poll
        return handlers[head.api_key](peer, head, frame)

    def decoded(self, head: RequestHead, frame: memoryview) -> Any:
        assert head.at is not None
        request = messages.decode(head.api_key, head.version, frame, head.at)
        self.heard.append((head.api_key, request))
        return request

    def answer(self, head: RequestHead, values: dict[str, Any]) -> bytes:
        message = messages.build(head.api_key, head.version, {"throttle_time": 0} | values)
        return messages.answer(head.correlation_id, message)

    # --- what is asked ------------------------------------------------------------------------------------

    def _handshake(self, peer: "Peer", head: RequestHead, frame: memoryview) -> bytes:
        return self.answer(head, {"error_code": 0, "mechanisms": ["PLAIN"]})

    def _authenticate(self, peer: "Peer", head: RequestHead, frame: memoryview) -> bytes:
        peer.node_id = authenticated_node(self.decoded(head, frame).auth_bytes, self.secret)
        refused = peer.node_id is None
        told = {"error_code": 58 if refused else 0, "error_message": "wrong secret" if refused else None}
        return self.answer(head, told | {"auth_bytes": b""})

    def _register(self, peer: "Peer", head: RequestHead, frame: memoryview) -> bytes:
        assert head.at is not None
        said = read_registration(head.version, frame, head.at)
        self.registered.append(said)
        known = self.image.brokers.get(said.node_id)
        if known is None or known.incarnation != said.incarnation:
            epoch = self.image.version + 1
            broker = Broker(said.node_id, said.incarnation, said.directory, epoch, False, said.listeners, said.rack)
            self.commit(broker.record())
        epoch = self.image.brokers[said.node_id].epoch
        return self.answer(head, {"error_code": 0, "broker_epoch": epoch})

    def _beat(self, peer: "Peer", head: RequestHead, frame: memoryview) -> bytes:
        beat = self.decoded(head, frame)
        self.beats.append(beat)
        told = {"is_caught_up": True, "is_fenced": False, "should_shut_down": beat.want_shut_down}
        return self.answer(head, {"error_code": 0} | told)

    def _poll(self, peer: "Peer", head: RequestHead, frame: memoryview) -> None:
        assert head.at is not None
        at = read_poll(frame, head.at)
        self.polls.append(at)
        self._answer_poll(peer, head.correlation_id, at)

    def _answer_poll(self, peer: "Peer", correlation_id: int, at: Position) -> None:
        here = Position(self.image.generation, self.image.version)
        if at == here:
            self._parked.append((peer, correlation_id, at))
            return
        first = self._log[0][0] if self._log else here.version + 1
        if at.generation == here.generation and at.version >= first - 1:
            records = [record for version, some in self._log if version > at.version for record in some]
            update = Update(here, records)
        else:
            update = Update(here, (), self.image.records())
        peer.transport.write(poll_answer(correlation_id, update))

    def _give_ids(self, peer: "Peer", head: RequestHead, frame: memoryview) -> bytes:
        self.decoded(head, frame)
        start = self.image.next_producer_id
        self.commit({"type": "producer_ids", "next": start + IDS})
        return self.answer(head, {"error_code": 0, "producer_id_start": start, "producer_id_len": IDS})

    def _alter(self, peer: "Peer", head: RequestHead, frame: memoryview) -> bytes:
        """Whatever is wished, if it is based on what is."""
        topics = [
            {
                "topic_id": topic.topic_id,
                "partitions": [self._altered(topic.topic_id.hex, one) for one in topic.partitions],
            }
            for topic in self.decoded(head, frame).topics
        ]
        return self.answer(head, {"error_code": 0, "topics": topics})

    def _altered(self, topic_id: str, wish: Any) -> dict[str, Any]:
        old = self.image.partitions[topic_id, wish.partition_index]
        code = 0 if wish.partition_epoch == old.partition_epoch else 95
        if not code:
            isr = [member.broker_id for member in wish.new_isr_with_epochs]
            self.commit({**old.record(), "isr": isr, "partition_epoch": old.partition_epoch + 1})
        now = self.image.partitions[topic_id, wish.partition_index]
        return {
            "partition_index": now.partition, "error_code": code, "leader_id": now.leader,
            "leader_epoch": now.leader_epoch, "isr": now.isr, "partition_epoch": now.partition_epoch,
        }  # fmt: skip

    def _create(self, peer: "Peer", head: RequestHead, frame: memoryview) -> bytes:
        return self.answer(head, {"topics": [self._created(topic) for topic in self.decoded(head, frame).topics]})

    def _created(self, topic: Any) -> dict[str, Any]:
        told = {"name": topic.name, "error_code": 36, "error_message": None, "configs": None, "topic_id": None}
        if topic.name not in self.image.topics:
            told |= {"error_code": 0, "topic_id": self.create_topic(topic.name, max(1, topic.num_partitions))}
        return told

    def create_topic(self, name: str, partitions: int = 1, **more: Any) -> uuid.UUID:
        """On the lowest registered node."""
        topic_id, node = uuid.uuid4(), min(self.image.brokers)
        topic = Topic(name, topic_id.hex, internal=name.startswith("__"), **more)
        placed = [Partition(topic_id.hex, number, (node,), (node,), leader=node) for number in range(partitions)]
        self.commit(topic.record(), *[partition.record() for partition in placed])
        return topic_id


class Peer(asyncio.BufferedProtocol):
    """One server's connection. `node_id` None: not logged in."""

    def __init__(self, control: FakeControl) -> None:
        self.node_id: int | None = None
        self._control = control
        self._frames = FrameReader(BufferPool())

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._control.peers.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self._control.peers:
            self._control.peers.remove(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._frames.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        self._frames.received(nbytes)
        while (frame := self._frames.next()) is not None:
            answer = self._control.handle(self, read_head(frame), frame)
            if answer is not None:
                self.transport.write(answer)
