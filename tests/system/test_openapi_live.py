"""The OpenAPI document against a running system on the fake runtime: control, the data path and all between them."""

import unittest
import warnings

import pytest
from conformance.test_openapi import QUEUE, check_url

from analysis.running import running, wait_until


@pytest.mark.system
@pytest.mark.slow
class LiveOpenApiTest(unittest.TestCase):
    def test_a_running_system_is_what_its_document_says(self) -> None:
        with running("--runtime", "fake", "--workers", "1") as system, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of schemathesis and Hypothesis about their own inner calls
            found = check_url(system.url)
        self.assertEqual([], found, "\n\n".join(found[:5]))

    @pytest.mark.timeout(600)
    def test_the_queue_s_interface_is_what_its_document_says(self) -> None:
        flags = ("--workers", "1", "--max-replicas", "2", "--health-timeout", "3", "--health-fall", "5")
        with running(*flags, replicas=2) as system, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wait_until(lambda: system.cluster()["queue"]["brokers"] == 2, 60.0, "all are registered")
            found = check_url(system.url, paths=QUEUE)
        self.assertEqual([], found, "\n\n".join(found[:5]))


if __name__ == "__main__":
    unittest.main()
