"""A cluster's image and a broker's context made by hand, for the tests of the APIs of topics and of the cluster."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from server.api.cluster_context import Outcome
from server.api.shape import Answer, Call, Later
from server.cluster_view import Answers
from server.now import Now
from wire import messages
from wire.cluster import Broker, Image, Partition, Record, Topic
from wire.frames import read_response_head
from wire.primitives import Data
from wire.versions import response_header

IDS = {"orders": "0" * 31 + "1", "down": "0" * 31 + "2", "__consumer_offsets": "0" * 31 + "3"}


def broker(node_id: int, **given: Any) -> Broker:
    values: dict[str, Any] = {
        "incarnation": f"{node_id:032x}",
        "directory": f"{node_id:032x}",
        "epoch": node_id,
        "fenced": False,
        "listeners": {"CLIENT": (f"host-{node_id}", 9000 + node_id), "INTERNAL": ("127.0.0.1", 7000 + node_id)},
    }
    return Broker(node_id, **(values | given))


def image_of(records: Iterable[Record], version: int = 7) -> Image:
    return Image().with_records(records, 1, version)


def small_image() -> Image:
    """Servers 1 to 3 of which 3 is fenced; orders-0 is led by 1, orders-1 by 2; down-0 has no leader, down-1 a fenced
    one."""
    things = (
        broker(2), broker(1, rack="a"), broker(3, fenced=True),
        Topic("orders", IDS["orders"], configs={"retention.ms": "1000"}),
        Topic("down", IDS["down"]),
        Topic("__consumer_offsets", IDS["__consumer_offsets"], internal=True),
        Partition(IDS["orders"], 0, (1, 2), (1, 2), leader=1, leader_epoch=4),
        Partition(IDS["orders"], 1, (2, 3), (2,), leader=2, leader_epoch=5, elr=(3,)),
        Partition(IDS["down"], 0, (3,), (), leader=-1, leader_epoch=2, last_leader=3),
        Partition(IDS["down"], 1, (3,), (3,), leader=3, leader_epoch=2),
        Partition(IDS["__consumer_offsets"], 0, (1,), (1,), leader=1),
    )  # fmt: skip
    return image_of([thing.record() for thing in things])


class FakeControl:
    """Keeps what it is asked; `outcome` (body of an answer, made of the request) answers at once."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int, bytes, float, Callable[[Outcome], None]]] = []
        self.outcome: Callable[[int, int, bytes], Outcome] | None = None

    def ask(self, api_key: int, version: int, body: bytes, timeout_s: float, done: Callable[[Outcome], None]) -> None:
        self.asked.append((api_key, version, body, timeout_s, done))
        if self.outcome is not None:
            done(self.outcome(api_key, version, body))

    def request(self, at: int = -1) -> Any:
        """What was asked, decoded."""
        api_key, version, body, _, _ = self.asked[at]
        return messages.decode(api_key, version, body)


def control_says(api_key: int, version: int, values: dict[str, Any]) -> memoryview:
    """An answer frame of control's, without its length."""
    return memoryview(messages.answer(99, messages.build(api_key, version, values)))[4:]


class ClusterWorld:
    """Second implementation of ClusterContext."""

    def __init__(self, image: Image | None = None) -> None:
        self.node_id = 1
        self.cluster_id = "the-cluster"
        self.image = small_image() if image is None else image
        self.answers = Answers()
        self.control = FakeControl()
        self.auto_creates_topics = True
        self.created: list[tuple[tuple[str, ...], Callable[[], None]]] = []
        self.started_with: dict[str, str] = {"log.dirs": "/data", "log.retention.ms": "77"}

    def create_topics(self, names: Sequence[str], done: Callable[[], None]) -> None:
        self.created.append((tuple(names), done))


class Asking:
    """One call of an API module, and its answer decoded by our reader."""

    def __init__(
        self, module: Any, version: int, request: dict[str, Any], world: Any, listener: str = "CLIENT"
    ) -> None:
        self.key: int = module.KEY
        self.version = version
        self.frames: list[Answer] = []
        call = Call(version, 42, "test", "127.0.0.1", listener, Now(1_000, 2_000), self.frames.append)
        outcome = module.handle(call, messages.build(self.key, version, request, "request"), world)
        self.is_parked = outcome is Later.PARKED
        if not isinstance(outcome, Later):
            self.frames.append(outcome)

    @property
    def frame(self) -> bytes:
        (answer,) = self.frames
        return answer if isinstance(answer, bytes) else b"".join(answer)

    @property
    def answer(self) -> Any:
        return read_answer(self.key, self.version, self.frame)


def read_answer(key: int, version: int, frame: Data) -> Any:
    view = memoryview(frame)
    assert int.from_bytes(view[:4], "big") == len(view) - 4
    correlation_id, at = read_response_head(view[4:], response_header(key, version))
    assert correlation_id == 42, correlation_id
    return messages.decode_response(key, version, view[4:], at)
