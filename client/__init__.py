"""What users import and run, over any cluster that speaks Kafka: Carousel's own servers, Apache Kafka, Redpanda.

    from client import Admin, Consumer, Producer

    with Producer("127.0.0.1:9092", serializer="json") as producer:
        producer.send("orders", {"id": 7}, key="7")
    with Consumer("127.0.0.1:9092", "orders", group="billing", deserializer="json") as consumer:
        for message in consumer:
            print(message.key, message.value)

Modules directly in this folder are pure; `kafka/` reaches librdkafka, `compat/` speaks the plain HTTP interface. The
classes below are loaded when they are first used, so that a command which needs none of them starts at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from client import errors
from client.values import ConfigValue, GroupInfo, Lag, Member, Message, Offsets, PartitionInfo, Sent, TopicInfo

if TYPE_CHECKING:
    from client.kafka.admin import Admin
    from client.kafka.async_admin import AsyncAdmin
    from client.kafka.async_consumer import AsyncConsumer
    from client.kafka.async_producer import AsyncProducer
    from client.kafka.consumer import Consumer
    from client.kafka.producer import Producer

__all__ = [
    "Admin",
    "AsyncAdmin",
    "AsyncConsumer",
    "AsyncProducer",
    "ConfigValue",
    "Consumer",
    "GroupInfo",
    "Lag",
    "Member",
    "Message",
    "Offsets",
    "PartitionInfo",
    "Producer",
    "Sent",
    "TopicInfo",
    "errors",
]

_LAZY: Final = {
    "Admin": "admin",
    "AsyncAdmin": "async_admin",
    "AsyncConsumer": "async_consumer",
    "AsyncProducer": "async_producer",
    "Consumer": "consumer",
    "Producer": "producer",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'client' has no attribute {name!r}")
    return getattr(import_module(f"client.kafka.{_LAZY[name]}"), name)
