"""What a log asks of the disk, in the one order that is safe: to be run on any thread, while appends go on.

What holds: the checkpoint is written after all that it vouches for is sure (bytes, names, epochs, producers), and
nothing is removed before the checkpoint that no longer needs it is. Each sync below is needed: the tests take out one
after the other, and some power cut then breaks a promise.
"""

from dataclasses import dataclass

from server.log_files import CHECKPOINT, Checkpoint
from server.segment import Segment
from server.storage import Directory, File, write_whole


@dataclass(frozen=True, slots=True)
class SyncJob:
    """What the disk has to do so that all below `end_offset` is sure. `run` it once."""

    directory: Directory
    end_offset: int
    files: tuple[File, ...]
    names_changed: bool = False
    texts: tuple[tuple[str, bytes], ...] = ()
    checkpoint: Checkpoint | None = None
    doomed_names: tuple[str, ...] = ()
    doomed: tuple[Segment, ...] = ()

    def run(self) -> None:
        """Raises StorageError; then the log has failed for good, and `Log.fail` must hear of it."""
        for file in self.files:
            file.sync()
        for name, content in self.texts:
            write_whole(self.directory, name, content)
        if self.names_changed or self.texts:
            self.directory.sync()
        if self.checkpoint is not None:
            write_whole(self.directory, CHECKPOINT, self.checkpoint.to_text().encode())
            self.directory.sync()
        for name in self.doomed_names:
            self.directory.remove(name)
