"""Sparse indexes beside a segment: offset -> position and time -> offset, in Kafka's formats (OffsetIndex, TimeIndex).

The problem: 1 GiB of log has a quarter of a million index entries, and a server thousands of segments, but readers
are mostly at the end, where the segment knows positions by heart. So an index keeps only its newest entries in
memory, writes them to its file some hundred at a time, and finds older ones by halving the file itself: 18 reads of 8
bytes from the page cache, where Kafka maps the file into memory for the same. No file is made before it is needed, so
an idle partition holds one descriptor and not three.

What holds: keys grow strictly; an index may lack entries (it is sparse anyway) but never has a wrong one. That is why
a file is believed only below the recovery point, up to where it was synced, and rebuilt from the log otherwise.
"""

from bisect import bisect_right
from contextlib import suppress
from struct import Struct
from typing import Final

from server.storage import PARTIAL, Directory, File, StorageError

OFFSET_ENTRY: Final = Struct(">ii")
"""Offset relative to the segment's base, position of the batch that ends with it."""

TIME_ENTRY: Final = Struct(">qi")
"""Largest time in ms up to here, relative offset of the batch that has it."""

TAIL_ENTRIES: Final = 512
"""Entries kept until they are written together: 4 KiB, a page of the file."""


class SparseIndex:
    """Ascending (key, value) pairs. `add` and `floor` are called on one thread."""

    __slots__ = ("_directory", "_file", "_file_name", "_keys", "_layout", "_stored", "_values", "last", "name")

    def __init__(self, directory: Directory, name: str, layout: Struct, *, partial: bool = False) -> None:
        """A new, empty index: whatever the file held is replaced at the first flush; if `partial`, by `settle` only."""
        self.name = name
        self._file_name = name + PARTIAL if partial else name
        self._directory = directory
        self._layout = layout
        self._file: File | None = None
        self._stored = 0
        self._keys: list[int] = []
        self._values: list[int] = []
        self.last: tuple[int, int] | None = None

    @classmethod
    def load(cls, directory: Directory, name: str, layout: Struct, size: int | None = None) -> "SparseIndex":
        """The index in a file that was synced, whole or up to `size`; what may follow is cut off."""
        index = cls(directory, name, layout)
        if size == 0:
            return index
        index._file = directory.open(name)
        if size is not None and index._file.size > size:
            index._file.truncate(size)
        index._stored = index._file.size // layout.size
        if index._stored:
            index.last = index._entry(index._file, index._stored - 1)
        return index

    def add(self, key: int, value: int) -> None:
        """The key must be larger than all before; if it isn't, nothing is added.

        Raises nothing: the batch is in the log by now. What a full disk doesn't take is kept for the next `flush`."""
        if self.last is not None and key <= self.last[0]:
            return
        self.last = (key, value)
        self._keys.append(key)
        self._values.append(value)
        if len(self._keys) >= TAIL_ENTRIES:
            with suppress(StorageError):
                self.flush()

    def floor(self, key: int) -> tuple[int, int] | None:
        """The last entry whose key is at most `key`."""
        if self._keys and key >= self._keys[0]:
            place = bisect_right(self._keys, key) - 1
            return self._keys[place], self._values[place]
        return self._stored_floor(key)

    def flush(self) -> None:
        """Write what is not yet in the file, which is made if it is missing and there is something to write."""
        if not self._keys:
            return
        if self._file is None:
            self._file = self._directory.create(self._file_name)
        pack = self._layout.pack
        self._file.append(b"".join([pack(*entry) for entry in zip(self._keys, self._values, strict=True)]))
        self._stored += len(self._keys)
        self._keys, self._values = [], []

    def settle(self) -> None:
        """Store an index that was made under a partial name; it is sure after the directory's sync."""
        self.flush()
        if self._file is None:
            self._directory.remove(self.name)
        elif self._file_name != self.name:
            self._file.sync()
            self._directory.rename(self._file_name, self.name)
        self._file_name = self.name

    @property
    def file(self) -> File | None:
        """None as long as nothing was written."""
        return self._file

    @property
    def stored_bytes(self) -> int:
        return self._stored * self._layout.size

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _stored_floor(self, key: int) -> tuple[int, int] | None:
        if self._file is None:
            return None
        low, high, found = 0, self._stored, None
        while low < high:
            middle = (low + high) // 2
            entry = self._entry(self._file, middle)
            if entry[0] <= key:
                found, low = entry, middle + 1
            else:
                high = middle
        return found

    def _entry(self, file: File, number: int) -> tuple[int, int]:
        entry = file.read(number * self._layout.size, self._layout.size)
        if len(entry) != self._layout.size:
            raise StorageError(f"{self.name} lacks entry {number}", final=True)
        key, value = self._layout.unpack(entry)
        return key, value
