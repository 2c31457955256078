"""The paths of the queue's plain HTTP interface that servers answer. Pure.

Apart, since all else about it is imported when the first of these calls comes: a server is to start as fast as ever.
"""

from typing import Final

TOPICS: Final = "/topics"
REGISTER_PRODUCER: Final = "/producer/register"
PRODUCE: Final = "/producer/produce"
REGISTER_CONSUMER: Final = "/consumer/register"
CONSUME: Final = "/consumer/consume"
SIZE: Final = "/size"

PATHS: Final = frozenset((TOPICS, REGISTER_PRODUCER, PRODUCE, REGISTER_CONSUMER, CONSUME, SIZE))
