"""One request's life: tried on a replica, perhaps on the next, its answer streamed to the client.

An exchange is given to one pool at a time and hears from it how the try went. It ends exactly once, in one of
four ways: the answer is whole (`_finish`), an answer of our own takes its place (`_give_up`), the answer is
cut and the client's connection with it (`_cut`), or the client has left (`abandon`). One that asked for another
protocol may end in a fifth way: it becomes a tunnel (tunnel.py).

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
    interim_for_client,
    lead_end,
    unknown_path,
)
from loadbalancer.retry import FRESH_S, IDEMPOTENT, REPLAY_LIMIT_BYTES, Phase, may_retry
from loadbalancer.routing import path_of
from loadbalancer.stickiness import Cookie
from wire.bodies import EMPTY, Body, CloseBody, response_body
from wire.http1 import HttpError, RequestHead, ResponseHead, parse_response

if TYPE_CHECKING:
    from loadbalancer.aio.client import Client
    from loadbalancer.aio.door import Door

JOIN_LIMIT_BYTES = 16 * 1024
"""A head and a body up to this size are joined into one write; copying more costs more than a second
buffer."""

REPEATED_LIMIT_BYTES = 1024
"""Heads up to this size are remembered by their connection: they tend to repeat, and parsing costs a tenth of
a request."""

DRAIN_LIMIT_BYTES = 64 * 1024
"""The longest body that is read though another answer takes its place, so that its connection can be used again. Go's
client reads 2 KiB of a redirect's for the same end; pages that say 404 are longer."""

MAX_INTERIM = 100
"""The most 1xx before an answer: CPython's and Ruby's HTTP clients and fasthttp bear as many."""


NO_REPLICA = "no server replica is available"
REFUSED, TIMED_OUT, RESET = "refused", "timed out", "reset"


class Exchange:
    """A request that goes to a replica. `kept` is the head that the replica gets."""

    def __init__(
        self,
        door: "Door",
        client: "Client",
        head: RequestHead,
        request_id: bytes,
        kept: bytes,
        latency: Latency,
        body: Body,
        now: float,
    ) -> None:
        self.answer_body: Body | None = None
        self.codes: list[int] | None = None
        self.cookie: Cookie | None = None
        self.dechunk = False
        self.interim = 0
        self.keep = False
        self.key = 0
        self.left: Pool | None = None  # the last that it was in and had to leave
        self.partial = b""
        self.paused = False
        self.phase = Phase.UNSENT
        self.pool: Pool | None = None
        self.replayable = True
        self.reusable = False
        self.status = 0
        self.tried: tuple[int, ...] = ()
        self.upstream: Upstream | None = None
        self._room = 0  # how long `kept` may grow: the head and REPLAY_LIMIT_BYTES; 0 until there is a body
        self.door = door
        self.client = client
        self.head = head
        self.request_id = request_id
        self.kept = kept
        self.latency = latency
        self.body = body
        self.started_at = self.heard_at = now
        self.repeatable = head.method in IDEMPOTENT
        self.by_the_book = head.minor == 1 and head.method != b"HEAD"

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
        if self.phase == Phase.UNSENT:
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
        if data.startswith(upstream.last_head):
            self._begin_answer(upstream.last_answer, data, upstream.last_head_bytes)
        else:
            self._read_head(upstream, data)

    def answer_known(self, upstream: Upstream, data: bytes) -> None:
        """The whole answer, all at once, with the head that was the last answer's on this connection: what `answer`
        does with it, without what need not be found out again."""
        answer = upstream.last_answer
        client = self.client
        keep = client.keep(self)
        end = lead_end(answer, self.request_id, b"" if keep else CLOSE_LINE, self.door.date_line)
        self.upstream = None  # a client that stalls at this write must not stop its reading: it serves others next
        client.write(b"%b%b%b" % (answer.lead, end, data[upstream.last_head_bytes :]))
        now = monotonic()
        self.latency.add(now - self.started_at)
        pool = self.pool
        assert pool is not None
        pool.codes[answer.code_class] += 1
        if self.door.access is not None:
            self.status = answer.head.status
            self.door.access.ended(self, True, now)
        if pool.unsettled:
            self.door.replicas.settle(pool)
        pool.done(upstream, answer.head.keep_alive, now)
        client.answered(keep, now)

    @property
    def plain(self) -> bool:
        """Whether an answer that is known can be passed on by `answer_known`."""
        return self.phase == Phase.SENT and not self.partial and self.body.done and self.by_the_book

    def _read_head(self, upstream: Upstream, data: bytes) -> None:
        try:
            parsed = parse_response(data)
            while parsed is not None and parsed[0].status < 200:
                data = data[parsed[1] :]
                if self._switched(parsed[0], data):
                    return
                self._pass_interim(parsed[0])
                parsed = parse_response(data)
        except HttpError as error:
            self._broken(error.reason)
            return
        if parsed is None:
            self.partial = data
            self.heard_at = monotonic()
            return
        head, end = parsed
        answer = answer_for_client(head)
        if end <= REPEATED_LIMIT_BYTES:
            upstream.remember(data[:end], answer)
        self._begin_answer(answer, data, end)

    def _begin_answer(self, answer: Answer, data: bytes, end: int) -> None:
        head = answer.head
        if self._diverted(head, data, end):
            return
        rest = data[end:]
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
            ending = b"" if keep else CLOSE_LINE
            lead = answer.lead + lead_end(answer, self.request_id, ending, self.door.date_line)
        else:
            lead, rest = self._lead_for_old(answer, rest[:taken])
        if self.cookie is not None:
            lead = self.cookie.added(lead, head)
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
        return answer.lead + lead_end(answer, self.request_id, ending, self.door.date_line), part

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

    def _switched(self, head: ResponseHead, rest: bytes) -> bool:
        """Whether that 1xx, with `rest` behind it, has ended this exchange: see tunnel.py."""
        return False

    def _pass_interim(self, head: ResponseHead) -> None:
        """1xx: 100 was given by ourselves, 101 was not asked for, the others pass to clients of HTTP/1.1."""
        self.interim += 1
        if head.status == 101 or self.interim > MAX_INTERIM:
            raise HttpError(
                502, "101 that nobody asked for" if head.status == 101 else "response that never becomes final"
            )
        self.heard_at = monotonic()
        if head.status != 100 and self.head.minor:
            self.client.write(interim_for_client(head))

    def _diverted(self, head: ResponseHead, data: bytes, end: int) -> bool:
        """Whether another answer takes the place of this one: the spec's 400 for a path that no replica
        knows. `data[:end]` is the answer's head."""
        if head.status != 404 or not self.door.hides_404 or self.head.method != b"GET":
            return False
        try:
            body = response_body(head, b"GET")
            taken = 0 if body.done else body.feed(data[end:])
        except HttpError as error:
            self._broken(error.reason)
            return True
        if body.done or not _worth_reading(head, len(data)):
            self._leave_upstream(body.done and head.keep_alive and end + taken == len(data), monotonic())
            self._answer_ourselves(400, unknown_path(path_of(self.head.target)))
        else:
            self.partial = data  # and again from the head on when more of it is here
            self.heard_at = monotonic()
        return True

    def _finish(self, reusable: bool) -> None:
        """The answer is whole."""
        self._count(self.status // 100 if self.status < 600 else 0)
        if not self.body.done:
            self.keep = False
        now = monotonic()
        self._leave_upstream(reusable, now)
        self.client.answered(self.keep, now)

    def _leave_upstream(self, reusable: bool, now: float) -> None:
        """The upstream has answered well. Its connection is kept if it is `reusable` and took all of the request."""
        upstream, pool = self.upstream, self.pool
        assert upstream is not None
        assert pool is not None
        if self.paused:  # by the very write that ended the answer
            self.resume_answer()
        self.upstream = None
        if pool.unsettled:
            self.door.replicas.settle(pool)
        pool.done(upstream, reusable and self.body.done, now)

    # --- how a try fails ------------------------------------------------------------------------------------

    def unreachable(self, refused: bool, own_fault: bool) -> None:
        """The pool could not connect."""
        kind = REFUSED if refused else TIMED_OUT
        if not own_fault:
            self._blame(kind)
        self._again_or(503, NO_REPLICA, charged=not refused)

    def rejected(self) -> None:
        """The pool's queue is full."""
        self._answer_ourselves(503, "the server replica is overloaded")

    def lost(self, reset: bool) -> None:
        """The connection ended, by a reset or by an orderly close."""
        upstream, self.upstream = self.upstream, None
        if self.answer_body is not None:
            self._ended_by_close(reset)
            return
        if self.phase == Phase.ANSWERED:
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
        self.client.answered(False, monotonic())

    def timed_out(self) -> None:
        """The upstream has been silent for too long."""
        pool, phase = self.pool, self.phase
        assert pool is not None
        pool.remove(self)
        if self.answer_body is not None:
            self._blame(TIMED_OUT)
            self._cut("the server replica was silent for too long within its answer")
            return
        if phase == Phase.UNSENT:
            self._give_up(503, "the server replica is overloaded")
            return
        self._blame(TIMED_OUT)
        self._again_or(504, "the server replica was too slow")

    def _broken(self, reason: str) -> None:
        """The upstream does not speak HTTP."""
        self._drop_pool()
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
        self._answer_ourselves(status, reason)

    def _answer_ourselves(self, status: int, reason: str, retry_after_s: int = 1) -> None:
        self.left, self.pool = self.pool or self.left, None
        self.status = status
        if status == 503:
            self.codes = None
        keep = self.head.minor == 1 and self.client.keep(self)  # an older client would have to be told that it may
        answer = self.door.failure(status, reason, self.request_id, not keep, retry_after_s)
        self.client.write_own(self.head.method, answer)
        self._count(status // 100)
        self.client.answered(keep, monotonic())

    def no_replica(self) -> None:
        """There is nobody to try."""
        self._give_up(503, NO_REPLICA)

    def _cut(self, reason: str) -> None:
        """The answer can't be completed: the client must see that it is not whole."""
        self._drop_pool()
        self._count(0, whole=False)
        self.door.log_cut(self.request_id, reason)
        self.client.cut()

    def abandon(self) -> None:
        """The client is gone."""
        self.withdraw()
        self._count(0, whole=False)

    def withdraw(self) -> None:
        """Leave the replica; who calls answers, and counts that."""
        self._drop_pool()

    def _count(self, code_class: int, whole: bool = True) -> None:
        """It has ended, once; class 0: the client's answer is not whole, or has a code that nobody knows."""
        codes = self.codes
        (self.door.own_codes if codes is None else codes)[code_class] += 1
        now = monotonic()
        self.latency.add(now - self.started_at)
        if self.door.access is not None:
            self.door.access.ended(self, whole, now)

    def _drop_pool(self) -> None:
        """Leave the pool, if the exchange is still in it; its connection is aborted."""
        pool, self.pool = self.pool, None
        if pool is None:
            return
        self.left = pool
        if self.upstream is not None or self.phase == Phase.UNSENT:
            pool.remove(self)

    # --- backpressure of the answer -------------------------------------------------------------------------

    def pause_answer(self) -> None:
        """The client does not read."""
        if self.upstream is not None:
            self.paused = True
            self.upstream.transport.pause_reading()

    def resume_answer(self) -> None:
        if self.upstream is not None:
            self.heard_at = monotonic()
            self.paused = False
            self.upstream.transport.resume_reading()


def _worth_reading(head: ResponseHead, size: int) -> bool:
    """Whether the rest of an answer that nobody wants, `size` bytes of it here, costs less than another connection."""
    short = size if head.chunked else head.content_length
    return head.keep_alive and short is not None and short <= DRAIN_LIMIT_BYTES
