"""librdkafka's errors as ours, and its logs as Python's."""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from client.errors import CarouselError, ConfigError, error_of

LOGGER: Final = logging.getLogger("carousel.client")
"""Where librdkafka's own lines go: connections that fail, brokers that come back. Silent unless it is configured."""

LOGGER.addHandler(logging.NullHandler())


def as_ours(error: KafkaError, doing: str) -> CarouselError:
    return error_of(error.name(), error.str(), doing)


def of_exception(exception: Exception, doing: str) -> CarouselError:
    """Ours for anything that confluent-kafka raises: librdkafka's errors, and Python's own of a wrong argument."""
    inner: Any = exception.args[0] if exception.args else None
    if isinstance(inner, KafkaError):
        return as_ours(inner, doing)
    if isinstance(exception, TypeError | ValueError):
        return ConfigError(f"{doing}: {exception}")
    return CarouselError(f"{doing}: {exception}")


@contextmanager
def told_as_ours(doing: str) -> Generator[None]:
    """Inside, confluent-kafka's exceptions leave as a `CarouselError` that says what was being done."""
    try:
        yield
    except CarouselError:
        raise
    except (KafkaException, RuntimeError, TypeError, ValueError) as exception:
        raise of_exception(exception, doing) from exception
