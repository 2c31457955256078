"""What an update from control makes of the image that a server has, and the text in which it is kept. Pure.

What holds (R4): a server never goes back. An update below what is stored is refused, whoever sends it: it comes from a
control that has been replaced, or whose disk was (R5), and acting on it would undo what the right one has decided.

The text is a line for each update, `<CRC-32 in hex> <JSON>\\n`, the first with a snapshot. A line that isn't whole or
doesn't fit its checksum, and all behind it, was never acted on, because a server acts only on what is synced: it is
dropped, and control sends it again.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any, Final, cast

from wire.cluster import Image
from wire.cluster_link import Position, Update

_CRC_SIZE: Final = 8


class StaleUpdate(Exception):
    """An update from below what is stored: not to be acted on."""


def position_of(image: Image) -> Position:
    return Position(image.generation, image.version)


def advanced(image: Image, update: Update) -> Image:
    """The image behind `update`; the same object if it says nothing new.

    Raises StaleUpdate; ValueError for records that no control could have written.
    """
    if update.at < position_of(image):
        raise StaleUpdate(
            f"control is at {tuple(update.at)}, which is below the {tuple(position_of(image))} stored here"
        )
    if update.snapshot is not None:
        return Image().with_records([*update.snapshot, *update.records], *update.at)
    if update.at == position_of(image):
        return image
    return image.with_records(update.records, *update.at)


def snapshot_of(image: Image) -> Update:
    """All of an image as one update."""
    return Update(position_of(image), (), image.records())


def line_of(update: Update) -> bytes:
    """An update as it is kept."""
    body = update.at._asdict() | {"records": list(update.records)}
    if update.snapshot is not None:
        body["snapshot"] = list(update.snapshot)
    raw = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    return b"%08x %b\n" % (zlib.crc32(raw), raw)


def read_lines(text: bytes) -> tuple[Image, int]:
    """The image that kept lines make, and how many bytes of them are sound."""
    image, at = Image(), 0
    for line in text.splitlines(keepends=True):
        update = _update(line)
        if update is None or (at == 0 and update.snapshot is None):
            break
        try:
            image = advanced(image, update)
        except (StaleUpdate, ValueError):
            break
        at += len(line)
    return image, at


def _update(line: bytes) -> Update | None:
    raw = line[_CRC_SIZE + 1 : -1]
    if line != b"%08x %b\n" % (zlib.crc32(raw), raw):
        return None
    body = cast("Mapping[str, Any]", json.loads(raw))  # what has our checksum is what we wrote
    return Update(Position(body["generation"], body["version"]), body["records"], body.get("snapshot"))
