"""Where a request goes: the key that places it on the ring (`--route-by`), and the paths that are control's and the
queue's.

A key is an integer. What the route names (a header, a parameter, a cookie, the path, the client's address) is
turned into one by `hashes.key_of`; where it is missing, a random six-digit id takes its place, as if the
route were `random`.
"""

import re
from collections.abc import Callable
from random import random

from loadbalancer.hashes import key_of
from wire.http1 import RequestHead

KeyOf = Callable[[RequestHead, bytes], int]
"""(head, the client's address as text) -> the request's key."""

LOWEST_ID = 100_000
IDS = 900_000
"""Random ids have six digits, as in the course: 100 000 to 999 999."""

ADMIN_STARTS = (b"/rep", b"/add", b"/rm", b"/admin", b"/metrics")
"""One C call that tells nearly every request of a replica from one of control."""

QUEUE_STARTS = (b"/producer/", b"/consumer/", b"/size", b"/topics", b"/brokers")
"""The same for the queue's HTTP interface."""
CONSUMER = b"consumer_id"
"""The parameter whose calls go to one replica."""

_QUEUE_PATHS = frozenset((b"/size", b"/topics"))
_QUEUE_FOLDERS = (b"/producer/", b"/consumer/")
_QUEUE_ADMIN_PATHS = frozenset((b"/topics/add", b"/brokers"))
_QUEUE_ADMIN_FOLDER = b"/brokers/"
_ADMIN_PATHS = frozenset((b"/rep", b"/add", b"/rm", b"/metrics", b"/admin"))
_ADMIN_FOLDER = b"/admin/"
_COOKIES = re.compile(rb"(?i:\ncookie:)([^\r]*+)")

LIVE_PATH = b"/admin/live"
READY_PATH = b"/admin/ready"


def path_of(target: bytes) -> bytes:
    """The path of a request target in origin form, without its query."""
    return target.partition(b"?")[0]


def is_admin(target: bytes) -> bool:
    """Whether control answers this target when it comes through a listener that serves control's paths."""
    if not target.startswith(ADMIN_STARTS):
        return False
    path = path_of(target)
    return path in _ADMIN_PATHS or path.startswith(_ADMIN_FOLDER)


def is_queue_call(target: bytes) -> bool:
    """Whether this is a path of the queue's HTTP interface that replicas answer."""
    path = path_of(target)
    return path in _QUEUE_PATHS or path.startswith(_QUEUE_FOLDERS)


def is_queue_admin(target: bytes) -> bool:
    """Whether this is a path of the queue's HTTP interface that control answers."""
    path = path_of(target)
    return path in _QUEUE_ADMIN_PATHS or path.startswith(_QUEUE_ADMIN_FOLDER)


def key_source(route_by: str) -> KeyOf:
    """The function that gives each request its key.

    `route_by` is `random`, `path`, `client`, `header:NAME`, `query:NAME` or `cookie:NAME`; raises ValueError
    otherwise.
    """
    if route_by in _PLAIN:
        return _PLAIN[route_by]
    kind, _, name = route_by.partition(":")
    if kind not in _NAMED or not name:
        raise ValueError(f"unknown route {route_by!r}")
    find, wanted = _NAMED[kind], name.encode("latin-1")

    def named_key(head: RequestHead, client: bytes) -> int:
        value = find(head, wanted)
        return key_of(value) if value else random_key()

    return named_key


def value_source(route_by: str) -> Callable[[RequestHead], bytes | None]:
    """The function that finds what the route names in a request, as it stands there; None of a route that names
    nothing there (`random`, `client`), or where it is missing. `route_by` as in `key_source`."""
    kind, _, name = route_by.partition(":")
    if kind in _NAMED:
        find, wanted = _NAMED[kind], name.encode("latin-1")
        return lambda head: find(head, wanted)
    return (lambda head: path_of(head.target)) if kind == "path" else (lambda head: None)


def lasting_key(route_by: str) -> Callable[[RequestHead], bool]:
    """Whether another request with this very head, but for its X-Request-Id, has the same key: neither one made from
    that id, nor one drawn because what the route names is missing. `route_by` as in `key_source`."""
    kind, _, name = route_by.partition(":")
    if kind not in _NAMED:
        return lambda head: kind != "random"
    if kind == "header" and name.lower() == "x-request-id":
        return lambda head: False
    value_of = value_source(route_by)
    return lambda head: bool(value_of(head))


def random_key() -> int:
    """A six-digit id; a float product is a third of the price of randrange."""
    return LOWEST_ID + int(random() * IDS)


def query_value(head: RequestHead, name: bytes) -> bytes | None:
    """The raw value of the first query parameter `name`; None if it is missing."""
    return _pair_value(head.target.partition(b"?")[2].split(b"&"), name)


def cookie_value(head: RequestHead, name: bytes) -> bytes | None:
    """The value of the first cookie `name` that has one; None if there is none.

    All Cookie lines are searched: HTTP/2 splits them (RFC 9113, 8.2.3), and not every gateway joins them again.
    """
    pairs = b";".join(_COOKIES.findall(b"\n" + head.lines)).split(b";")
    start = name + b"="
    values = (pair.strip(b" \t") for pair in pairs)
    return next((value[len(start) :] for value in values if value.startswith(start) and value != start), None)


def _pair_value(pairs: list[bytes], name: bytes) -> bytes | None:
    start = name + b"="
    return next((pair[len(start) :] for pair in pairs if pair.startswith(start)), None)


def _header_value(head: RequestHead, name: bytes) -> bytes | None:
    return head.get(name)


def _random_key(head: RequestHead, client: bytes) -> int:
    return random_key()


def _path_key(head: RequestHead, client: bytes) -> int:
    return key_of(path_of(head.target))


def _client_key(head: RequestHead, client: bytes) -> int:
    return key_of(client)


_PLAIN: dict[str, KeyOf] = {"random": _random_key, "path": _path_key, "client": _client_key}
_NAMED: dict[str, Callable[[RequestHead, bytes], bytes | None]] = {
    "header": _header_value,
    "query": query_value,
    "cookie": cookie_value,
}
