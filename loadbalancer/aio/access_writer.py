"""The access log of one worker: what requests leave behind becomes lines on the loop, and bytes in a file elsewhere.

The problem: nothing about the log may cost a request anything but microseconds: no slow disk, no full one, no pipe that
nobody reads. So the end of an exchange appends one tuple to a list; lines are made BATCH at a time between requests
(half a millisecond), or on the tick; and a thread of its own, which waits for nothing else, writes them.

What holds: at most QUEUE_BYTES wait for that thread. While they do, what comes is dropped and counted
(`carousel_access_log_dropped_total`). Lines of one worker are in the order in which their answers ended. A worker that
is killed loses what came since its last tick.

The road not taken: making the lines in the thread too. It would hold the interpreter's lock for whole slices of 5 ms,
and the requests of this worker would wait for it.
"""

import asyncio
import threading
import time
from queue import SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any

from loadbalancer.access_log import CLIENT_GONE, FORMATS, Entry, is_failure, is_sampled
from loadbalancer.counters import NOBODY, Counters
from loadbalancer.disk.log_file import LogFile
from wire.http1 import RequestHead

if TYPE_CHECKING:
    from loadbalancer.aio.client import Client
    from loadbalancer.aio.exchange import Exchange

BATCH = 128
"""Lines made at once: about half a millisecond."""
QUEUE_BYTES = 4 << 20
"""What may wait for the file: some 12 000 lines, a disk's pause of a second at 12 000 requests a second."""
CLOSE_S = 1.0
"""How long the end of a worker waits for the file."""


class AccessLog:
    """`share` of the answers is logged, and every failure."""

    def __init__(self, file: LogFile, form: str, share: float, counters: Counters, log: Any) -> None:
        self._line = FORMATS[form]
        self._share = share
        self._counters = counters
        self._entries: list[Entry] = []
        self._unnamed = 0.0
        self._dropped = 0
        self._writer = Writer(file, log)

    # --- what the data path says ------------------------------------------------------------------------------

    def ended(self, exchange: "Exchange", whole: bool, now: float) -> None:
        """An exchange has ended; what was to be sent of its answer is with the client."""
        client = exchange.client
        sent, client.logged = client.sent - client.logged, client.sent
        status = exchange.status or CLIENT_GONE
        if self._share < 1 and not (is_failure(status, whole) or is_sampled(exchange.request_id, self._share)):
            return
        pool = exchange.pool or exchange.left
        if pool is None or pool.address is None:  # nobody was there, or it was control's
            node_id, replica, tries = NOBODY, "", 0
        else:
            node_id, replica, tries = pool.node_id, pool.address[0], len(exchange.tried) + 1
        began = exchange.started_at
        self._note(
            (began, now - began, client.address, exchange.head, status, sent, exchange.request_id, node_id, replica,
             tries, whole)
        )  # fmt: skip

    def answered(self, client: "Client", head: RequestHead | None, status: int, request_id: bytes) -> None:
        """A request was answered here, at once; its head is None where nobody could read it."""
        sent, client.logged = client.sent - client.logged, client.sent
        if self._share < 1 and status < 500 and not self._takes(request_id):
            return
        self._note((monotonic(), 0.0, client.address, head, status, sent, request_id, NOBODY, "", 0, True))

    def _takes(self, request_id: bytes) -> bool:
        """Requests without an id are as many as the share says, in equal distances."""
        if request_id:
            return is_sampled(request_id, self._share)
        self._unnamed += self._share
        if self._unnamed < 1:
            return False
        self._unnamed -= 1
        return True

    def _note(self, entry: Entry) -> None:
        entries = self._entries
        entries.append(entry)
        if len(entries) == BATCH:
            asyncio.get_running_loop().call_soon(self._make_lines)

    # --- lines ------------------------------------------------------------------------------------------------

    def _make_lines(self) -> None:
        """Of a batch; if more has come meanwhile, the loop turns before the next."""
        entries = self._entries
        batch = entries[:BATCH]
        del entries[:BATCH]
        if not batch:
            return
        if self._writer.waiting_bytes() > QUEUE_BYTES:
            self._dropped += len(batch)
        else:
            epoch_s = time.time() - monotonic()
            self._writer.take(b"".join([self._line(entry, epoch_s) for entry in batch]))
        if len(entries) >= BATCH:
            asyncio.get_running_loop().call_soon(self._make_lines)

    def tick(self) -> None:
        """To be called a few times a second: what waits goes to the file, and what was dropped is counted."""
        self._make_lines()
        self._counters.access_log_dropped = self._dropped + self._writer.lost

    def close(self) -> None:
        """Write what there is, if that is quickly done."""
        while self._entries:
            self._make_lines()
        self._writer.close()


class Writer:
    """The thread and its queue. `lost` counts lines that the file did not take."""

    def __init__(self, file: LogFile, log: Any) -> None:
        self.lost = 0
        self._file = file
        self._log = log
        self._taken = 0  # bytes, by the loop; each of the two is written by one thread alone
        self._done = 0  # bytes, by the thread
        self._failing = False
        self._queue: SimpleQueue[bytes] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def waiting_bytes(self) -> int:
        return self._taken - self._done

    def take(self, lines: bytes) -> None:
        self._taken += len(lines)
        self._queue.put(lines)

    def close(self) -> None:
        """Wait CLOSE_S for what waits; a file that blocks for longer is left to the end of the process."""
        self._queue.put(b"")
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while lines := self._queue.get():
            lost, reason = self._file.write(lines, monotonic())
            self.lost += lost
            self._done += len(lines)
            self._tell(reason)
        self._file.close()

    def _tell(self, reason: OSError | None) -> None:
        """Once when it begins to fail, and once when it no longer does."""
        if reason is not None and not self._failing:
            self._log.error("access log can't be written", reason=reason.strerror or str(reason))
        elif reason is None and self._failing:
            self._log.info("access log is written again", lost=self.lost)
        self._failing = reason is not None
