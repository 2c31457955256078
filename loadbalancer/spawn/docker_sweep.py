"""The end of a system in containers: every replica of the cluster ended and removed, and the network if we made it.

    python -m loadbalancer.spawn.docker_sweep --cluster ID [--network NAME] [--volumes]

The supervisor runs it as its last act, when nothing that could start a replica is left; `make clean` runs it for the
volumes. It needs no state: the labels say what is ours.
"""

import argparse
import contextlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

from loadbalancer.containers import is_living
from loadbalancer.spawn.base import RuntimeLost
from loadbalancer.spawn.docker_engine import DockerEngine, Engine, Refused

THREADS = 8
GRACE_S = 5.0  # the front door has drained before: there is nothing left for them to finish
POLL_S = 0.1
ROUNDS = 3  # a replica whose start was under way when control ended may turn up after the first


def end_fleet(engine: Engine, grace_s: float = GRACE_S) -> int:
    """SIGTERM to all, SIGKILL after `grace_s`, and all removed. How many there were. Raises RuntimeLost, Refused."""
    ended = 0
    with ThreadPoolExecutor(THREADS) as threads:
        for _ in range(ROUNDS):
            rows = engine.list()
            if not rows:
                break
            living: list[str] = [row["Id"] for row in rows if is_living(row)]
            list(threads.map(engine.signal, living, repeat("SIGTERM")))
            _wait(engine, grace_s)
            every: list[str] = [row["Id"] for row in rows]
            list(threads.map(engine.remove, every))
            ended += len(every)
    return ended


def _wait(engine: Engine, grace_s: float) -> None:
    deadline = time.monotonic() + grace_s
    while any(map(is_living, engine.list())) and time.monotonic() < deadline:
        time.sleep(POLL_S)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m loadbalancer.spawn.docker_sweep", description=__doc__)
    parser.add_argument("--cluster", required=True)
    parser.add_argument("--network", help="remove it too if we made it and nobody is on it")
    parser.add_argument("--volumes", action="store_true", help="the replicas' data too")
    arguments = parser.parse_args(argv)
    try:
        with contextlib.closing(DockerEngine.connect(arguments.cluster, THREADS)) as engine:
            end_fleet(engine)
            if arguments.network:
                engine.remove_network(arguments.network)
            if arguments.volumes:
                engine.remove_volumes()
    except (RuntimeLost, Refused) as error:
        print(f"docker_sweep: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
