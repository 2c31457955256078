"""Fetch sessions (KIP-227): a follower or consumer of many partitions tells and hears only what has changed. Pure.

The problem: packing an answer about 1 000 partitions costs 0.35 ms even if one of them has news. In a session the
server remembers what was asked; a request names only changes, and an answer only partitions that have records, another
high watermark or log start, or an error.

What holds: epochs count the requests of a session, so that one that got lost is noticed (INVALID_FETCH_SESSION_EPOCH)
and the client begins anew. Sessions are a convenience: one that is forgotten costs one full request. So there are at
most `slots` of them, and whoever was silent longest has to leave once it is older than EVICTION_MS; who finds no room
is answered without a session, which is always right.
"""

from collections.abc import Callable, Iterator
from typing import Final

from wire.answer_parts import Topic
from wire.errors import ErrorCode
from wire.fetch_answers import FetchResult
from wire.fetch_requests import FetchedPartition, FetchRequest

SLOTS: Final = 1_000
"""`max.incremental.fetch.session.cache.slots`"""

EVICTION_MS: Final = 120_000
"""Kafka's `min.incremental.fetch.session.eviction.ms`."""

MAX_PARTITIONS: Final = 100_000
"""Of one session, so that requests can't grow it for ever; no request may name more (wire.primitives.MAX_ELEMENTS)."""

FINAL_EPOCH: Final = -1
INITIAL_EPOCH: Final = 0
NO_SESSION: Final = 0
_MAX_EPOCH: Final = 2**31 - 1


class Wanted:
    """One partition of a fetch. In a session it is kept, with what was last answered."""

    __slots__ = ("asked", "has_failed", "high_watermark", "log_start", "topic")

    def __init__(self, topic: Topic, asked: FetchedPartition) -> None:
        self.topic = topic
        self.asked = asked
        self.high_watermark = -1
        self.log_start = -1
        self.has_failed = False

    def is_news(self, result: FetchResult) -> bool:
        """Whether an incremental answer must hold `result`; it is remembered as told."""
        had_failed, self.has_failed = self.has_failed, result.error_code != 0
        news = bool(result.records or result.error_code or result.diverging_epoch or had_failed)
        if result.high_watermark != self.high_watermark or result.log_start_offset != self.log_start:
            self.high_watermark, self.log_start = result.high_watermark, result.log_start_offset
            return True
        return news


class Session:
    """What one client fetches; `partitions` in the order in which they are served."""

    __slots__ = ("epoch", "partitions", "session_id", "used_ms", "uses_ids")

    def __init__(self, session_id: int, uses_ids: bool, now_ms: int) -> None:
        self.session_id = session_id
        self.epoch = 1
        self.uses_ids = uses_ids
        self.used_ms = now_ms
        self.partitions: dict[tuple[Topic, int], Wanted] = {}

    def served(self, wanted: Wanted) -> None:
        """It has had its share: others come first next time, or one busy partition would starve the rest."""
        key = (wanted.topic, wanted.asked.partition)
        if self.partitions.pop(key, None) is not None:
            self.partitions[key] = wanted


class Asked:
    """A request as sessions resolve it. With a `session`, `is_incremental` says that only news is answered."""

    __slots__ = ("code", "is_incremental", "session", "wanted")

    def __init__(
        self,
        wanted: list[Wanted],
        session: Session | None = None,
        is_incremental: bool = False,
        code: ErrorCode = ErrorCode.NONE,
    ) -> None:
        self.wanted = wanted
        self.session = session
        self.is_incremental = is_incremental
        self.code = code

    @property
    def session_id(self) -> int:
        return NO_SESSION if self.session is None else self.session.session_id


class FetchSessions:
    """The sessions of one server. `new_id` yields random positive int32s."""

    def __init__(self, new_id: Callable[[], int], slots: int = SLOTS) -> None:
        self._new_id = new_id
        self._slots = slots
        self._sessions: dict[int, Session] = {}  # the longest silent first

    def __len__(self) -> int:
        return len(self._sessions)

    def resolve(self, request: FetchRequest, uses_ids: bool, now_ms: int) -> Asked:
        """What the request fetches, by KIP-227's rules; `code` is the answer to it as a whole where it has none."""
        if request.session_epoch == FINAL_EPOCH:
            self._sessions.pop(request.session_id, None)
            return Asked(list(_all_wanted(request)))
        if request.session_epoch == INITIAL_EPOCH:
            self._sessions.pop(request.session_id, None)
            return self._begin(request, uses_ids, now_ms)
        return self._go_on(request, uses_ids, now_ms)

    def _begin(self, request: FetchRequest, uses_ids: bool, now_ms: int) -> Asked:
        wanted = list(_all_wanted(request))
        if not wanted or not self._has_room(now_ms):
            return Asked(wanted)
        session = Session(self._unused_id(), uses_ids, now_ms)
        session.partitions = {(one.topic, one.asked.partition): one for one in wanted}
        self._sessions[session.session_id] = session
        return Asked(wanted, session)

    def _go_on(self, request: FetchRequest, uses_ids: bool, now_ms: int) -> Asked:
        session = self._sessions.pop(request.session_id, None)
        if session is None:
            return Asked([], code=ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        self._sessions[session.session_id] = session  # the last to leave
        if session.epoch != request.session_epoch:
            return Asked([], code=ErrorCode.INVALID_FETCH_SESSION_EPOCH)
        if session.uses_ids != uses_ids:
            return Asked([], code=ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
        session.used_ms = now_ms
        session.epoch = 1 if session.epoch == _MAX_EPOCH else session.epoch + 1
        self._update(session, request)
        return Asked(list(session.partitions.values()), session, True)

    def _update(self, session: Session, request: FetchRequest) -> None:
        partitions = session.partitions
        for topic, numbers in request.forgotten:
            for number in numbers:
                partitions.pop((topic, number), None)
        for topic, asked in request.topics:
            for one in asked:
                known = partitions.get((topic, one.partition))
                if known is not None:
                    known.asked = one
                elif len(partitions) < MAX_PARTITIONS:
                    partitions[topic, one.partition] = Wanted(topic, one)

    def _has_room(self, now_ms: int) -> bool:
        if len(self._sessions) < self._slots:
            return True
        oldest = next(iter(self._sessions.values()))
        if now_ms - oldest.used_ms < EVICTION_MS:
            return False
        del self._sessions[oldest.session_id]
        return True

    def _unused_id(self) -> int:
        while (session_id := self._new_id()) in self._sessions or session_id == NO_SESSION:
            pass
        return session_id


def _all_wanted(request: FetchRequest) -> Iterator[Wanted]:
    for topic, asked in request.topics:
        for one in asked:
            yield Wanted(topic, one)
