"""What the APIs of topics and of the cluster use of the broker."""

from collections.abc import Callable, Sequence
from typing import Protocol

from server.cluster_view import Answers
from wire.cluster import Image
from wire.errors import ErrorCode

Outcome = memoryview | ErrorCode
"""Control's answer, a frame without its length. Or why there is none: NOT_CONTROLLER, it is away, or went away and may
have seen the request; REQUEST_TIMED_OUT, it has the request and said nothing in time."""


class Control(Protocol):
    """The way to control (`server.aio.control_link`)."""

    def ask(self, api_key: int, version: int, body: bytes, timeout_s: float, done: Callable[[Outcome], None]) -> None:
        """Send a request; `done` is called exactly once, within `timeout_s`, maybe at once."""
        ...


class ClusterContext(Protocol):
    """`image` is never older than what this server acts on; `answers` keeps packed answers of it."""

    @property
    def node_id(self) -> int: ...

    @property
    def cluster_id(self) -> str: ...

    @property
    def image(self) -> Image: ...

    @property
    def answers(self) -> Answers: ...

    @property
    def control(self) -> Control: ...

    @property
    def auto_creates_topics(self) -> bool: ...

    def create_topics(self, names: Sequence[str], done: Callable[[], None]) -> None:
        """Have topics created with the cluster's defaults (`server.auto_creation`). `done` is called once, when control
        has answered or it takes too long."""
        ...
