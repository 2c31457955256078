"""Kafka's listeners: frames in, answers out in the order of the requests, and a bound on everything.

The problem: a connection may send a thousand requests before it reads an answer, ask for 50 MiB and never read it, or
send nothing for an hour; there are thousands of them, and one loop. So for each connection:
- requests are served as they come, up to MAX_UNDER_WAY of them that wait for something, or HELD_BYTES of answers that
  wait for the one before them; then its socket isn't read;
- of what it sent at once, TURN requests are served, then others get their turn;
- while it doesn't take what was sent, its socket isn't read, and no answer that can wait (a Fetch's) is made: what is
  unsent is at most one answer each, and those together are kept below UNSENT_BYTES by making them smaller;
- records that lie in a file go from there to the socket, by the kernel's hand (`server.aio.large_answers`);
- what it sent is kept in a buffer that all connections share, but for unfinished frames (`wire.frames`).

What holds: answers go out in the order of their requests, each once; one that is malformed closes its connection, after
the answers before it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, Final, Protocol, cast

from server.aio.large_answers import LargeAnswer
from server.api.shape import Answer, Call, Later, LazyAnswer
from server.apis import Answered, Api
from server.busy_poll import BusyPoll
from server.now import Now
from server.traffic import ApiTraffic, Requests
from wire.frames import MAX_FRAME, MAX_FRAME_BEFORE_LOGIN, BufferPool, FrameReader, RequestHead, read_head
from wire.primitives import Data, WireError

MAX_UNDER_WAY: Final = 1_000
"""Requests of one connection that wait at once; librdkafka's own default (`max.in.flight`) is a million, Java's 5."""

TURN: Final = 4
"""Requests of one connection between two looks at all others. A read brings 256 KiB, a thousand requests of a message
each: with a hundred such producers a turn of the loop took longer than control waits for a heartbeat, and the server
was killed for it. Requests as large as producers in a hurry make them come one or two to a read."""

HELD_BYTES: Final = 1024 * 1024
"""Of answers that are made and wait for an earlier one: behind a parked Fetch a thousand requests of some bytes each
may ask for a megabyte each."""

UNSENT_BYTES: Final = 64 * 1024 * 1024
"""Of all connections together, beyond which fetch answers become as small as they can be."""

MAX_ANSWER: Final = 8 * 1024 * 1024
"""Bytes of records in one Fetch answer, however much is asked: a busy loop serves others in between."""

BULK: Final = 64 * 1024
"""From an answer larger than this on, a connection counts as choked while any byte is unsent: the last one keeps the
whole answer in memory, and transports say nothing of less than 64 KiB."""

SHARE: Final = 4
"""An answer takes at most this part of what is left of UNSENT_BYTES."""

IDLE_MS: Final = 600_000
"""`connections.max.idle.ms`"""

MAX_CONNECTIONS: Final = 16_384
"""Of one server. Kafka has no limit by default, and runs out of descriptors instead."""

MAX_SERVERS: Final = 1_024
"""Connections where one has to log in: a place of their own, or clients that take all of theirs would keep servers from
following each other, and each other's acks=all from an answer."""

LOGIN_MS: Final = 10_000
"""How long one may take to log in."""

BACKLOG: Final = 1024
"""Connections that wait to be accepted; the kernel lowers it to net.core.somaxconn."""

_log = logging.getLogger("carousel.kafka")


class Answering(Protocol):
    """What a listener serves."""

    @property
    def apis(self) -> Mapping[int, Api]: ...

    @property
    def context(self) -> Any: ...

    def unknown_version(self, call: Call, head: RequestHead) -> Answer | None:
        """The answer to a request whose API or version isn't served; None: close."""
        ...


class Login(Protocol):
    """Who has yet to prove who it is, on a listener that wants to know (`server.login`)."""

    is_done: bool
    node_id: int | None

    def answer(self, head: RequestHead, frame: memoryview) -> Answer:
        """Raises WireError for whatever isn't a step of it."""
        ...


class Listener:
    """One listener: a name, and its connections. `budget`, `requests` and `busy_poll` may be shared with other
    listeners; who has to log in is another server."""

    def __init__(
        self,
        name: str,
        answering: Answering,
        clock: Callable[[], Now],
        pool: BufferPool,
        budget: "Budget",
        requests: Requests,
        busy_poll: BusyPoll,
        login: Callable[[], Login] | None = None,
    ) -> None:
        self.name = name
        self.answering = answering
        self.clock = clock
        self.pool = pool
        self.budget = budget
        self.busy_poll = busy_poll
        self.login = login
        of_servers = login is not None
        self.served = {
            key: (api.decode, api.handle, requests.of(key, of_servers)) for key, api in answering.apis.items()
        }
        """What each request needs, by its API's key."""
        self.connections: set[Connection] = set()
        self.has_stopped = False
        """A connection that was accepted before may still come."""
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int, accept: bool = True) -> int:
        """The port to which it is bound. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self), host, port, backlog=BACKLOG, start_serving=accept
        )
        return int(self._server.sockets[0].getsockname()[1])

    def accept(self) -> None:
        """From now on, if it didn't before."""
        if self._server is not None and not self._server.is_serving():
            self._starting = asyncio.ensure_future(self._server.start_serving())

    def sweep(self) -> None:
        """Close who was silent for too long."""
        now_ms = self.clock().steady_ms
        for connection in list(self.connections):
            connection.close_if_idle(now_ms)

    def stop_accepting(self) -> None:
        self.has_stopped = True
        if self._server is not None:
            self._server.close()

    def end(self) -> None:
        """Read nothing more; connections are closed as soon as what they asked for is answered."""
        self.stop_accepting()
        for connection in list(self.connections):
            connection.end()

    def close(self) -> None:
        """Close all connections; what was given to their transports goes out first."""
        self.stop_accepting()
        for connection in list(self.connections):
            connection.close()


class Budget:
    """Bytes that clients don't take, and connections, of a whole server."""

    def __init__(self, unsent_bytes: int = UNSENT_BYTES, connections: int = MAX_CONNECTIONS) -> None:
        self.connections_left = connections
        self._most = unsent_bytes
        self._unsent = 0

    def room(self) -> int:
        """For one more answer."""
        return min(MAX_ANSWER, (self._most - self._unsent) // SHARE)

    def add(self, size: int) -> None:
        self._unsent += size


class Asked(Call):
    """A request under way, and its place in the order of its connection's answers."""

    __slots__ = ("answer", "begun_s", "connection", "held", "traffic")

    def __init__(self, connection: "Connection", head: RequestHead, now: Now, begun_s: float) -> None:
        self.version = head.version
        self.correlation_id = head.correlation_id
        self.client_id = head.client_id
        self.host = connection.host
        self.listener = connection.listener_name
        self.now = now
        self.connection = connection
        self.answer: Answer | LazyAnswer | None = None
        self.begun_s = begun_s
        self.held = 0
        """Bytes of the answer, while it waits for others."""
        self.traffic: ApiTraffic | None = None

    @property
    def node_id(self) -> int | None:  # type: ignore[override]  # looked up by the few who ask
        return self.connection.node_id

    def reply(self, answer: Answer | LazyAnswer) -> None:  # type: ignore[override]  # a field where there is no listener
        """The answer of a parked call."""
        assert self.answer is None, "a call is answered once"
        self.answer = answer
        self.connection.answered(self)


class Connection(asyncio.BufferedProtocol):
    """One client."""

    def __init__(self, listener: Listener) -> None:
        self.listener_name = listener.name
        self.host = ""
        self._listener = listener
        self._served = listener.served
        self._busy_poll = listener.busy_poll
        self._context = listener.answering.context
        self._reader = FrameReader(listener.pool)
        self._login = listener.login() if listener.login is not None else None
        if self._login is not None:
            self._reader.limit = MAX_FRAME_BEFORE_LOGIN
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[Asked] = deque()
        self._is_choked = False
        """The client doesn't take what was sent."""
        self._is_reading = True
        self._is_ending = False
        """Nothing more is read: closed once the answers that are due are out."""
        self._held = 0
        self._unsent = 0
        self._untaken = 0
        """Bytes that were unsent when idle connections were last looked for."""
        self._written = 0
        """Of the last answer with records: what it holds in memory until its last byte is taken."""
        self._large: LargeAnswer | None = None
        """The last answer, if not all of it has been given to the transport: the client is choked then."""
        self._active_ms = 0
        self._since_ms = 0

    @property
    def node_id(self) -> int | None:
        """Which server has logged in here."""
        return None if self._login is None else self._login.node_id

    # --- the transport's side --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        peer: Any = transport.get_extra_info("peername")
        self.host = str(peer[0]) if peer else ""
        self._active_ms = self._since_ms = self._listener.clock().steady_ms
        self._listener.connections.add(self)
        budget = self._listener.budget
        budget.connections_left -= 1
        if budget.connections_left < 0 or self._listener.has_stopped:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._is_ending = True
        self._listener.connections.discard(self)
        self._listener.budget.connections_left += 1
        self._unchoke()
        self._waiting.clear()
        self._large = None
        self._reader.close()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._reader.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        self._reader.received(nbytes)
        self._serve()

    def eof_received(self) -> bool:
        """Answers under way still go out: `printf … | nc` works, as does a client that shuts down its side."""
        self.end()
        return True

    def pause_writing(self) -> None:
        transport = self._transport
        self._is_choked = True
        if transport is not None:
            self._unsent = max(transport.get_write_buffer_size(), self._written)
            self._listener.budget.add(self._unsent)
        self._pause()

    def resume_writing(self) -> None:
        self._unchoke()
        if self._large is not None:
            self._go_on_sending(self._large)
        self._flush()

    def _unchoke(self) -> None:
        self._is_choked = False
        self._listener.budget.add(-self._unsent)
        self._unsent = 0

    # --- requests --------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        """Serve what has come."""
        reader = self._reader
        now = self._listener.clock()
        self._active_ms = now.steady_ms
        begun_s = perf_counter()
        self._busy_poll.asked(self, begun_s)
        try:
            for _ in range(TURN):
                if self._is_ending:
                    return
                if self._is_choked or not self._has_room():
                    self._pause()
                    return
                frame = reader.next()
                if frame is None:
                    return
                self._serve_one(frame, now, begun_s)
            self._yield()
        except WireError as error:
            fields = {"peer": self.host, "listener": self.listener_name, "reason": str(error)}
            _log.info("malformed", extra={"fields": fields})
            self.end()
        except Exception:
            _log.exception("failed", extra={"fields": {"peer": self.host, "listener": self.listener_name}})
            self.end()

    def _serve_one(self, frame: memoryview, now: Now, begun_s: float) -> None:
        head = read_head(frame)
        asked = Asked(self, head, now, begun_s)
        if self._login is not None and not self._login.is_done:
            self._log_in(self._login, asked, head, frame)
            return
        if head.at is None:
            answer = self._listener.answering.unknown_version(asked, head)
            if answer is None:
                raise WireError(f"API {head.api_key} in version {head.version} isn't served")
            self._put(asked, answer)
            return
        served = self._served.get(head.api_key)
        if served is None:
            raise WireError(f"API {head.api_key} isn't served here")
        decode, handle, traffic = served
        traffic.requests += 1
        asked.traffic = traffic
        answer = handle(asked, decode(head.version, frame, head.at), self._context)
        if answer is Later.PARKED:
            self._waiting.append(asked)
            self.answered(asked)  # it may have come at once
        elif answer is not Later.NO_ANSWER:
            self._put(asked, answer)

    def _log_in(self, login: Login, asked: Asked, head: RequestHead, frame: memoryview) -> None:
        self._put(asked, login.answer(head, frame))
        if login.is_done:
            self._reader.limit = MAX_FRAME

    # --- answers, in order -----------------------------------------------------------------------------------------

    def _put(self, asked: Asked, answer: Answered) -> None:
        assert not isinstance(answer, Later)
        if self._waiting or self._is_choked:
            asked.answer = answer
            self._waiting.append(asked)
            self._hold(asked)
        else:
            self._write(asked, answer)

    def answered(self, asked: Asked) -> None:
        """A parked call has its answer. Raises nothing: who brings it has others to tell."""
        if asked.answer is None or not self._waiting:
            return
        if self._waiting[0] is not asked:
            self._hold(asked)
            return
        try:
            self._flush()
        except Exception:
            _log.exception("an answer failed", extra={"fields": {"peer": self.host, "listener": self.listener_name}})
            self.abort()

    def _hold(self, asked: Asked) -> None:
        if not isinstance(asked.answer, LazyAnswer):
            asked.held = _size(asked.answer or b"")
            self._held += asked.held

    def _has_room(self) -> bool:
        """For one more request."""
        return len(self._waiting) < MAX_UNDER_WAY and self._held <= HELD_BYTES

    def _flush(self) -> None:
        waiting = self._waiting
        while waiting and not self._is_choked and (answer := waiting[0].answer) is not None:
            asked = waiting.popleft()
            self._held -= asked.held
            self._write(asked, answer)
        if self._is_choked or self._transport is None:
            return
        if self._is_ending:
            if not waiting:
                self._transport.close()
        elif not self._is_reading and self._has_room():
            self._resume()

    def _write(self, asked: Asked, answer: Answer | LazyAnswer) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():  # drops what it gets, beside which a file's bytes would go out
            return
        if isinstance(answer, LazyAnswer):
            answer = answer.make(self._listener.budget.room())
        if isinstance(answer, bytes):
            transport.write(answer)
            self._busy_poll.answered()
        elif _size(answer) <= BULK:
            self._written = 0
            transport.writelines(cast("Sequence[Data]", answer))  # nothing so small is left in a file
            self._busy_poll.answered()
        else:
            self._send(transport, LargeAnswer(transport, answer))
        if asked.traffic is not None:
            asked.traffic.times.add(perf_counter() - asked.begun_s)

    def _send(self, transport: asyncio.Transport, answer: LargeAnswer) -> None:
        self._large = answer
        self._written = answer.in_memory
        transport.set_write_buffer_limits(0)
        self._go_on_sending(answer)

    def _go_on_sending(self, answer: LargeAnswer) -> None:
        try:
            answer.send()
        except OSError as error:
            if not isinstance(error, ConnectionError):
                _log.warning("a file can't be sent", extra={"fields": {"peer": self.host, "reason": str(error)}})
            self.abort()
        if not answer:
            self._large = None

    # --- reading or not --------------------------------------------------------------------------------------------

    def _pause(self) -> None:
        if self._is_reading and self._transport is not None:
            self._is_reading = False
            self._transport.pause_reading()

    def _resume(self) -> None:
        """What was left in the buffer first, later, as an answer may be under way just now."""
        self._is_reading = True
        asyncio.get_running_loop().call_soon(self._go_on)

    def _yield(self) -> None:
        """What is left in the buffer when all others had their turn."""
        self._pause()
        asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        """Unless it must wait for its client or its answers, or one of those brought it on meanwhile."""
        if not self._is_reading and not self._is_choked and self._has_room():
            self._is_reading = True
            self._go_on()

    def _go_on(self) -> None:
        if self._transport is None or not self._is_reading or self._is_ending:
            return
        self._serve()
        if self._is_reading and not self._transport.is_closing():
            self._transport.resume_reading()

    def end(self) -> None:
        """Nothing more is read; answers that are due still go out."""
        self._is_ending = True
        self._pause()
        self._flush()

    def close_if_idle(self, now_ms: int) -> None:
        """Who takes nothing of what was sent is idle, too, and holds memory that others could have."""
        transport = self._transport
        if transport is None:
            return
        untaken = transport.get_write_buffer_size() + len(self._large or ()) if self._is_choked else 0
        if untaken != self._untaken:
            self._untaken, self._active_ms = untaken, now_ms
        is_stranger = self._login is not None and not self._login.is_done
        if is_stranger and self._since_ms < now_ms - LOGIN_MS:
            self.abort()
        elif self._active_ms >= now_ms - IDLE_MS:
            return
        elif self._is_choked:
            self.abort()
        elif not self._waiting:
            self.close()

    def abort(self) -> None:
        """Close, and forget what is unsent."""
        self._is_ending = True
        self._large = None
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        self._is_ending = True
        self._large = None
        if self._transport is not None:
            self._transport.close()


def _size(answer: Answer) -> int:
    return len(answer) if isinstance(answer, bytes) else sum(map(len, answer))
