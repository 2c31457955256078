"""The chaos run's client: an open loop that writes down everything and never tries again.

Answers are read by h11, which shares no code with the front door. A connection serves one request at a time; the one
that was used last is used next, and none that was idle for longer than IDLE_S: a client that can't repeat a POST must
not send it into a connection that is about to be closed (RFC 9112, 9.3.1, leaves that race to the client). Bytes on a
connection on which nothing was asked are kept as strays: so an answer that is given twice is seen.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Iterator
from time import monotonic
from typing import cast

import h11

from analysis.chaos.asks import Ask
from analysis.chaos.facts import Ending, Record, Stray
from analysis.load import due_times

HOST = "127.0.0.1"
CONNECTIONS = 4096
"""Open at most; past it requests wait, and their latency with them. A replica that hangs holds up some 1500. Without a
bound, a client that is short of processor time for a second opens thousands of connections, which takes more of it."""
IDLE_S = 2.0
PATIENCE_S = 15.0
"""From the sending on: longer than the fleet takes to find a replica that hangs while control is being restarted."""
SWEEP_S = 0.5
TEAR_S = 0.02
"""Between the two parts of a slow upload."""
LEAVE_S = 0.01
"""After sending the head: within a slow upload's first part, or a slow answer."""
CHUNKS = 3


class Client:
    """All connections to one port. `late_s` is by how much the client itself was late with a request, at worst."""

    def __init__(self, port: int, connections: int = CONNECTIONS) -> None:
        self.port = port
        self.records: list[Record] = []
        self.strays: list[Stray] = []
        self.late_s = 0.0
        self.connections: set[Connection] = set()
        self.idle: dict[Connection, None] = {}  # a set in the order of use
        self._limit = connections
        self._waiting: deque[Record] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._count = 0
        self._all_ended = asyncio.Event()

    async def load(self, asks: Iterator[Ask], rate: float, count: int) -> None:
        """`count` requests at `rate` a second; returns when the last of them has ended."""
        sweeping = asyncio.get_running_loop().create_task(self._sweep())
        self._count = count
        async for due in due_times(rate, count):
            self.ask(next(asks), due)
        await self._all_ended.wait()
        sweeping.cancel()
        for connection in tuple(self.idle):
            connection.transport.close()

    def ask(self, ask: Ask, due: float) -> None:
        """Send it, now or when there is a connection."""
        self.late_s = max(self.late_s, monotonic() - due)
        self._waiting.append(Record(ask, due))
        self.serve_waiting()

    def serve_waiting(self) -> None:
        """Send what waits, as far as there are connections, or may be."""
        while self._waiting and (self.idle or len(self.connections) + len(self._opening) < self._limit):
            connection = self.idle.popitem()[0] if self.idle else None
            if connection is None:
                self._open_for(self._waiting.popleft())
            elif monotonic() - connection.idle_since < IDLE_S:
                connection.send(self._waiting.popleft())
            else:
                connection.transport.close()

    def _open_for(self, record: Record) -> None:
        task = asyncio.get_running_loop().create_task(self._open(record))
        self._opening.add(task)
        task.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        self.serve_waiting()

    async def _open(self, record: Record) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PATIENCE_S):
                _, connection = await loop.create_connection(lambda: Connection(self), HOST, self.port)
        except OSError as error:  # TimeoutError is one
            record.ending = Ending.TOO_SLOW if isinstance(error, TimeoutError) else Ending.REFUSED
            self.ended(record)
        else:
            connection.send(record)

    def ended(self, record: Record) -> None:
        record.ended = monotonic()
        self.records.append(record)
        if len(self.records) == self._count:
            self._all_ended.set()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self.sweep(monotonic())

    def sweep(self, now: float) -> None:
        """Give up what takes too long, and close what is idle for long."""
        for connection in [c for c in self.connections if c.is_overdue(now)]:
            connection.end(Ending.TOO_SLOW)
        for connection in [c for c in self.idle if now - c.idle_since >= IDLE_S]:
            connection.transport.close()


class Connection(asyncio.Protocol):
    """One connection; `record` is of the request that is under way on it."""

    def __init__(self, client: Client) -> None:
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # at once
        self.idle_since = 0.0
        self._client = client
        self._record: Record | None = None
        self._http = h11.Connection(h11.CLIENT)
        self._hash = hashlib.sha256()
        self._connected = self._sent = monotonic()
        self._early: bytes | None = b""  # came before anything was asked here, as a refusal for want of room does

    # --- the request -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._client.connections.add(self)

    def send(self, record: Record) -> None:
        self._record = record
        self._sent = monotonic()
        record.connected = self._connected
        self._hash = hashlib.sha256()
        self._send_request(record)
        early, self._early = self._early, None
        if early:
            self.data_received(early)
        if self.transport.is_closing() and self._record is record:
            self._finish(record, Ending.LOST)

    def _send_request(self, record: Record) -> None:
        ask, upload, later = record.ask, record.ask.upload, asyncio.get_running_loop().call_later
        self._write(h11.Request(method=ask.method, target=ask.path, headers=_headers(ask)))
        if ask.slow:
            half = len(upload) // 2
            self._write(h11.Data(data=upload[:half]))
            later(TEAR_S, self._send_rest, record, upload[half:])
        else:
            self._send_rest(record, upload)
        if ask.leaves:
            later(LEAVE_S, self._leave, record)

    def _leave(self, record: Record) -> None:
        if self._record is record:
            self.end(Ending.LEFT)

    def _send_rest(self, record: Record, rest: bytes) -> None:
        if self._record is not record:
            return  # answered before it was whole, or lost
        step = -(-len(rest) // CHUNKS) if record.ask.chunked else len(rest)
        for at in range(0, len(rest), step or 1):
            self._write(h11.Data(data=rest[at : at + step]))
        self._write(h11.EndOfMessage())

    def _write(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self.transport.write(data)

    # --- the answer ------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._record is None:
            self._unasked(data)
            return
        try:
            self._http.receive_data(data)
            while self._take(self._http.next_event()):
                pass
        except h11.RemoteProtocolError:
            self.end(Ending.BROKEN)

    def _take(self, event: object) -> bool:
        """One event of the answer; False when there is no further one."""
        record = self._record
        assert record is not None
        if isinstance(event, h11.Response):
            _read_head(record, event)
        elif isinstance(event, h11.Data):
            record.size += len(event.data)
            self._hash.update(event.data)
        elif isinstance(event, h11.EndOfMessage):
            self._whole(record)
            return False
        return event is not h11.NEED_DATA and event is not h11.PAUSED

    def _whole(self, record: Record) -> None:
        record.checksum = self._hash.hexdigest()
        beyond, _ = self._http.trailing_data
        if beyond:
            self._astray(beyond)
        again = not beyond and self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        self._finish(record, Ending.WHOLE)
        if again:
            self._http.start_next_cycle()
            self.idle_since = monotonic()
            self._client.idle[self] = None
            self._client.serve_waiting()
        else:
            self.transport.close()

    def _unasked(self, data: bytes) -> None:
        if self._early is None:
            self._astray(data)
        else:
            self._early += data

    def _astray(self, data: bytes) -> None:
        self._client.strays.append(Stray(monotonic(), bytes(data)))
        self.transport.abort()

    # --- the end ---------------------------------------------------------------------------------------------

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.connections.discard(self)
        self._client.idle.pop(self, None)
        if self._record is not None:
            self._finish(self._record, Ending.CUT if self._record.status else Ending.LOST)
        self._client.serve_waiting()

    def is_overdue(self, now: float) -> bool:
        return self._record is not None and now - self._sent > PATIENCE_S

    def end(self, ending: Ending) -> None:
        """Give the request up."""
        if self._record is not None:
            self._finish(self._record, ending)
        self.transport.abort()

    def _finish(self, record: Record, ending: Ending) -> None:
        self._record = None
        record.ending = ending
        self._client.ended(record)


def _headers(ask: Ask) -> list[tuple[str, str]]:
    lines = [("Host", "chaos"), ("X-Request-Id", ask.id)]
    if ask.upload:
        lines.append(("Transfer-Encoding", "chunked") if ask.chunked else ("Content-Length", str(ask.size)))
    return lines


def _read_head(record: Record, event: h11.Response) -> None:
    lines = {name: value.decode("latin-1") for name, value in event.headers}
    record.status = event.status_code
    record.answer_id = lines.get(b"x-request-id", "")
    record.replica = lines.get(b"x-replica", "")
    record.length = int(lines.get(b"content-length", "-1"))
