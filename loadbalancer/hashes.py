"""Where keys and virtual servers fall on a ring: the course presets, MurmurHash3, and one of the user's own.

A key is a non-negative integer whatever it came from, because the course's H is a polynomial of a number. A
course preset is a pair of polynomials (H for requests, Phi for virtual servers) and needs probing when two
virtual servers meet. A byte hash (MurmurHash3 or the user's) places both from text and shadows instead: see
ring_hashed.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from mmh3 import mmh3_32_uintdigest as murmur3

ByteHash = Callable[[bytes], int]
"""Bytes -> an unsigned 32-bit integer, the same in every process and on every machine."""

MAX_DIGITS = 18
"""Longer numbers are hashed like text: 18 digits fit a 64-bit integer, and a client can't make us work on a
huge one."""

BITS_32 = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Preset:
    """A course hash: `request(i)` is H(i), `virtual(i, j)` is Phi(i, j), both before the modulo; and how
    they read."""

    request: Callable[[int], int]
    virtual: Callable[[int, int], int]
    request_text: str
    virtual_text: str


PRESETS: Mapping[str, Preset] = {
    "spec": Preset(
        lambda i: i * i + 2 * i + 17,
        lambda i, j: i * i + j * j + 2 * j + 25,
        "i² + 2i + 17",
        "i² + j² + 2j + 25",
    ),
    "alt": Preset(
        lambda i: i + 2 * i * i + 17,
        lambda i, j: i + j + 2 * j * j + 25,
        "i + 2i² + 17",
        "i + j + 2j² + 25",
    ),
    "linear": Preset(
        lambda i: i + 2 * i + 17,
        lambda i, j: i + j + 2 * j + 25,
        "i + 2i + 17",
        "i + j + 2j + 25",
    ),
}

PROBES: Mapping[str, Callable[[int], int]] = {
    "linear": lambda step: step,
    "quadratic": lambda step: step * (step + 1) // 2,
}
"""Distance from the wanted slot at each step. Quadratic goes by triangular numbers (0, 1, 3, 6 …), which
reach every slot of a power-of-two table; plain squares would reach 87 of the course's 512 and call an
almost empty ring full."""


def key_of(raw: bytes) -> int:
    """A key of at most MAX_DIGITS ASCII digits is that number; any other is its MurmurHash3 (32 bits, seed
    0)."""
    if len(raw) <= MAX_DIGITS and raw.isdigit():
        return int(raw)
    return murmur3(raw)


@cache
def byte_hash(name: str) -> ByteHash:
    """The byte hash called `name`: `mmh3`, or `module:function` to import the user's (bytes -> int, kept to
    32 bits).

    Raises ValueError, in one line, if there is no such function or if it doesn't hash b"" to an integer.
    """
    if name == "mmh3":
        return murmur3
    module_name, _, function_name = name.partition(":")
    try:
        function = getattr(import_module(module_name), function_name)
        tried = function(b"")
    except Exception as error:  # an import runs the user's code, which may raise anything
        raise ValueError(f"ring hash {name!r}: {type(error).__name__}: {error}") from error
    if not isinstance(tried, int):
        raise ValueError(f"ring hash {name!r}: must return an integer, not {type(tried).__name__}")
    return lambda data: function(data) & BITS_32
