"""A partition's directory: made, told whose it is, and its small files read and written, each as a whole.

What holds: a directory exists surely, and with its topic id, before a log is opened in it; one without an id is
nobody's (cluster-rules R3). A small file that can't be understood is no torn write, as those never get its name: the
disk lied, and the log has failed.
"""

from collections.abc import Callable, Container, Sequence
from itertools import pairwise
from uuid import UUID

from server.leader_epochs import LeaderEpochs, parse_epochs
from server.log_files import (
    CHECKPOINT,
    CLEANED,
    DELETED_DIRECTORY,
    EPOCHS,
    INDEX,
    LOG,
    METADATA,
    SNAPSHOT,
    STRAY_DIRECTORY,
    TIME_INDEX,
    TRUSTED,
    Checkpoint,
    file_name,
    metadata_text,
    offset_in,
    parse_checkpoint,
    parse_metadata,
)
from server.storage import PARTIAL, Directory, Disk, StorageError, read_whole, write_whole


def create_partition(disk: Disk, name: str, topic_id: UUID) -> Directory:
    """The directory of a new partition, surely on disk with its topic id."""
    directory = disk.make(name)
    write_whole(directory, METADATA, metadata_text(topic_id).encode())
    directory.sync()
    disk.sync()
    return directory


def partition_directory(disk: Disk, name: str, topic_id: UUID, aside: str) -> Directory:
    """The partition's directory, made if there is none. Another topic's of that name gets the name `aside` (R3)."""
    if not disk.has(name):  # a listing for each of thousands would take seconds
        return create_partition(disk, name, topic_id)
    directory = disk.make(name)
    if topic_id_of(directory) != topic_id:
        disk.rename(name, aside)
        return create_partition(disk, name, topic_id)
    if CHECKPOINT not in directory.names():
        disk.sync()  # it is young: who made it may have been killed before it was sure
    return directory


def put_strays_aside(disk: Disk, held: Container[str], aside: Callable[[str], str]) -> list[str]:
    """Give each directory that isn't `held` the name that `aside` makes of it (R3). The names of all that wait for
    their removal, those from before too."""
    waiting: list[str] = []
    for name in disk.names():
        if name.endswith((STRAY_DIRECTORY, DELETED_DIRECTORY)):
            waiting.append(name)
        elif name not in held:
            waiting.append(aside(name))
            disk.rename(name, waiting[-1])
    return waiting


def topic_id_of(directory: Directory) -> UUID | None:
    """The topic id that a partition's directory names; None if it doesn't, or malformed: it is nobody's (R3)."""
    if METADATA not in directory.names():
        return None
    try:
        return parse_metadata(read_whole(directory, METADATA).decode())
    except ValueError:
        return None


def stored_checkpoint(directory: Directory) -> Checkpoint:
    if CHECKPOINT not in directory.names():
        return Checkpoint()
    try:
        return parse_checkpoint(read_whole(directory, CHECKPOINT).decode())
    except ValueError as error:
        raise StorageError(f"{CHECKPOINT}: {error}", final=True) from error


def stored_trusted_end(directory: Directory) -> int | None:
    """Up to where the log is to be believed because a sync failed behind it; None: there was no such failure, or the
    power has been off since (the mark isn't synced), and then the disk shows what it has."""
    if TRUSTED not in directory.names():
        return None
    try:
        return int(read_whole(directory, TRUSTED))
    except ValueError:
        return None


def store_checkpoint(directory: Directory, checkpoint: Checkpoint) -> None:
    write_whole(directory, CHECKPOINT, checkpoint.to_text().encode())
    directory.sync()


def stored_epochs(directory: Directory) -> LeaderEpochs:
    if EPOCHS not in directory.names():
        return LeaderEpochs()
    try:
        return parse_epochs(read_whole(directory, EPOCHS).decode())
    except ValueError as error:
        raise StorageError(f"{EPOCHS}: {error}", final=True) from error


def store_epochs(directory: Directory, epochs: LeaderEpochs) -> None:
    """Sure after the directory's sync."""
    write_whole(directory, EPOCHS, epochs.to_text().encode())


def tidy(directory: Directory, checkpoint: Checkpoint) -> list[int]:
    """Remove what nobody needs, and whole segments below the log's start, unless the batches within are still to be
    replayed. The base offsets that remain."""
    needed_from = min(checkpoint.log_start, checkpoint.recovery_point)
    names = directory.names()
    bases = {base: None for name in names if (base := offset_in(name, LOG)) is not None}
    gone = [base for base, after in pairwise(bases) if after <= needed_from]
    for name in names:
        if name.endswith((PARTIAL, CLEANED)) or _is_orphan(name, bases):
            directory.remove(name)
    if gone:
        directory.sync()  # the checkpoint that says so may be in the page cache only
    for base in gone:
        remove_segment(directory, base)
    return list(bases)[len(gone) :]


def _is_orphan(name: str, bases: Container[int]) -> bool:
    """An index without its log: it must not be taken for that of a segment which is to begin there."""
    base = offset_in(name, INDEX) if name.endswith(INDEX) else offset_in(name, TIME_INDEX)
    return base is not None and base not in bases


def snapshots_up_to(directory: Directory, end_offset: int) -> list[int]:
    """The offsets of the snapshots up to `end_offset`; those beyond are removed."""
    found = [offset for name in directory.names() if (offset := offset_in(name, SNAPSHOT)) is not None]
    for offset in found:
        if offset > end_offset:
            directory.remove(file_name(offset, SNAPSHOT))
    return [offset for offset in found if offset <= end_offset]


def remove_segment(directory: Directory, base: int) -> None:
    for name in segment_files(base):
        directory.remove(name)


def remove_indexes(directory: Directory, base: int) -> None:
    """An index that is to be made anew might have nothing to write, so the old one goes first."""
    directory.remove(file_name(base, INDEX))
    directory.remove(file_name(base, TIME_INDEX))


def segment_files(base: int) -> Sequence[str]:
    """A segment's names, the log last: an index alone is nobody's, a log without one is still a log."""
    return [file_name(base, ending) for ending in (INDEX, TIME_INDEX, LOG)]
