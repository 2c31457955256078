"""kafka-python, made fit for tests in which warnings are errors.

Its import warns of what it uses of importlib; and it leaves the socket of a refused connection to the garbage collector
(3.0.12, `kafka/net/inet.py`), whose ResourceWarning then fails whichever test runs at that moment.
"""

import warnings
from typing import Any, Final

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka
    import kafka.admin as kafka_admin
    import kafka.codec as kafka_codec
    import kafka.net.inet as kafka_inet
    from kafka.protocol.broker_version_data import BrokerVersionData
    from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

_sockets: Final[Any] = kafka_inet.KafkaNetSocket
_connect: Final = _sockets.sock_connect


async def _connect_or_close(self: Any, net: Any, sock: Any, sockaddr: Any, timeout_at: Any = None) -> Any:
    try:
        return await _connect(self, net, sock, sockaddr, timeout_at=timeout_at)
    except BaseException:
        sock.close()
        raise


_sockets.sock_connect = _connect_or_close

__all__ = [
    "BrokerVersionData",
    "DefaultRecordBatch",
    "DefaultRecordBatchBuilder",
    "kafka",
    "kafka_admin",
    "kafka_codec",
]
