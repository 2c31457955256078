"""A Kafka cluster in memory, as control knows one when it adds partitions, held to the contract of the real ones."""

from collections.abc import Callable, Mapping

from loadbalancer.partition_adding import Place
from wire.http_queue import partition_names


class FakeCluster:
    """A cluster in memory. `happens` is called before and after each step that leaves something behind."""

    def __init__(self) -> None:
        self.topics: dict[str, int] = {}
        self.log: dict[Place, str] = {}
        self.happens: Callable[[], None] = lambda: None
        self.late: dict[str, int] = {}  # what the server that is asked believes, where it is behind

    def partitions(self, topic: str) -> int:
        return self.late.get(topic, self.topics.get(topic, 0))

    def all_partitions(self) -> Mapping[str, int]:
        return {**self.topics, **self.late}

    def names(self) -> Mapping[Place, str]:
        return dict(self.log)

    def write_names(self, changes: Mapping[Place, str | None]) -> None:
        for place, name in changes.items():
            self.happens()
            if name is None:
                self.log.pop(place, None)
            else:
                self.log[place] = name
        self.happens()

    def appears(self, place: Place) -> bool:
        self.late.clear()
        return place[1] < self.topics.get(place[0], 0)

    def settle(self) -> None:
        self.late.clear()

    def make(self, place: Place) -> bool:
        topic, number = place
        self.happens()
        if self.topics.get(topic, 0) != number:
            return False
        self.topics[topic] = number + 1
        self.happens()
        return True

    def shown(self, topic: str) -> tuple[str, ...]:
        given_names = {number: name for (of, number), name in self.log.items() if of == topic}
        return partition_names(self.topics.get(topic, 0), given_names)
