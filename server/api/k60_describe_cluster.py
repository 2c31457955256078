"""DescribeCluster (60), versions 0 to 2: the servers, and who takes requests for the controller (KIP-700).

1 asks for brokers or for controllers (KIP-919): there are no controllers to be reached here. 2 tells of fenced brokers
too, where asked (KIP-1073).
"""

from typing import Any, Final

from server.api.cluster_context import ClusterContext
from server.api.k03_metadata import CLUSTER_OPERATIONS
from server.api.shape import Answer, Call
from server.cluster_view import endpoints
from wire import messages
from wire.cluster import Broker
from wire.errors import ErrorCode
from wire.metadata_answers import NO_OPERATIONS

KEY: Final = 60
BROKERS: Final = 1
CONTROLLERS: Final = 2


def handle(call: Call, request: Any, context: ClusterContext) -> Answer:
    kind = getattr(request, "endpoint_type", BROKERS)
    values = _described(call, request, context) if kind == BROKERS else _refused(kind, context)
    values |= {"throttle_time": 0, "endpoint_type": kind}
    return messages.answer(call.correlation_id, messages.build(KEY, call.version, values))


def _described(call: Call, request: Any, context: ClusterContext) -> dict[str, Any]:
    live = endpoints(context.image, call.listener)
    fenced = getattr(request, "include_fenced_brokers", False)
    asked = request.include_cluster_authorized_operations
    shown = sorted(context.image.brokers.values(), key=lambda broker: broker.node_id)
    return {
        "error_code": ErrorCode.NONE,
        "error_message": None,
        "cluster_id": context.cluster_id,
        "controller_id": live[0].node_id if live else -1,
        "brokers": [
            _broker(broker, call.listener)
            for broker in shown
            if call.listener in broker.listeners and (fenced or not broker.fenced)
        ],
        "cluster_authorized_operations": CLUSTER_OPERATIONS if asked else NO_OPERATIONS,
    }


def _broker(broker: Broker, listener: str) -> dict[str, Any]:
    host, port = broker.listeners[listener]
    return {
        "broker_id": broker.node_id, "host": host, "port": port, "rack": broker.rack, "is_fenced": broker.fenced,
    }  # fmt: skip


def _refused(kind: int, context: ClusterContext) -> dict[str, Any]:
    is_known = kind == CONTROLLERS
    return {
        "error_code": ErrorCode.MISMATCHED_ENDPOINT_TYPE if is_known else ErrorCode.UNSUPPORTED_ENDPOINT_TYPE,
        "error_message": "This is a broker: controllers can't be reached." if is_known else f"No endpoints {kind}.",
        "cluster_id": "",
        "controller_id": -1,
        "brokers": (),
    }
