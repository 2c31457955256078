"""`wire.errors`: the codes are Kafka's."""

import unittest

from kio.schema import errors as kio_errors
from support.kafka_python import kafka

from wire.errors import ErrorCode


class ErrorCodeTest(unittest.TestCase):
    def test_all_of_kios_by_name_and_number(self) -> None:
        theirs = {error.name.upper(): int(error) for error in kio_errors.ErrorCode}
        self.assertEqual({error.name: int(error) for error in ErrorCode}, theirs)

    def test_some_that_kafka_python_knows_too(self) -> None:
        self.assertEqual(ErrorCode.NOT_LEADER_OR_FOLLOWER, kafka.errors.NotLeaderForPartitionError.errno)
        self.assertEqual(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, kafka.errors.OutOfOrderSequenceNumberError.errno)
