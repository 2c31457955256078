"""Produce (0), versions 3 to 13: batches into logs, the way of every message.

5 adds the log start offset, 7 zstd, 8 record errors, 9 is flexible, 10 names the leader, 13 has topic ids. A batch is
checked by its header and its CRC (KIP-896: only format v2), stamped where it lies in the receive buffer, written, and
never decompressed, but for topics that are compacted, whose records must have keys. Internal topics are the
coordinators' own: what isn't theirs would keep them from loading (Kafka lets one client in, by its client id alone).

acks=0 gets no answer; where something is wrong, its connection is closed, as in Kafka. acks=1 is answered when the
batch is in the leader's log, by a confirmed leader (R2); acks=-1 when HW has passed it (R1).
"""

from typing import Final

from server.api.broker_context import PartitionContext
from server.api.shape import Answer, Call, Later
from server.now import Now
from server.partition import Partition, Refused, Stored
from server.producers import ProducerError
from server.storage import StorageError
from wire.answer_parts import CurrentLeader, Endpoint, Topic
from wire.batches import LENGTH_END, NO_TIMESTAMP, TRANSACTIONAL_BIT, BatchError, BatchHeader, check_produced
from wire.errors import ErrorCode
from wire.primitives import WireError
from wire.produce_answers import ProduceResult, pack_produce
from wire.produce_requests import ProduceRequest, read_produce
from wire.records import records_of
from wire.topic_names import INTERNAL_TOPICS

KEY: Final = 0
ALL: Final = -1
NO_ACK: Final = 0
ALLOWED_ACKS: Final = (ALL, NO_ACK, 1)

decode = read_produce

Results = list[tuple[Topic, list[ProduceResult]]]


def handle(call: Call, request: ProduceRequest, context: PartitionContext) -> Answer | Later:
    acks = request.acks
    if acks not in ALLOWED_ACKS or request.transactional_id is not None:
        return _refuse_all(call, request, acks)
    waiting: _Waiting | None = None
    results: Results = []
    for topic, parts in request.topics:
        told: list[ProduceResult] = []
        results.append((topic, told))
        for number, records in parts:
            partition = context.find(topic, number)
            if partition is None:
                told.append(_nowhere(topic, number, context))
                continue
            result, last_offset = _store(call, acks, partition, records, context)
            told.append(result)
            if acks == ALL and last_offset >= partition.high_watermark:
                waiting = waiting or _Waiting(call, results, context)
                waiting.wait(partition, last_offset, request.timeout_ms, told, len(told) - 1)
    if acks == NO_ACK:
        return _unanswered(results)
    if waiting is not None and waiting.is_needed():
        return Later.PARKED
    return answer(call, results, context)


def _store(
    call: Call, acks: int, partition: Partition, records: memoryview | None, context: PartitionContext
) -> tuple[ProduceResult, int]:
    """The result, and the offset for which acks=all must wait; -1 for none."""
    number = partition.number
    try:
        header = check_produced(records, call.version)
        assert records is not None
        _check_rules(partition, records, header, call.now)
        stored = partition.append(records, header, call.now, acks)
        partition.appended(call.now)
        return _stored(partition, stored), stored.last_offset
    except (BatchError, ProducerError) as error:
        return ProduceResult(number, error.code, error_message=str(error)), -1
    except StorageError as error:
        context.disk_failed(partition, error, call.now)
        return ProduceResult(number, error.code, error_message="the disk failed"), -1
    except _Keyless as error:
        text = "Compacted topic cannot accept message without key."
        return ProduceResult(
            number,
            ErrorCode.INVALID_RECORD,
            error_message="One or more records have been rejected",
            record_errors=[(index, text) for index in error.indexes],
        ), -1
    except Refused as error:
        leader = None
        if error.code == ErrorCode.NOT_LEADER_OR_FOLLOWER:
            leader = context.leader_of(partition.raw_id, number)
        return ProduceResult(number, error.code, error_message=error.reason, current_leader=leader), -1


def _stored(partition: Partition, stored: Stored) -> ProduceResult:
    assert partition.log is not None
    return ProduceResult(partition.number, 0, stored.base_offset, stored.append_time_ms, partition.log.log_start)


# --- what a topic's settings ask of a batch ----------------------------------------------------------------------


class _Keyless(Exception):
    def __init__(self, indexes: list[int]) -> None:
        super().__init__(indexes)
        self.indexes = indexes


def _check_rules(partition: Partition, records: memoryview, header: BatchHeader, now: Now) -> None:
    if partition.topic in INTERNAL_TOPICS:
        raise Refused(ErrorCode.INVALID_TOPIC_EXCEPTION, "Cannot append to internal topics.")
    if header.attributes & TRANSACTIONAL_BIT:
        raise Refused(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "of a transaction, without a transactional id")
    rules = partition.rules
    if len(records) > rules.max_message_bytes + LENGTH_END:
        raise Refused(ErrorCode.MESSAGE_TOO_LARGE, f"a batch of {len(records)} bytes is over max.message.bytes")
    if not rules.has_append_time and header.max_timestamp_ms != NO_TIMESTAMP:
        ahead_ms = header.max_timestamp_ms - now.wall_ms
        if ahead_ms > rules.max_ahead_ms or -ahead_ms > rules.max_behind_ms:
            raise Refused(ErrorCode.INVALID_TIMESTAMP, f"a record's time is {ahead_ms} ms from now")
    if rules.log.compacts:
        keyless = [index for index, record in enumerate(records_of(records, 0, header)) if record.key is None]
        if keyless:
            raise _Keyless(keyless)


# --- waiting for HW --------------------------------------------------------------------------------------------------


class _Waiting:
    """A request some of whose batches wait; answered when none does any more."""

    __slots__ = ("_call", "_context", "_missing", "_results")

    def __init__(self, call: Call, results: Results, context: PartitionContext) -> None:
        self._call = call
        self._results = results
        self._context = context
        self._missing = 1  # the handler itself, which has yet to see the other partitions

    def is_needed(self) -> bool:
        """All partitions were seen: whether one still waits."""
        self._missing -= 1
        return self._missing > 0

    def wait(
        self, partition: Partition, last_offset: int, timeout_ms: int, told: list[ProduceResult], index: int
    ) -> None:
        self._missing += 1
        deadline_ms = self._call.now.steady_ms + max(timeout_ms, 0)

        def done(code: ErrorCode, _: Now) -> None:
            if code:
                told[index] = ProduceResult(partition.number, code)
            self._missing -= 1
            if not self._missing:
                self._call.reply(answer(self._call, self._results, self._context))

        partition.wait(last_offset, deadline_ms, done)


# --- answers ---------------------------------------------------------------------------------------------------------


def answer(call: Call, results: Results, context: PartitionContext) -> bytes:
    """The whole frame; with the leaders' addresses, if somebody else leads (KIP-951)."""
    for _, told in results:
        for result in told:
            if result.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER:
                return pack_produce(
                    call.version, call.correlation_id, results, endpoints=_endpoints(call, results, context)
                )
    return pack_produce(call.version, call.correlation_id, results)


def _endpoints(call: Call, results: Results, context: PartitionContext) -> list[Endpoint]:
    leaders: set[CurrentLeader] = {
        result.current_leader for _, told in results for result in told if result.current_leader is not None
    }
    found = [context.endpoint_of(node, call.listener) for node in sorted({leader.leader_id for leader in leaders})]
    return [endpoint for endpoint in found if endpoint is not None]


def _nowhere(topic: Topic, number: int, context: PartitionContext) -> ProduceResult:
    code = context.why_not(topic, number)
    leader = context.leader_of(topic, number) if code == ErrorCode.NOT_LEADER_OR_FOLLOWER else None
    return ProduceResult(number, code, current_leader=leader)


def _refuse_all(call: Call, request: ProduceRequest, acks: int) -> Answer | Later:
    code = ErrorCode.INVALID_REQUIRED_ACKS if acks not in ALLOWED_ACKS else ErrorCode.INVALID_REQUEST
    results: Results = [
        (topic, [ProduceResult(part.partition, code) for part in parts]) for topic, parts in request.topics
    ]
    if acks == NO_ACK:
        return _unanswered(results)
    return pack_produce(call.version, call.correlation_id, results)


def _unanswered(results: Results) -> Later:
    """Raises WireError where something is wrong: the connection is closed, and so the client hears of it."""
    wrong = [result for _, told in results for result in told if result.error_code]
    if wrong:
        raise WireError(f"acks=0, and {ErrorCode(wrong[0].error_code).name}")
    return Later.NO_ANSWER
