"""Topics created because somebody asked for them: `auto.create.topics.enable`, and Kafka's internal ones. Pure.

A thousand clients that start together ask for the same new topic, of any server; control is asked once from each. Who
asks waits for the answer, which comes when the leaders serve, but no longer than CREATION_WAIT_S: the request blocks
its connection, and asking again is cheap.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from wire import messages
from wire.versions import CREATE_TOPICS

VERSION: Final = 7
CREATION_WAIT_S: Final = 2.0
"""Well below every client's request time-out, and long for what takes some ms."""
SERVED_WAIT_S: Final = 10.0
"""Where no request waits for it: longer than control does for the leaders."""
DEFAULT: Final = -1
"""Partitions and replication: as control's settings say (KIP-464)."""


class Control(Protocol):
    def ask(self, api_key: int, version: int, body: bytes, timeout_s: float, done: Callable[[Any], None]) -> None: ...


class AutoCreation:
    """Asks control to create topics, one time each; how it went is seen in the image."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._waiting: dict[str, list[Callable[[], None]]] = {}

    def create(self, names: Sequence[str], done: Callable[[], None], wait_s: float = CREATION_WAIT_S) -> None:
        """`done` is called once, when all of `names` were answered for, maybe at once, or after `wait_s`. `names` isn't
        empty."""
        wanted = set(names)
        settled = _Countdown(len(wanted), done)
        new = sorted(wanted - self._waiting.keys())
        for name in wanted:
            self._waiting.setdefault(name, []).append(settled)
        if new:
            self._control.ask(CREATE_TOPICS, VERSION, _request(new, wait_s), wait_s, lambda _: self._answered(new))

    def is_under_way(self, name: str) -> bool:
        """Whether control has yet to answer for it: the topic may be known by then, but its leaders need not serve."""
        return name in self._waiting

    def _answered(self, names: Sequence[str]) -> None:
        for name in names:
            for settled in self._waiting.pop(name):
                settled()


class _Countdown:
    def __init__(self, count: int, done: Callable[[], None]) -> None:
        self._count = count
        self._done = done

    def __call__(self) -> None:
        self._count -= 1
        if not self._count:
            self._done()


def _request(names: Sequence[str], wait_s: float) -> bytes:
    topics: list[dict[str, object]] = [
        {"name": name, "num_partitions": DEFAULT, "replication_factor": DEFAULT, "assignments": [], "configs": []}
        for name in names
    ]
    values = {"topics": topics, "timeout": int(wait_s * 1000), "validate_only": False}
    return messages.encode(messages.build(CREATE_TOPICS, VERSION, values, "request"))
