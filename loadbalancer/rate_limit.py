"""How many requests a client, or a key, may make (`--rate-limit`): a token bucket for each, in bounded memory.

A bucket holds `burst` tokens and is filled by `rate` a second; a request takes one. It is kept as one number, the time
when it would be full again (GCRA, the ATM Forum's algorithm): a request moves that on by 1/rate, and is refused if the
bucket would be more than empty by it. A refused request takes nothing.

The table is bounded, whoever comes:
- A bucket that is full again says no more than one that was never there, so it may go without anybody noticing, and
  goes first. Each new entry looks at the LOOKS oldest, drops those that are full, and sends the others to the end.
- A flood of new keys finds no room once all buckets at hand are in use. Then it must neither take an old key's bucket,
  which would reset it (HAProxy's stick tables purge the oldest), nor be let in unlimited, nor be refused altogether
  (nginx): those without room share SHARED buckets by hash. So a flood presses on newcomers, and on nobody else.
- An entry is a hash and a float, however long a key is. Python's hash of bytes is keyed anew in each process, so nobody
  can choose a key that falls into another's bucket.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address
from math import ceil

from loadbalancer.routing import value_source
from wire.http1 import RequestHead

WaitS = Callable[[RequestHead, bytes, float], float]
"""(head, the client's address as text, now) -> 0 for a request that may pass, else the seconds until the next may."""

CAPACITY = 65_536
"""Buckets in use at the same time, 14 MB. A million clients with 10 requests a second granted to each are below it
while they make fewer than 650 000 requests a second."""
SHARED = 4096
"""Buckets for those that find no room."""
LOOKS = 8
"""Entries looked at to make room for one; with the others sent to the end, all get their turn."""

_ROUNDING_S = 1e-6  # sums of intervals are not exact, and the last token of a burst is one


def parts_of(setting: str, workers: int) -> tuple[float, float]:
    """(rate, burst) for one of so many workers, from "RATE" or "RATE+BURST"; a burst is a second's worth by default.

    Each worker grants its part: nothing is shared between them, and a client that keeps to one connection, so to one
    worker, gets that part only. A burst is at least one request. ValueError if `setting` is neither.
    """
    rate, plus, burst = setting.partition("+")
    return float(rate) / workers, max(1.0, float(burst if plus else rate) / workers)


class RateLimit:
    """`now` is in seconds and must not go back; keys are hashes, as `client_key` and `value_key` make them."""

    def __init__(self, rate: float, burst: float, capacity: int = CAPACITY, shared: int = SHARED) -> None:
        self._interval_s = 1 / rate
        self._slack_s = (burst - 1) / rate + _ROUNDING_S
        self._capacity = capacity
        self._places = shared
        self._full_at: OrderedDict[int, float] = OrderedDict()
        self._shared: dict[int, float] = {}

    def __len__(self) -> int:
        """How many buckets are kept."""
        return len(self._full_at) + len(self._shared)

    def wait_s(self, key: int, now: float) -> float:
        """Take a token: 0, or the seconds until there is one, and then nothing was taken."""
        buckets = self._full_at
        full_at = buckets.get(key)
        if full_at is None and len(buckets) >= self._capacity and not self._make_room(now):
            buckets, key = self._shared, key % self._places
            full_at = buckets.get(key)
        if full_at is None or full_at < now:
            full_at = now
        wait_s = full_at - now - self._slack_s
        if wait_s > 0:
            return wait_s
        buckets[key] = full_at + self._interval_s
        return 0.0

    def _make_room(self, now: float) -> bool:
        """Drop the full ones among the oldest. False if all of those are in use."""
        for _ in range(min(LOOKS, self._capacity)):
            key, full_at = self._full_at.popitem(last=False)
            if full_at > now:
                self._full_at[key] = full_at  # behind all others
        return len(self._full_at) < self._capacity


def retry_after_s(wait_s: float) -> int:
    """The header's whole seconds."""
    return max(1, ceil(wait_s))


@lru_cache(8192)
def client_key(address: bytes) -> int:
    """Whose an address is: an IPv4 address stands for itself, an IPv6 address for its /64.

    A /64 is the least that a household or a server is given (RFC 6177), so it is one client, with 2**64 addresses. An
    IPv4 address written as IPv6 (::ffff:1.2.3.4, on a socket for both) is the IPv4 address.
    """
    if b":" not in address:
        return hash(address)
    try:
        parsed = IPv6Address(address.decode("ascii"))
    except ValueError:
        return hash(address)
    mapped = parsed.ipv4_mapped
    return hash(parsed.packed[:8]) if mapped is None else hash(str(mapped).encode())


def value_key(value: bytes) -> int:
    """A routing key's raw value; apart from a client whose address reads the same."""
    return hash(b"=" + value)


def limiter(setting: str, by: str, route_by: str, workers: int) -> WaitS | None:
    """The limit of one of so many workers by `--rate-limit`, `--rate-limit-by` and `--route-by`; None without one.

    Requests count as their client's, or by `key` as those of what the route names; where it names nothing, as the
    client's again.
    """
    if not setting:
        return None
    limit = RateLimit(*parts_of(setting, workers))
    if by == "client":
        return lambda head, client, now: limit.wait_s(client_key(client), now)
    value_of = value_source(route_by)

    def by_key(head: RequestHead, client: bytes, now: float) -> float:
        value = value_of(head)
        return limit.wait_s(value_key(value) if value else client_key(client), now)

    return by_key
