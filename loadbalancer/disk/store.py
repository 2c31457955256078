"""What control keeps on disk: its generation, the fleet's record, the queue's log and the newest events, in one
SQLite file.

The record is one JSON value, not a table for each of its parts: it is small (some kB), always written
whole, and read once, so tables would only add ways to be half right. Events are rows, since they are
appended and trimmed. So are the queue's records (wire/cluster.py), whose number is the version that they make; a
snapshot now and then takes the place of those before it.

All calls block and belong on one thread at a time (disk/keeper.py); the file may be opened on another. The
record and the generation are synced (synchronous=FULL); events alone are not (NORMAL): losing the last of
them in a power cut is fair, a kill -9 loses none. Writes are conditional on the generation (cluster-rules
R4): a control that was thought dead and comes back writes nothing.
"""

import json
import sqlite3
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadbalancer.event_log import KEPT_EVENTS, Event

FORMAT = 1
BUSY_TIMEOUT_S = 5.0
"""Another process may hold the file for a moment (a backup, a control that is ending); longer is a fault."""

MAX_WAL_BYTES = 4 * 1024 * 1024
"""The write-ahead log is cut back to this after a checkpoint; it starts one at 1000 pages = 4 MB anyway."""

TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, time REAL NOT NULL,
    kind TEXT NOT NULL, replica TEXT NOT NULL, reason TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS queue_log (version INTEGER PRIMARY KEY, record TEXT NOT NULL);
"""
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class StoreError(OSError):
    """The disk's fault (full, read-only, gone) or, if the text says so, a newer control's. Nothing was
    written by this call; what was there stays. Worth trying again later; the caller goes on without."""


@dataclass(frozen=True, slots=True)
class QueueState:
    """The queue's records: a `snapshot` at `version`, and those behind it."""

    version: int = 0
    snapshot: Sequence[Mapping[str, Any]] = ()
    records: Sequence[Mapping[str, Any]] = ()


class Store:
    """An open file. `notice` is "" or what people must know about how it was opened."""

    def __init__(self, connection: sqlite3.Connection, notice: str = "") -> None:
        self._connection = connection
        self._generation = 0
        self.notice = notice

    @classmethod
    def open(cls, path: Path) -> "Store":
        """Open or make the file. One that is damaged is set aside beside it, never deleted, and `notice`
        says so; the fleet is then taken from what lives. Raises StoreError if it can't be opened or made,
        or is of a newer format."""
        try:
            return cls(_connect(path))
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise StoreError(f"{path}: {error}") from error
            aside = _set_aside(path)
            damage = error
        try:
            store = cls(_connect(path), f"{path} was damaged ({damage}); it is kept as {aside}")
            store._write_meta("generation_floor", int(time.time()))
        except sqlite3.Error as error:
            raise StoreError(f"{path}: {error}") from error
        return store

    def close(self) -> None:
        self._connection.close()

    def next_generation(self, least: int = 1) -> int:
        """Commit, synced, and return a generation above all before it, and at least `least`.

        After damage the numbers before are lost, so it then jumps to the seconds since 1970, which no count
        of restarts can have reached: whoever holds an old epoch must not refuse the new ones.
        """
        with self._transaction("FULL"):
            last = int(self._read_meta("generation") or 0)
            floor = int(self._read_meta("generation_floor") or 0)
            generation = max(last + 1, least, floor)
            self._write_meta("generation", generation)
        self._generation = generation
        return generation

    def load_fleet(self) -> dict[str, Any] | None:
        """The record last saved, or None if there is none. Raises StoreError."""
        with _errors():
            text = self._read_meta("fleet")
        try:
            return None if text is None else json.loads(text)
        except ValueError as error:
            raise StoreError(f"the fleet's record is no JSON: {error}") from error

    def commit(self, record: dict[str, Any] | None, events: Iterable[Event]) -> None:
        """The record (None: unchanged) and the events in one transaction. Raises StoreError.

        An event whose id is kept already is left as it is, so that a commit whose outcome was not known may
        be repeated.
        """
        rows = [(event.id, event.time, event.kind, event.replica, event.reason) for event in events]
        with self._transaction("NORMAL" if record is None else "FULL"):
            self._refuse_if_over()
            if record is not None:
                self._write_meta("fleet", json.dumps(record, separators=(",", ":")))
            if rows:
                self._append(rows)

    def load_queue(self) -> QueueState:
        """What was appended. Raises StoreError, also if there is a gap in it."""
        with _errors():
            text = self._read_meta("queue_snapshot")
            rows = self._connection.execute("SELECT version, record FROM queue_log ORDER BY version").fetchall()
        try:
            kept: dict[str, Any] = json.loads(text) if text else {"version": 0, "records": []}
            state = QueueState(kept["version"], kept["records"], [json.loads(record) for _, record in rows])
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"the queue's log can't be read: {error!r}") from error
        if [version for version, _ in rows] != list(range(state.version + 1, state.version + len(rows) + 1)):
            raise StoreError(f"the queue's log has a gap behind version {state.version}")
        return state

    def append_queue(self, after: int, records: Iterable[Mapping[str, Any]], snapshot: QueueState | None) -> None:
        """The records behind version `after`, synced, all or none; with `snapshot`, what it holds goes from the log.
        Raises StoreError.

        Versions that are there already are replaced: an append whose outcome was not known was never told anybody.
        """
        rows = [(version, _compact(record)) for version, record in enumerate(records, start=after + 1)]
        with self._transaction("FULL"):
            self._refuse_if_over()
            self._connection.execute("DELETE FROM queue_log WHERE version > ?", (after,))
            self._connection.executemany("INSERT INTO queue_log VALUES (?, ?)", rows)
            if snapshot is not None:
                kept = {"version": snapshot.version, "records": list(snapshot.snapshot)}
                self._write_meta("queue_snapshot", _compact(kept))
                self._connection.execute("DELETE FROM queue_log WHERE version <= ?", (snapshot.version,))

    def recover_queue(self, generation: int, state: QueueState) -> None:
        """Nothing but `state` is the queue's from now on, and the next control's generation is above `generation`.
        Raises StoreError. If that is above this control's own, it was its last write."""
        with self._transaction("FULL"):
            self._refuse_if_over()
            self._connection.execute("DELETE FROM queue_log")
            kept = {"version": state.version, "records": list(state.snapshot)}
            self._write_meta("queue_snapshot", _compact(kept))
            self._write_meta("generation", max(generation, self._generation))

    def events(self) -> list[Event]:
        """The kept events, ids ascending. Raises StoreError."""
        with _errors():
            rows = self._connection.execute("SELECT id, time, kind, replica, reason FROM events ORDER BY id")
            return [Event(*row) for row in rows]

    def _append(self, rows: list[tuple[int, float, str, str, str]]) -> None:
        self._connection.executemany("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)", rows)
        last = "(SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET ?)"
        self._connection.execute(f"DELETE FROM events WHERE id <= {last}", (KEPT_EVENTS,))  # noqa: S608 - a constant

    def _refuse_if_over(self) -> None:
        last = int(self._read_meta("generation") or 0)
        if last != self._generation:
            raise StoreError(f"generation {self._generation} of control is over: {last} writes now")

    def _read_meta(self, key: str) -> str | None:
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def _write_meta(self, key: str, value: str | int) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, str(value)))

    @contextmanager
    def _transaction(self, synchronous: str) -> Generator[None]:
        """All or nothing; what SQLite raises comes out as StoreError."""
        with _errors():
            self._connection.execute(f"PRAGMA synchronous={synchronous}")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has rolled it back already
                    self._connection.execute("ROLLBACK")
                raise


def _compact(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))


@contextmanager
def _errors() -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"state not written or read: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA journal_size_limit={MAX_WAL_BYTES}")
        _check(connection, path)
        connection.executescript(TABLES)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """A sound file (2 MB at most, so looking at all of it takes milliseconds), of a format that we know."""
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > FORMAT:
        raise StoreError(f"{path} was written by a newer Carousel (format {version}, this one knows {FORMAT})")
    connection.execute(f"PRAGMA user_version={FORMAT}")


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Damage to the content, not a failure to reach it: only the former may be set aside."""
    code = getattr(error, "sqlite_errorcode", None)  # absent where quick_check found it
    return code is None or code & 0xFF in DAMAGED


def _set_aside(path: Path) -> Path:
    """Rename the file, with what SQLite keeps beside it, to the first free name."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return aside
