"""One request's life: tried on a replica, perhaps on the next, its answer streamed to the client.

An exchange is given to one pool at a time and hears from it how the try went. It ends exactly once, in one of
four ways: the answer is whole (`_finish`), an answer of our own takes its place (`_give_up`), the answer is
cut and the client's connection with it (`_cut`), or the client has left (`abandon`).

What is kept: `kept` holds the bytes of the request that came so far, until they are sent and may not be sent
again. So a try that has failed is repeated by giving `kept` to another pool, and while there is no connection
yet the client is not read beyond REPLAY_LIMIT_BYTES.

Backpressure is passed straight through: a client that does not read stops the reading of its upstream and the
other way round.
"""

from time import monotonic
from typing import TYPE_CHECKING

from loadbalancer.aio.upstreams import Pool, Upstream
from loadbalancer.counters import Latency
from loadbalancer.forwarding import (
    CLOSE_LINE,
    FRAMING,
    KEEP_LINE,
    Answer,
    answer_for_client,
    failure,
    lead_end,
    unknown_path,
)
from loadbalancer.retry import FRESH_S, IDEMPOTENT, REPLAY_LIMIT_BYTES, Phase, may_retry
from loadbalancer.routing import path_of
from wire.bodies import EMPTY, Body, CloseBody, request_body, response_body
from wire.http1 import HttpError, RequestHead, ResponseHead, parse_response

if TYPE_CHECKING:
    from loadbalancer.aio.client import Client
    from loadbalancer.aio.door import Door

JOIN_LIMIT_BYTES = 16 * 1024
"""A head and a body up to this size are joined into one write; copying more costs more than a second
buffer."""

AT_ONCE_BYTES = 64 * 1024
"""A piece of a body so large is written at once, not at the end of the turn: libuv reads a connection up to 32 times
in a turn, 256 KB each, and only the write that fills a buffer stops it."""

REPEATED_LIMIT_BYTES = 1024
"""Heads up to this size are remembered by their connection: they tend to repeat, and parsing costs a tenth of
a request."""

NO_REPLICA = "no server replica is available"
REFUSED, TIMED_OUT, RESET = "refused", "timed out", "reset"


class Exchange:
    """A request that goes to a replica. `kept` is the head that the replica gets."""

    # What most exchanges never change is kept in the class: making one is on the path of every request.
    answer_body: Body | None = None
    codes: list[int] | None = None
    dechunk = False
    keep = False
    key = 0
    partial = b""
    phase = Phase.UNSENT
    pool: Pool | None = None
    replayable = True
    reusable = False
    status = 0
    tried: tuple[int, ...] = ()
    upstream: Upstream | None = None
    _room = 0  # how long `kept` may grow: the head and REPLAY_LIMIT_BYTES; 0 until there is a body

    def __init__(
        self, door: "Door", client: "Client", head: RequestHead, request_id: bytes, kept: bytes, latency: Latency
    ) -> None:
        self.door = door
        self.client = client
        self.head = head
        self.request_id = request_id
        self.kept = kept
        self.latency = latency
        self.body: Body = request_body(head)
        self.started_at = self.heard_at = monotonic()
        self.repeatable = head.method in IDEMPOTENT

    # --- the request ----------------------------------------------------------------------------------------

    @property
    def uploading(self) -> bool:
        """Whether more of the request is to come."""
        return not self.body.done

    @property
    def patient(self) -> bool:
        """Whether it waits as long as it takes, for a client that is there."""
        return False

    def upload(self, data: bytes) -> int:
        """Take the next bytes from the client; returns how many were the body's. Raises HttpError if its
        framing is broken."""
        taken = self.body.feed(data)
        part = data if taken == len(data) else data[:taken]
        self.heard_at = monotonic()
        self._room = self._room or REPLAY_LIMIT_BYTES + len(self.kept)
        if self.phase is Phase.UNSENT:
            self.kept += part
            if len(self.kept) > self._room:
                self.replayable = False
                self.client.pause_reading()
        else:
            self._send_on(part)
        return taken

    def _send_on(self, part: bytes) -> None:
        if self.replayable and self.repeatable and len(self.kept) + len(part) <= self._room:
            self.kept += part
        else:
            self._forget_kept()
        if self.upstream is not None:
            self.door.outbox.write(self.upstream.transport, part)
            if len(part) >= AT_ONCE_BYTES:
                self.door.outbox.flush()

    def boarded(self) -> None:
        """The kept bytes are sent, and there are more to come."""
        self.heard_at = monotonic()
        if not self.repeatable or not self.replayable:
            self._forget_kept()
        self.client.resume_reading()

    def _forget_kept(self) -> None:
        self.kept = b""
        self.replayable = False

    def pause_upload(self) -> None:
        self.client.pause_reading()

    def resume_upload(self) -> None:
        self.client.resume_reading()

    # --- the answer -----------------------------------------------------------------------------------------

    def answer(self, data: bytes) -> None:
        """The next bytes from the upstream."""
        if self.answer_body is not None:
            self._relay(data)
            return
        if self.partial:
            data = self.partial + data
        self.phase = Phase.ANSWERED
        upstream = self.upstream
        assert upstream is not None
        end = data.find(b"\r\n\r\n") + 4
        if upstream.last_head == data[:end]:
            self._begin_answer(upstream.last_answer, data[end:])
        else:
            self._read_head(upstream, data)

    def _read_head(self, upstream: Upstream, data: bytes) -> None:
        try:
            parsed = parse_response(data)
        except HttpError as error:
            self._broken(error.reason)
            return
        if parsed is None:
            self.partial = data
            self.heard_at = monotonic()
            return
        head, end = parsed
        if head.status < 200:
            self._interim(head, data, end)
            return
        answer = answer_for_client(head)
        if end <= REPEATED_LIMIT_BYTES:
            upstream.last_head, upstream.last_answer = data[:end], answer
        self._begin_answer(answer, data[end:])

    def _begin_answer(self, answer: Answer, rest: bytes) -> None:
        head = answer.head
        if self._diverted(head):
            return
        self.status = head.status
        if len(rest) == head.content_length and self.head.method != b"HEAD" and head.status != 304:
            self.answer_body = EMPTY  # it is whole: nothing is left to be found out
            taken = len(rest)
        else:
            taken = self._open_body(head, rest)
            if taken < 0:
                return
        if self.head.minor and (head.minor or self.answer_body.__class__ is not CloseBody):
            keep = self.keep = self.answer_body.__class__ is not CloseBody and self.client.keep(self)
            lead = answer.lead + lead_end(answer, self.request_id, b"" if keep else CLOSE_LINE)
        else:
            lead, rest = self._lead_for_old(answer, rest[:taken])
        self._pass_first(lead, rest if taken >= len(rest) else rest[:taken])
        self._after_first(head, taken == len(rest))

    def _open_body(self, head: ResponseHead, rest: bytes) -> int:
        """Begin the body; returns how much of `rest` is the body's, -1 if its framing is broken."""
        body = response_body(head, self.head.method)
        try:
            taken = 0 if body.done or not rest else body.feed(rest)
        except HttpError as error:
            self._broken(error.reason)
            return -1
        self.answer_body = body
        return taken

    def _after_first(self, head: ResponseHead, all_taken: bool) -> None:
        assert self.answer_body is not None
        if self.answer_body.done:
            self._finish(head.keep_alive and all_taken)
        else:
            self.heard_at = monotonic()
            self.reusable = head.keep_alive
            if self.client.stalled:  # since before this answer began
                self.pause_answer()

    def _lead_for_old(self, answer: Answer, part: bytes) -> tuple[bytes, bytes]:
        """For a client of HTTP/1.0, or an answer that ends with its connection: (head, first part of the
        body)."""
        head = answer.head
        self.keep = self.answer_body.__class__ is not CloseBody and not head.chunked and self.client.keep(self)
        self.dechunk = head.chunked and not self.head.minor
        ending = CLOSE_LINE if not self.keep else b"" if self.head.minor else KEEP_LINE
        if self.dechunk:
            answer = answer_for_client(head, FRAMING)
            part = response_body(head, self.head.method).take(part)[0] if part else part
        return answer.lead + lead_end(answer, self.request_id, ending), part

    def _pass_first(self, lead: bytes, part: bytes) -> None:
        if len(part) <= JOIN_LIMIT_BYTES:
            self.client.write(lead + part)
        else:
            self.client.write(lead)
            self.client.write(part)

    def _relay(self, data: bytes) -> None:
        body = self.answer_body
        assert body is not None
        self.heard_at = monotonic()
        try:
            if self.dechunk:
                part, taken = body.take(data)
            else:
                taken = body.feed(data)
                part = data if taken == len(data) else data[:taken]
        except HttpError as error:
            self._cut(error.reason)
            return
        if part:
            self.client.write(part)
        if body.done:
            self._finish(self.reusable and taken == len(data))
        elif len(part) >= AT_ONCE_BYTES:
            self.door.outbox.flush()

    def _interim(self, head: ResponseHead, data: bytes, end: int) -> None:
        """1xx: 100 was given by ourselves, 101 was not asked for, the others pass to clients of HTTP/1.1."""
        if head.status == 101:
            self._broken("it switched protocols unasked")
            return
        if head.status != 100 and self.head.minor:
            self.client.write(data[:end])
        self.partial = b""
        if end < len(data):
            self.answer(data[end:])

    def _diverted(self, head: ResponseHead) -> bool:
        """Whether another answer takes the place of this one: the spec's 400 for a path that no replica
        knows."""
        if head.status != 404 or not self.door.hides_404 or self.head.method != b"GET":
            return False
        self._drop_pool(settled=True)
        self._answer_ourselves(400, unknown_path(path_of(self.head.target)))
        return True

    def _finish(self, reusable: bool) -> None:
        """The answer is whole."""
        upstream, pool = self.upstream, self.pool
        assert upstream is not None
        assert pool is not None
        self.upstream = None
        self._count(self.status // 100 if self.status < 600 else 0)
        if not self.body.done:
            reusable = self.keep = False
        if pool.unsettled:
            self.door.replicas.settle(pool)
        pool.done(upstream, reusable)
        self.client.answered(self.keep)

    # --- how a try fails ------------------------------------------------------------------------------------

    def unreachable(self, refused: bool, own_fault: bool) -> None:
        """The pool could not connect."""
        kind = REFUSED if refused else TIMED_OUT
        if not own_fault:
            self._blame(kind)
        self._again_or(503, NO_REPLICA, charged=not refused)

    def rejected(self) -> None:
        """The pool's queue is full."""
        self.pool = None
        self._answer_ourselves(503, "the server replica is overloaded", retry_after_s=1)

    def lost(self, reset: bool) -> None:
        """The connection ended, by a reset or by an orderly close."""
        upstream, self.upstream = self.upstream, None
        if self.answer_body is not None:
            self._ended_by_close(reset)
            return
        if self.phase is Phase.ANSWERED:
            self._blame(RESET)
            self._give_up(502, "the server replica broke off within its answer")
            return
        if upstream is None or not 0 < upstream.idle_since < self.started_at - FRESH_S:
            self._blame(RESET)  # the end of a connection that had been idle for long never counts
        self._again_or(502, "the server replica closed the connection before it answered")

    def _ended_by_close(self, reset: bool) -> None:
        assert self.answer_body is not None
        if reset or not self.answer_body.eof():
            self._blame(RESET)
            self._cut("the server replica broke off within its answer")
            return
        self._count(self.status // 100 if self.status < 600 else 0)
        if self.pool is not None and self.pool.unsettled:
            self.door.replicas.settle(self.pool)
        self.client.answered(False)

    def timed_out(self) -> None:
        """The upstream has been silent for too long."""
        pool, phase = self.pool, self.phase
        assert pool is not None
        pool.remove(self)
        if self.answer_body is not None:
            self._blame(TIMED_OUT)
            self._cut("the server replica was silent for too long within its answer")
            return
        if phase is Phase.UNSENT:
            self._give_up(503, "the server replica is overloaded")
            return
        self._blame(TIMED_OUT)
        self._again_or(504, "the server replica was too slow")

    def _broken(self, reason: str) -> None:
        """The upstream does not speak HTTP."""
        self._drop_pool(settled=False)
        self._give_up(502, f"the server replica gave a {reason}")

    def _blame(self, kind: str) -> None:
        if self.pool is not None:
            self.door.replicas.blame(self.pool, kind)

    def _again_or(self, status: int, reason: str, charged: bool = True) -> None:
        """Try the next replica, or give up."""
        assert self.pool is not None
        failed = self.pool.node_id
        if not self.retriable() or not self.door.replicas.again(self, failed, charged):
            self._give_up(status, reason)

    def retriable(self) -> bool:
        """Whether the request may go to another replica as far as itself is concerned (its tries and the
        budget aside)."""
        return may_retry(self.head.method, self.phase, self.replayable)

    def move(self, pool: Pool) -> None:
        """Go to `pool` for the next try."""
        self.pool = pool
        self.codes = pool.codes
        self.phase = Phase.UNSENT
        self.partial = b""
        self.heard_at = monotonic()
        pool.carry(self)

    # --- how it ends without an answer ----------------------------------------------------------------------

    def _give_up(self, status: int, reason: str) -> None:
        self._answer_ourselves(status, reason, retry_after_s=1 if status == 503 else 0)

    def _answer_ourselves(self, status: int, reason: str, retry_after_s: int = 0) -> None:
        self.pool = None
        if status == 503:
            self.codes = None
        self._count(status // 100)
        keep = self.head.minor == 1 and self.client.keep(self)  # an older client would have to be told that it may
        answer = failure(status, reason, self.request_id, not keep, retry_after_s)
        self.client.write_own(self.head.method, answer)
        self.client.answered(keep)

    def no_replica(self) -> None:
        """There is nobody to try."""
        self._give_up(503, NO_REPLICA)

    def _cut(self, reason: str) -> None:
        """The answer can't be completed: the client must see that it is not whole."""
        self.door.log_cut(self.request_id, reason)
        self.client.cut()  # which abandons this

    def abandon(self) -> None:
        """The client is gone."""
        self.withdraw()
        self._count(0)

    def withdraw(self) -> None:
        """Leave the replica; who calls answers, and counts that."""
        self._drop_pool(settled=False)

    def _count(self, code_class: int) -> None:
        codes = self.codes
        (self.door.own_codes if codes is None else codes)[code_class] += 1
        self.latency.add(monotonic() - self.started_at)

    def _drop_pool(self, settled: bool) -> None:
        """Leave the pool, if the exchange is still in it. `settled`: the upstream has answered well."""
        pool, self.pool = self.pool, None
        if pool is None:
            return
        if settled and pool.unsettled:
            self.door.replicas.settle(pool)
        if self.upstream is not None or self.phase is Phase.UNSENT:
            pool.remove(self)

    # --- backpressure of the answer -------------------------------------------------------------------------

    def pause_answer(self) -> None:
        """The client does not read."""
        if self.upstream is not None:
            self.upstream.transport.pause_reading()

    def resume_answer(self) -> None:
        if self.upstream is not None:
            self.heard_at = monotonic()
            self.upstream.transport.resume_reading()
