"""How far a consumer's file has come: exactly what it holds, after a kill at any moment.

`FILE.position`, beside the output, says at which size FILE held every message before which offsets. It is written after
the file itself is synced. A restart cuts FILE to that size and goes on from those offsets: what was written behind the
last position is thrown away and read again, so nothing is missing and nothing is there twice. Offsets of a group are
committed after that, so the group may know less than the file, never more.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from client.cli.formats import Seen

VERSION: Final = 1

Place = tuple[str, int]
"""Topic and partition."""


class BadPosition(ValueError):
    """The file is not what was written; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Position:
    """`next`: the offset behind the last message in the file, by topic and partition."""

    size_bytes: int
    next: Mapping[Place, int]

    def dump(self) -> dict[str, Any]:
        topics: dict[str, dict[str, int]] = {}
        for (topic, partition), offset in sorted(self.next.items()):
            topics.setdefault(topic, {})[str(partition)] = offset
        return {"v": VERSION, "size_bytes": self.size_bytes, "next": topics}


def position_of(found: dict[str, Any]) -> Position:
    """What `dump` gave. Raises BadPosition."""
    try:
        if found["v"] != VERSION:
            raise BadPosition(f"the position is of version {found['v']}, this is {VERSION}; name another file")
        topics = cast("dict[str, dict[str, int]]", found["next"])
        following = {
            (topic, int(name)): int(offset) for topic, parts in topics.items() for name, offset in parts.items()
        }
        return Position(int(found["size_bytes"]), following)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise (
            error if isinstance(error, BadPosition) else BadPosition("the position file holds something else")
        ) from None


def unwritten(messages: Iterable[Seen], following: Mapping[Place, int]) -> list[Seen]:
    """Those that the file does not hold yet."""
    return [one for one in messages if one.offset >= following.get((one.topic, one.partition), 0)]


def advanced(following: dict[Place, int], messages: Iterable[Seen]) -> None:
    """`following`, after these are written."""
    for one in messages:
        following[one.topic, one.partition] = one.offset + 1
