"""What the bench asks of a client's process, and what that answers: one JSON object each way. Pure.

A client is a process of its own, so that its CPU is told apart and its import costs nobody anything. It makes itself
ready, says so by the line READY, waits for a line, begins, and ends with one line of JSON.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

READY: Final = "ready"
MINIMAL: Final = 8
"""Bytes of a message that carries its time."""

Load = Callable[["Ask", Callable[[], None]], Mapping[str, float]]
"""(what is asked, ready) -> metrics that the load itself knows, by their names in measures.METRICS; `ready` is called
once, returns when all clients of the load are ready, and the clock begins then. Raises whatever went wrong."""


@dataclass(frozen=True, slots=True)
class Ask:
    """`count` messages of `size` bytes to or from `topic`, by `clients` producers or consumers in this process.

    `product`: whose protocol, a name in loads.PRODUCTS; `address`: host:port; `url`: the front door's, "" without one;
    `rate`: messages a second of a paced load; `synced`: the topic is one whose acks mean the disk; `first`: the number
    of the first client, where several processes share a load.
    """

    product: str
    kind: str
    address: str
    topic: str
    count: int
    size: int
    partitions: int = 1
    synced: bool = False
    rate: int = 0
    clients: int = 1
    first: int = 0
    url: str = ""

    def json(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Told:
    """`begun`, `ended`: seconds of the machine's monotonic clock, comparable among processes; `cpu_s`: the client's
    between them; `metrics`: what the load itself knows."""

    begun: float
    ended: float
    cpu_s: float
    metrics: Mapping[str, float]

    def json(self) -> str:
        return json.dumps(asdict(self))


def ask_from(text: str) -> Ask:
    """Raises ValueError or TypeError."""
    return Ask(**json.loads(text))


def told_from(text: str) -> Told:
    """Of the last line. Raises ValueError or TypeError."""
    values: dict[str, Any] = json.loads(text.rstrip().rpartition("\n")[2])
    return Told(**values)


def shares(count: int, clients: int) -> list[int]:
    """`count` dealt out to `clients`, as evenly as it goes: 10 to 4 is 3, 3, 2, 2."""
    return [count // clients + (place < count % clients) for place in range(clients)]
