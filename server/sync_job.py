"""What a log asks of the disk, in the one order that is safe: to be run on any thread, while appends go on.

What holds: the checkpoint is written after all that it vouches for is sure (bytes, names, epochs, producers), and
nothing is removed before the checkpoint that no longer needs it is. Each sync below is needed: the tests take out one
after the other, and some power cut then breaks a promise.
"""

from contextlib import closing, suppress
from dataclasses import dataclass

from server.log_files import CHECKPOINT, TRUSTED, Checkpoint
from server.segment import Segment
from server.storage import PARTIAL, Directory, File, StorageError, write_whole


@dataclass(frozen=True, slots=True)
class SyncJob:
    """What the disk has to do so that all below `end_offset` is sure, as what lies below `synced_end` is. `run` it
    once."""

    directory: Directory
    end_offset: int
    files: tuple[File, ...]
    names_changed: bool = False
    texts: tuple[tuple[str, bytes], ...] = ()
    checkpoint: Checkpoint | None = None
    doomed_names: tuple[str, ...] = ()
    doomed: tuple[Segment, ...] = ()
    synced_end: int = 0

    def run(self) -> None:
        """Raises StorageError; then the log has failed for good, and `Log.fail` must hear of it."""
        try:
            self._run()
        except StorageError:
            self._distrust_the_rest()
            raise

    def _distrust_the_rest(self) -> None:
        """R8: after a failed sync the kernel shows bytes as clean that never reached the disk, and a process that
        starts on the same page cache would believe them. So the mark may lie in that cache too, and isn't synced."""
        with suppress(StorageError):
            if TRUSTED in self.directory.names():
                return  # the log was just being recovered: what was known then still holds
            with closing(self.directory.create(TRUSTED + PARTIAL)) as file:
                file.append(b"%d\n" % self.synced_end)
            self.directory.rename(TRUSTED + PARTIAL, TRUSTED)

    def _run(self) -> None:
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
