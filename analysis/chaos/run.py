"""One chaos run from its seed: a system, a load, harm, and what came of it."""

import asyncio
import gc
import re
import shlex
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import uvloop

from analysis.chaos.asks import draw
from analysis.chaos.client import Client
from analysis.chaos.facts import Record, Served
from analysis.chaos.figures import Speed, climbed, speed, told, told_harm
from analysis.chaos.harm import AWAY, Harmer
from analysis.chaos.judge import Verdict, judge
from analysis.chaos.plan import AFTER_S, APART_S, plan
from analysis.running import Running, running, wait_until
from loadbalancer.aio.limits import raise_descriptors

EXAMPLES = 5
"""Of each broken rule, with their stories."""
WHOLE_AGAIN_S = 20.0
SAMPLE_S = 0.5
COUNTED = ("retries", "retries_denied", "respawns")
_SAMPLE = re.compile(r"^carousel_(\w+)_total (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Size:
    """`flags` go to `carousel up`."""

    seed: int
    seconds: float = 180.0
    rate: float = 1000.0
    replicas: int = 5
    workers_too: bool = False
    apart_s: float = APART_S
    flags: tuple[str, ...] = ()


@dataclass(slots=True)
class Outcome:
    """Of one run. `late_s`: how late the client itself was at worst, which is part of each latency. `stories` are those
    of the first violations, `slowest` that of the slowest request; `harms` are told in the same words.
    """

    size: Size
    verdict: Verdict
    speed: Speed
    harms: list[str]
    missed: list[str]
    counted: dict[str, float]
    late_s: float
    whole_again: bool
    slowest: str
    stories: list[str]

    @property
    def clean(self) -> bool:
        return not self.verdict.violations and self.whole_again


def chaos(size: Size) -> Outcome:
    """Run it. Takes `size.seconds` and some seconds more."""
    with tempfile.TemporaryDirectory(prefix="carousel-chaos-", dir="/tmp") as name:
        folder = Path(name)
        command = shlex.join([sys.executable, "-m", "analysis.chaos.replica", name])
        with running("--server-command", command, "--unknown-path", "pass", *size.flags, replicas=size.replicas) as up:
            return _harmed(up, folder, size)


def _harmed(system: Running, folder: Path, size: Size) -> Outcome:
    raise_descriptors()  # a stall of some seconds is as many thousand connections
    client = Client(system.port)
    harmer = Harmer(system, plan(size.seed, size.seconds, size.workers_too, size.apart_s), folder, size.replicas)
    sampler = Sampler(system)
    begin = time.monotonic()
    harming = threading.Thread(target=harmer.run, args=(begin, begin + size.seconds - AFTER_S), daemon=True)
    harming.start()
    sampler.start()
    _load(client, size)
    harming.join()
    whole = _is_whole_again(harmer, size.replicas)
    sampler.stop()
    counted = {name: climbed(values) for name, values in sampler.seen.items()}
    served = served_of(folder)
    verdict = judge(client.records, served, harmer.harms, client.strays)

    def story(record: Record) -> str:
        return told(record, served.get(record.ask.id, ()), harmer.harms, begin)

    examples = {example for ids in verdict.violations.values() for example in ids[:EXAMPLES]}
    return Outcome(
        size,
        verdict,
        speed(client.records, begin),
        [told_harm(harm, begin) for harm in harmer.harms],
        harmer.missed,
        counted,
        client.late_s,
        whole,
        slowest=story(max(client.records, key=lambda record: record.ended - record.due)),
        stories=[story(record) for record in client.records if record.ask.id in examples],
    )


def _load(client: Client, size: Size) -> None:
    gc.collect()
    gc.disable()  # records are kept to the end: collections would only look at them, and delay requests
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(client.load(draw(size.seed), size.rate, round(size.seconds * size.rate)))
    finally:
        gc.enable()


def _is_whole_again(harmer: Harmer, replicas: int) -> bool:
    try:
        wait_until(lambda: len(harmer.well()) >= replicas, WHOLE_AGAIN_S, "all replicas serve")
    except TimeoutError:
        return False
    return True


def served_of(folder: Path) -> Served:
    """What the replicas' logs say; NAME@PORT.log each."""
    served: Served = defaultdict(list)
    for path in folder.glob("*@*.log"):
        name = path.stem.rpartition("@")[0]
        for request_id in path.read_text().split():
            served[request_id].append(name)
    return served


class Sampler(threading.Thread):
    """Looks at /metrics every SAMPLE_S: a control that is killed forgets what workers that had parted counted."""

    def __init__(self, system: Running) -> None:
        super().__init__(daemon=True)
        self.seen: dict[str, list[float]] = {name: [] for name in COUNTED}
        self._system = system
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(SAMPLE_S):
            self._look()

    def stop(self) -> None:
        """Returns when it has looked a last time."""
        self._stopping.set()
        self.join()
        self._look()

    def _look(self) -> None:
        try:
            status, text = self._system.call("GET", "/metrics", timeout_s=5)
        except AWAY:
            return
        if status == 200:
            for name, value in counters_in(text):
                if name in self.seen:
                    self.seen[name].append(value)


def counters_in(text: str) -> Iterable[tuple[str, float]]:
    """Those without labels, without prefix and `_total`."""
    return ((match[1], float(match[2])) for match in _SAMPLE.finditer(text))
