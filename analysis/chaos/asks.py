"""What the chaos run asks, and the bytes that belong to it. Pure.

Every body, of a request or of an answer, follows from the request's id: it is SHAKE-128 (FIPS 202) of it, as long as is
asked for. So nobody has to keep bodies to compare them with, none repeats within itself or in another, and bytes that
are lost, doubled, out of order or of somebody else's answer give another checksum.
"""

import hashlib
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

REPEATABLE = frozenset(("GET", "HEAD", "PUT", "DELETE"))
REPEATABLE_BYTES = 64 * 1024
"""The spec's rule, said here again on purpose: the judge must not take the front door's own word for it."""

UPLOADS = frozenset(("PUT", "DELETE", "POST"))


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `size` bytes have the request's body if it uploads, else the answer's; `chunked` is that body's
    framing. `slow`: the body comes in parts with time between them, and an upload's answer takes its time, too.
    `leaves`: the client does not wait for the answer's end.
    """

    id: str
    method: str
    size: int = 0
    chunked: bool = False
    slow: bool = False
    leaves: bool = False

    @property
    def path(self) -> str:
        if self.method in UPLOADS:
            return "/keep/slowly" if self.slow else "/keep"
        return f"/{'trickle' if self.slow else 'chunks' if self.chunked else 'bytes'}/{self.size}"

    @property
    def upload(self) -> bytes:
        return bytes_of(f"{self.id}/up", self.size) if self.method in UPLOADS else b""

    @property
    def repeatable(self) -> bool:
        """Whether the front door has to try it again as long as there is somebody to try."""
        return self.method in REPEATABLE and (self.method not in UPLOADS or self.size <= REPEATABLE_BYTES)

    @property
    def answer(self) -> bytes:
        """The body that must come back: to an upload its checksum, so that a broken one shows, too."""
        if self.method == "HEAD":
            return b""
        return checksum(self.upload).encode() if self.method in UPLOADS else bytes_of(self.id, self.size)


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the mix: `weight` in hundred; sizes are between `least` and `most`, as often small as large ones."""

    weight: int
    method: str
    least: int
    most: int
    chunked: bool = False
    slow: bool = False
    leaves: bool = False


KIB = 1024
# The slow ones are under way for a tenth of a second and longer, so that harm meets many of them at any moment.
MIX = (
    Share(34, "GET", 1, KIB),
    Share(6, "GET", KIB, 256 * KIB),
    Share(5, "GET", 1, 256 * KIB, chunked=True),
    Share(1, "GET", 64 * KIB, 256 * KIB, chunked=True, slow=True),
    Share(8, "HEAD", 1, 256 * KIB),
    Share(10, "PUT", 1, 2 * KIB),
    Share(2, "PUT", 64 * KIB, 64 * KIB),  # the largest that may be repeated
    Share(4, "PUT", 1, 32 * KIB, slow=True),
    Share(2, "PUT", 1, 32 * KIB, chunked=True, slow=True),
    Share(2, "PUT", 65 * KIB, 256 * KIB),  # too large to be repeated
    Share(6, "DELETE", 1, 2 * KIB),
    Share(10, "POST", 1, 2 * KIB),
    Share(2, "POST", 2 * KIB, 128 * KIB),
    Share(4, "POST", 1, 32 * KIB, slow=True),
    Share(2, "POST", 1, 32 * KIB, chunked=True),
    Share(1, "GET", 64 * KIB, 256 * KIB, chunked=True, slow=True, leaves=True),
    Share(1, "POST", 1, 32 * KIB, slow=True, leaves=True),
)


def draw(seed: int) -> Iterator[Ask]:
    """Requests without end, the same for the same seed."""
    chance = random.Random(f"{seed}/asks")
    weights = list(itertools.accumulate(share.weight for share in MIX))
    for number in itertools.count():
        share = chance.choices(MIX, cum_weights=weights)[0]
        size = round(share.least * (share.most / share.least) ** chance.random())
        yield Ask(f"{seed:x}-{number}", share.method, size, share.chunked, share.slow, share.leaves)


def bytes_of(name: str, size: int) -> bytes:
    return hashlib.shake_128(name.encode()).digest(size)


def checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
