"""What an answer is made of: bytes, and bytes that are still in a file.

The problem: a consumer that reads what was written long ago gets megabytes that its server never looks at. To read
them, only to write them to a socket, copies each byte twice and holds it in memory for as long as the client takes.
The kernel can hand a file's pages to a socket (sendfile(2)); Kafka does so, too.
"""

from abc import ABC, abstractmethod

from wire.primitives import Data


class Unread(ABC):
    """Bytes of an open file that go out in order. Its length is what is left. The file stays readable until then, even
    if it was removed or closed. Both methods raise OSError, also where the file has become too short."""

    __slots__ = ()

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def send(self, socket: int) -> None:
        """Hand over as much as the descriptor `socket`, which doesn't block, takes now; perhaps nothing."""

    @abstractmethod
    def take(self, size: int) -> bytes:
        """The next `size` bytes, or all that is left."""


Piece = Data | Unread
