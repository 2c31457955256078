"""What the queue counts as it goes: numbers that are added to, and nothing else, on the way of every message. Pure.

The problem: a counter library takes a microsecond for a labelled increment, which is some of these for each of our
requests of 30. So whoever counts holds the very object that it counts in (a partition its topic's, a connection its
API's), an increment is one addition, and names, labels and sums are made when somebody reads `/metrics`.
"""

from bisect import bisect_left
from typing import Final

BOUNDS_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0)
"""Upper bounds of the classes of times: from an append to the page cache to a Fetch that waits."""


class TopicTraffic:
    """One topic on one server. It stays when its partitions move away, since counters don't go down; it goes with the
    topic."""

    __slots__ = ("bytes_in", "bytes_out", "messages_in")

    def __init__(self) -> None:
        self.messages_in = 0
        self.bytes_in = 0
        """Of batches as they came, compressed or not (Kafka's BytesInPerSec)."""
        self.bytes_out = 0
        """To consumers; what followers fetch isn't counted, as in Kafka."""

    def add(self, other: "TopicTraffic") -> None:
        self.messages_in += other.messages_in
        self.bytes_in += other.bytes_in
        self.bytes_out += other.bytes_out


class Times:
    """How often something happened, and how long it took: a histogram."""

    __slots__ = ("classes", "count", "sum_s")

    def __init__(self) -> None:
        self.count = 0
        self.sum_s = 0.0
        self.classes = [0] * (len(BOUNDS_S) + 1)
        """How many fell into each class alone; the last has no bound."""

    def add(self, seconds: float) -> None:
        self.count += 1
        self.sum_s += seconds
        self.classes[bisect_left(BOUNDS_S, seconds)] += 1


class ApiTraffic:
    """The requests for one API: those that came, and the times of those that were answered."""

    __slots__ = ("requests", "times")

    def __init__(self) -> None:
        self.requests = 0
        self.times = Times()
        """From the request's head to its answer written to the socket, waiting included (Kafka's TotalTimeMs)."""


class Requests:
    """By API; fetches of followers apart, which wait by design."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, bool], ApiTraffic] = {}

    def of(self, api_key: int, of_servers: bool = False) -> ApiTraffic:
        """Where the requests of clients, or `of_servers`, for one of the served APIs are counted."""
        return self._found.setdefault((api_key, of_servers), ApiTraffic())

    def all(self) -> list[tuple[tuple[int, bool], ApiTraffic]]:
        return sorted(((key, traffic) for key, traffic in self._found.items() if traffic.requests), key=lambda f: f[0])
