"""A client's process: `python -m analysis.queue_bench.loads '{"product": "kafka", "kind": "produce", …}'`.

See analysis.queue_bench.asked for what it is asked and what it says.
"""

import importlib
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Final

from analysis.queue_bench.asked import READY, Load, Told, ask_from

PRODUCTS: Final[Mapping[str, str]] = {
    "kafka": "analysis.queue_bench.clients.kafka",
    "kafka-tools": "analysis.queue_bench.clients.kafka_tools",
    "redis": "analysis.queue_bench.clients.redis_streams",
    "jetstream": "analysis.queue_bench.clients.jetstream",
    "rabbitmq": "analysis.queue_bench.clients.rabbitmq",
    "http": "analysis.queue_bench.clients.http_calls",
}
"""Modules with LOADS, by the protocol that they speak; imported only when asked for."""


class Clock:
    """Begins when every client is ready."""

    def __init__(self) -> None:
        self.begun = self._cpu = 0.0

    def ready(self) -> None:
        print(READY, flush=True)
        sys.stdin.readline()
        self.begun, self._cpu = time.perf_counter(), cpu_s()

    def told(self, metrics: Mapping[str, float]) -> Told:
        return Told(self.begun, time.perf_counter(), cpu_s() - self._cpu, metrics)


def cpu_s() -> float:
    """This process's, and that of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def main(argv: Sequence[str]) -> int:
    ask = ask_from(argv[0])
    loads: Mapping[str, Load] = importlib.import_module(PRODUCTS[ask.product]).LOADS
    clock = Clock()
    print(clock.told(loads[ask.kind](ask, clock.ready)).json(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
