"""The OpenAPI document against a running system on the fake runtime: control, the data path and all between them."""

import unittest
import warnings

import pytest
from conformance.test_openapi import check_url

from analysis.running import running


@pytest.mark.system
@pytest.mark.slow
class LiveOpenApiTest(unittest.TestCase):
    def test_a_running_system_is_what_its_document_says(self) -> None:
        with running("--runtime", "fake", "--workers", "1") as system, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of schemathesis and Hypothesis about their own inner calls
            found = check_url(system.url)
        self.assertEqual([], found, "\n\n".join(found[:5]))


if __name__ == "__main__":
    unittest.main()
