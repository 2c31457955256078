"""schemathesis holds the admin API to its OpenAPI document: on a fake port here, on a live system by `check_url`."""

import unittest
import warnings
from typing import Any

import schemathesis
import structlog.testing
from schemathesis import engine
from schemathesis.engine import Status, events
from support.fake_port import FakeDoor, FakePort

from loadbalancer.rest.app import Options, create_app

DOCUMENT = "/admin/openapi.json"
CONTROLS = r"^/(topics/add|brokers)"
"""The queue's calls that control answers."""
QUEUE = r"^/(topics|brokers|producer/|consumer/|size)"
"""All of them."""
EXAMPLES = 12
"""For each operation and mode; the coverage phase adds every boundary that the schemas name."""


def check_url(url: str, token: str = "", paths: str = "", examples: int = EXAMPLES) -> list[str]:
    """What a live system at `url` (http://host:port) does other than its document says; nothing, if all is well.

    Only by the paths that match `paths`, if it is given. It adds, removes and drains replicas as it goes: give it a
    system of its own, on the fake runtime.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    config = _config(examples, headers)
    schema: Any = schemathesis.openapi.from_url(url + DOCUMENT, config=config)
    return _faults(schema.include(path_regex=paths) if paths else schema)


def check_wsgi(app: Any, paths: str = "", examples: int = EXAMPLES) -> list[str]:
    """The same for a WSGI application, by the paths that match `paths`; empty: all."""
    schema: Any = schemathesis.openapi.from_wsgi(DOCUMENT, app, config=_config(examples, {}))
    return _faults(schema.include(path_regex=paths) if paths else schema)


def _config(examples: int, headers: dict[str, str]) -> schemathesis.Config:
    # Valid by its schema, and yet 400: a name in use, more replicas than may be (the spec has it so, not 409).
    # And 503 is no fault but an answer: control is busy, or nobody is ready.
    accepted = ["2xx", "400", "401", "403", "404", "503"]
    return schemathesis.Config.from_dict(
        {
            "headers": headers,
            "max-stream-events": 1,
            "generation": {"max-examples": examples, "deterministic": True, "database": "none"},
            "checks": {
                "positive_data_acceptance": {"expected-statuses": accepted},
                "not_a_server_error": {"expected-statuses": ["2xx", "4xx", "503"]},
            },
        }
    )


def _faults(schema: Any) -> list[str]:
    found: list[str] = []
    checked = 0
    for event in engine.from_schema(schema).execute():
        if isinstance(event, events.NonFatalError):
            found.append(f"{event.label}: {event.value!r}")
        elif isinstance(event, events.FatalError):
            raise event.exception
        elif isinstance(event, events.ScenarioFinished | events.FuzzScenarioFinished):
            checked += len(event.recorder.checks)
            found += _failed_checks(event.recorder)
    assert checked > 100, f"schemathesis made only {checked} calls"
    return sorted(set(found))


def _failed_checks(recorder: Any) -> list[str]:
    return [
        f"{recorder.label}: {check.name}: {check.failure_info.failure}\n{check.failure_info.code_sample}"
        for checks in recorder.checks.values()
        for check in checks
        if check.status is Status.FAILURE
    ]


class OpenApiTest(unittest.TestCase):
    def check(self, port: FakePort, options: Options, paths: str = "", examples: int = EXAMPLES) -> None:
        with warnings.catch_warnings(), structlog.testing.capture_logs():
            warnings.simplefilter("ignore")  # of schemathesis and Hypothesis about their own inner calls
            found = check_wsgi(FakeDoor(create_app(port, options), port), paths, examples)
        self.assertEqual([], found, "\n\n".join(found[:5]))

    def test_the_admin_api_is_what_its_document_says(self) -> None:
        self.check(FakePort(), Options())

    def test_the_queue_s_interface_is_what_its_document_says(self) -> None:
        self.check(FakePort(), Options(queue=True), CONTROLS)

    def test_a_port_that_is_busy_answers_as_documented(self) -> None:
        self.check(FakePort(is_busy=True), Options(), examples=5)


if __name__ == "__main__":
    unittest.main()
