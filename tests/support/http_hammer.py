"""A crowd of the plain HTTP interface's clients for while servers are killed, and the judge of what they were told.

The judge knows only what clients know: which calls were answered, and with what. Its laws:

* an id is given once, to a producer or to a consumer, and whoever was given it can use it;
* a message whose produce was answered by 200 is in the log, once; one whose answer was lost is there once at most
  (clients here never send one twice), and each producer's messages keep their order within a partition;
* a consumer that acknowledges sees every offset of its partitions, in order; an answer comes again only directly behind
  itself;
* a consumer that doesn't, be it called at several replicas at a time, is given nothing twice, nothing behind a later
  one by one caller, and of what it lacks there is not more than of its calls whose answers were lost.
"""

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlencode

CALL_S = 30.0
"""Behind every limit of the interface's own; what takes longer has hung."""
PAUSE_S = 0.02
PRODUCE_S = 0.05
"""Between a producer's messages, for consumers to keep up: each of their calls waits for a disk as well."""

Told = tuple[int, dict[str, Any]]
"""A status and an answer; 0: none came."""
Addresses = Callable[[], Sequence[str]]


class Seen(NamedTuple):
    part: str
    offset: int
    text: str


@dataclass
class Sent:
    """A producer's messages are its number and theirs, from 0 on: `{number}.{which}`."""

    number: int
    count: int = 0
    acknowledged: set[int] = field(default_factory=lambda: set[int]())


@dataclass
class Given:
    """What one caller of a consumer was given, in order. `lost`: calls whose answers didn't come, or were errors."""

    consumer_id: int
    seen: list[Seen] = field(default_factory=lambda: list[Seen]())
    lost: int = 0


def call(address: str, method: str, target: str, body: bytes | None = None) -> Told:
    """Raises AssertionError where it is not answered in time, or not by JSON."""
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=CALL_S)
    try:
        connection.request(method, target, body)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    except TimeoutError:
        raise AssertionError(f"{method} {target} hangs") from None
    except (OSError, http.client.HTTPException):
        return 0, {}
    finally:
        connection.close()


class Crowd:
    """Threads that call until `stop`. What fails in one of them is in `faults`."""

    def __init__(self, addresses: Addresses, seed: int) -> None:
        self._addresses = addresses
        self._random = random.Random(seed)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self.sent: list[Sent] = []
        self.acknowledging: list[Given] = []
        self.taking: list[Given] = []
        self.ids: dict[str, list[int]] = {"producer": [], "consumer": []}
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.faults: list[str] = []

    # --- calls -----------------------------------------------------------------------------------------

    def ask(self, chosen: random.Random, method: str, path: str, told: dict[str, Any]) -> Told:
        body = json.dumps(told).encode() if method == "POST" else None
        target = path if body is not None else f"{path}?{urlencode(told)}"
        status, answer = call(chosen.choice(self._addresses()), method, target, body)
        self.statuses[path, status] += 1
        return status, answer

    def patiently(self, chosen: random.Random, method: str, path: str, told: dict[str, Any]) -> Told:
        """The first answer that is no failure of a server, of a call that may come twice."""
        deadline = time.monotonic() + 2 * CALL_S
        while True:
            status, answer = self.ask(chosen, method, path, told)
            if status in (200, 400):
                return status, answer
            assert time.monotonic() < deadline, (path, status, answer)
            time.sleep(PAUSE_S)

    def register(self, kind: str, topic: str, part: str | None = None) -> int:
        """At a time when nobody is killed."""
        told = {"topic": topic} if part is None else {"topic": topic, "part": part}
        status, answer = self.patiently(self._random, "POST", f"/{kind}/register", told)
        assert status == 200, answer
        self.ids[kind].append(answer["message"])
        return answer["message"]

    # --- who calls -------------------------------------------------------------------------------------

    def produce(self, producer_id: int) -> None:
        sent = Sent(len(self.sent))
        self.sent.append(sent)

        def once(chosen: random.Random) -> None:
            told = {"producer_id": producer_id, "message": f"{sent.number}.{sent.count}"}
            sent.count += 1
            status, answer = self.ask(chosen, "POST", "/producer/produce", told)
            if status == 200:
                sent.acknowledged.add(sent.count - 1)
            assert status != 400, answer
            time.sleep(PRODUCE_S)

        self._start(once)

    def acknowledge(self, consumer_id: int) -> None:
        given = Given(consumer_id)
        self.acknowledging.append(given)
        self._start(lambda chosen: self.next_acknowledged(given, chosen))

    def next_acknowledged(self, given: Given, chosen: random.Random) -> bool:
        """Whether there was something."""
        told = {"consumer_id": given.consumer_id, "ack": given.seen[-1].offset if given.seen else -1}
        return self._noted(given, *self.patiently(chosen, "GET", "/consumer/consume", told))

    def take(self, consumer_id: int, callers: int) -> None:
        for _ in range(callers):
            given = Given(consumer_id)
            self.taking.append(given)
            self._start(lambda chosen, given=given: self._take_one(given, chosen))

    def _take_one(self, given: Given, chosen: random.Random) -> bool:
        """Whether there may be more."""
        told = {"consumer_id": given.consumer_id}
        status, answer = self.ask(chosen, "GET", "/consumer/consume", told)
        if status in (200, 400):
            return self._noted(given, status, answer)
        given.lost += 1
        return True

    def take_the_rest(self) -> None:
        """At a time when nobody is killed."""
        for given in self.taking:
            told = {"consumer_id": given.consumer_id}
            while self._noted(given, *self.patiently(self._random, "GET", "/consumer/consume", told)):
                pass

    def _noted(self, given: Given, status: int, answer: dict[str, Any]) -> bool:
        if status == 200:
            given.seen.append(Seen(answer["topic"], answer["offset"], answer["message"]))
        else:
            assert answer["message"].startswith("Empty logs for "), answer
            time.sleep(PAUSE_S)
        return status == 200

    def newcomers(self, topic: str) -> None:
        """Registrations all the while."""

        def once(chosen: random.Random) -> None:
            kind = chosen.choice(("producer", "consumer"))
            status, answer = self.ask(chosen, "POST", f"/{kind}/register", {"topic": topic})
            assert status != 400, answer
            if status == 200:
                self.ids[kind].append(answer["message"])
            time.sleep(PAUSE_S)

        self._start(once)

    def _start(self, once: Callable[[random.Random], object]) -> None:
        """`once` until the crowd is to stop, and then while it says that there is more."""
        chosen = random.Random(self._random.random())

        def run() -> None:
            try:
                while once(chosen) or not self._stopping.is_set():
                    pass
            except Exception as error:
                self.faults.append(repr(error))

        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(3 * CALL_S)
            if thread.is_alive():
                self.faults.append("a caller hangs")

    def rest_of(self, given: Given) -> None:
        """Up to the log's end, which producers may have moved behind its last call."""
        while self.next_acknowledged(given, self._random):
            pass


# --- the judge -----------------------------------------------------------------------------------------


def ids_given_twice(ids: Iterable[int]) -> list[int]:
    return [number for number, times in Counter(ids).items() if times > 1]


def out_of_order(seen: Sequence[Seen]) -> list[str]:
    """Of an acknowledging consumer that began at the logs' beginnings: what it missed, or saw too late."""
    faults: list[str] = []
    due: Counter[str] = Counter()
    last: Seen | None = None
    for one in seen:
        if one == last:
            continue
        if one.offset != due[one.part]:
            faults.append(f"{one.part}: {one.offset} where {due[one.part]} was due")
        due[one.part] = one.offset + 1
        last = one
    return faults


def wrongly_produced(sent: Sequence[Sent], log: Iterable[Seen]) -> list[str]:
    """`log`: every record once, partitions' records in their order."""
    faults: list[str] = []
    found: dict[int, list[int]] = {one.number: [] for one in sent}
    last: dict[tuple[int, str], int] = {}
    for part, _, text in log:
        number, _, which = text.partition(".")
        found[int(number)].append(int(which))
        if int(which) <= last.get((int(number), part), -1):
            faults.append(f"{part}: {text} behind a later one")
        last[int(number), part] = int(which)
    for one in sent:
        there = Counter(found[one.number])
        faults += [f"{one.number}.{which} is there {times} times" for which, times in there.items() if times > 1]
        faults += [
            f"{one.number}.{which} was acknowledged, and is lost" for which in sorted(one.acknowledged - set(there))
        ]
    return faults


def wrongly_taken(callers: Sequence[Given], log: Sequence[Seen]) -> list[str]:
    """Of one consumer without acks, called by all of these."""
    faults: list[str] = []
    taken = Counter(one for given in callers for one in given.seen)
    faults += [f"{one} was given {times} times" for one, times in taken.items() if times > 1]
    faults += [f"{one} is not in the log" for one in taken if one not in set(log)]
    for given in callers:
        last: dict[str, int] = {}
        for part, offset, _ in given.seen:
            if offset <= last.get(part, -1):
                faults.append(f"{part}: {offset} behind {last[part]}")
            last[part] = offset
    lost = sum(given.lost for given in callers)
    missing = len(set(log) - set(taken))
    if missing > lost:
        faults.append(f"{missing} messages were given to nobody, with {lost} answers lost")
    return faults


def judged(crowd: Crowd) -> list[str]:
    """Behind `stop`, `rest_of` and `take_the_rest`."""
    faults = list(crowd.faults)
    for kind, ids in crowd.ids.items():
        faults += [f"{kind} {number} was given twice" for number in ids_given_twice(ids)]
    logs = [sorted(set(given.seen)) for given in crowd.acknowledging]
    for given, log in zip(crowd.acknowledging, logs, strict=True):
        faults += [f"consumer {given.consumer_id}: {fault}" for fault in out_of_order(given.seen)]
        if log != logs[0]:
            faults.append(f"consumer {given.consumer_id} saw another log")
    faults += wrongly_produced(crowd.sent, logs[0])
    for consumer_id in sorted({given.consumer_id for given in crowd.taking}):
        callers = [given for given in crowd.taking if given.consumer_id == consumer_id]
        faults += [f"consumer {consumer_id}: {fault}" for fault in wrongly_taken(callers, logs[0])]
    return faults
