"""The wire layer against kio at length: tens of thousands of random messages and as many harmed ones."""

import time
from contextlib import suppress
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kio.serial import entity_reader as kio_reader
from support.kio_messages import EVERY_CLASS, harmed, random_message

from wire.decoding import entity_reader
from wire.messages import encode
from wire.primitives import Reader, WireError
from wire.schemas import Entity

TOO_LONG_S = 1.0
"""Far more than any message of these sizes takes, on a busy machine too."""

LONG_RUN = settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))
CLASSES = st.sampled_from(EVERY_CLASS)
RANDOMS = st.randoms(use_true_random=True)


def read(cls: type[Entity], data: bytes) -> Entity:
    reader = Reader(data)
    entity = entity_reader(cls).read(reader)
    reader.expect_end()
    return entity


@pytest.mark.slow
@pytest.mark.timeout(900)
@LONG_RUN
@given(CLASSES, RANDOMS)
def test_any_message_is_read_as_kio_reads_it(cls: type[Entity], random: Random) -> None:
    message = random_message(cls, random)
    data = encode(message)
    assert kio_reader(cls)(data, 0) == (message, len(data))
    assert read(cls, data) == message


@pytest.mark.slow
@pytest.mark.timeout(900)
@LONG_RUN
@given(CLASSES, RANDOMS)
def test_harmed_messages_raise_one_exception_soon(cls: type[Entity], random: Random) -> None:
    data = harmed(encode(random_message(cls, random)), random)
    start = time.monotonic()
    with suppress(WireError):
        read(cls, data)
    assert time.monotonic() - start < TOO_LONG_S
