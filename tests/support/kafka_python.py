"""kafka-python, whose import warns of what it uses of importlib; warnings are errors in our tests."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka
    import kafka.admin as kafka_admin
    import kafka.codec as kafka_codec
    from kafka.protocol.broker_version_data import BrokerVersionData
    from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

__all__ = [
    "BrokerVersionData",
    "DefaultRecordBatch",
    "DefaultRecordBatchBuilder",
    "kafka",
    "kafka_admin",
    "kafka_codec",
]
