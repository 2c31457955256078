"""ElectLeaders (43), versions 0 to 2: the preferred leader again, or from 1 on an unclean one (KIP-460), for the named
partitions or (null) all. 2 is flexible. Control decides (R6)."""

from typing import Any, Final

from server.api.cluster_context import ClusterContext
from server.api.forwarding import Change, Refusal, Result, forward
from server.api.shape import Answer, Call, Later
from wire.errors import ErrorCode

KEY: Final = 43
PREFERRED: Final = 0
UNCLEAN: Final = 1


def handle(call: Call, request: Any, context: ClusterContext) -> Answer | Later:
    return forward(call, request, context.control, _CHANGE)


def _why_not(topic: Any, request: Any, again: bool) -> Refusal | None:
    kind = getattr(request, "election_type", PREFERRED)
    if kind not in (PREFERRED, UNCLEAN):
        return Refusal(ErrorCode.INVALID_REQUEST, f"{kind} is no kind of election.")
    return None


def _result(topic: Any, why: Refusal) -> Result:
    told = {"error_code": why.code, "error_message": why.message}
    return {
        "topic": topic.topic,
        "partition_result": [{"partition_id": number, **told} for number in topic.partitions],
    }


_CHANGE: Final = Change(KEY, lambda version: "topic_partitions", "replica_election_results", _why_not, _result)
