"""InitProducerId (22), versions 0 to 5: a number for an idempotent producer.

2 is flexible, 3 brings the number that it had (KIP-360), 4 and 5 errors of transactions. Any server answers, out of the
block that control gave it (R4, R10). Without a transaction each producer simply gets a new number with epoch 0, as in
Kafka. Transactions aren't served: INVALID_REQUEST, which no client repeats.
"""

from typing import Any, Final

from server.api.broker_context import ProducerIdContext
from server.api.shape import Answer, Call
from wire import messages
from wire.errors import ErrorCode

KEY: Final = 22
NO_EPOCH: Final = -1


def handle(call: Call, request: Any, context: ProducerIdContext) -> Answer:
    found = ErrorCode.INVALID_REQUEST if request.transactional_id is not None else context.next_producer_id()
    is_code = isinstance(found, ErrorCode)
    values = {
        "throttle_time": 0,
        "error_code": found if is_code else ErrorCode.NONE,
        "producer_id": -1 if is_code else found,
        "producer_epoch": NO_EPOCH if is_code else 0,
    }
    return messages.answer(call.correlation_id, messages.build(KEY, call.version, values))
