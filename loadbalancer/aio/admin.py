"""A request that control answers: the same streaming as to replicas, with other rules for what fails.

A call that changes the fleet must not be made twice, so nothing is tried again: while control is away the
client gets 503 and may come back itself. A wait or an event stream would hold one of Flask's threads; instead
Flask answers `X-Accel-Redirect: <target>` (nginx's word), and the exchange goes on with a GET of that target
on the socket of control's own loop, however long that takes.
"""

from loadbalancer.aio.exchange import Exchange
from loadbalancer.forwarding import redirected
from wire.bodies import EMPTY
from wire.http1 import ResponseHead

REDIRECT = b"x-accel-redirect"
CONTROL_AWAY = "control is not available"


class AdminExchange(Exchange):
    """An exchange with control's socket, then perhaps with its loop's."""

    redirected: bool = False

    def begin(self) -> None:
        self.redirected = self.repeatable = False
        self.move(self.door.control)

    @property
    def patient(self) -> bool:
        """Whether no time-out applies: waits and streams are bounded by control."""
        return self.redirected

    def _diverted(self, head: ResponseHead, data: bytes, end: int) -> bool:
        target = None if self.redirected else head.get(REDIRECT)
        if target is None:
            return False
        if not target.startswith(b"/"):
            self._broken("bad redirect")
            return True
        self._drop_pool()
        self.redirected = True
        self.body = EMPTY if self.body.done else self.body
        self.replayable = True
        self.kept = redirected(self.head, target, self.request_id, self.client.address, self.client.peer)
        self.move(self.door.loop)
        return True

    def unreachable(self, refused: bool, own_fault: bool) -> None:
        self._give_up(503, CONTROL_AWAY)

    def rejected(self) -> None:
        self._give_up(503, CONTROL_AWAY)

    def timed_out(self) -> None:
        self._drop_pool()
        if self.answer_body is not None:
            self._cut("control was silent for too long within its answer")
        else:
            self._give_up(504, "control was too slow")

    def lost(self, reset: bool) -> None:
        self.upstream = None
        if self.answer_body is not None:
            self._ended_by_close(reset)
        else:
            self._give_up(502, "control broke off before it answered")

    def _broken(self, reason: str) -> None:
        self._drop_pool()
        self._give_up(502, f"control gave a {reason}")

    def _blame(self, kind: str) -> None:
        """Control is not ejected; it is waited for."""

    def retriable(self) -> bool:
        return False
