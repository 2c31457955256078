"""`server.rest.kafka_errors`: whose fault, and whether another try helps."""

import unittest

from confluent_kafka import KafkaError, KafkaException

from server.rest.cluster import Away, NoTopic
from server.rest.kafka_errors import fault


class FaultTest(unittest.TestCase):
    def test_kinds(self) -> None:
        for code, kind, status in (
            (KafkaError.UNKNOWN_TOPIC_OR_PART, NoTopic, 400),
            (KafkaError._UNKNOWN_PARTITION, NoTopic, 400),
            (KafkaError._MSG_TIMED_OUT, Away, 503),
            (KafkaError.NOT_ENOUGH_REPLICAS, Away, 503),
        ):
            for error in (KafkaError(code), KafkaException(KafkaError(code))):
                found = fault(error, "T1")
                self.assertEqual((type(found), found.status), (kind, status))
                self.assertIn("T1", found.message)

    def test_the_caller_s(self) -> None:
        found = fault(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), "T1")
        self.assertEqual((found.status, found.message.partition(":")[0]), (400, "T1"))


if __name__ == "__main__":
    unittest.main()
