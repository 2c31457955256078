"""The queue's plain HTTP interface over each engine: servers that hold no shards and are told where it is, and the same
table of calls and answers (`support.http_queue`). The claim that one address is all that changes is tested here."""

import contextlib
import json
import os
import subprocess
import sys
import unittest
from collections.abc import Generator

import pytest
from support.http_queue import ByAdmin, HttpQueue, HttpQueueTable
from support.kafka_engines import Engine

SERVERS = 2
STOP_S = 30.0
NAMES = unittest.defaultTestLoader.getTestCaseNames(HttpQueueTable)


def load_tests(loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None) -> unittest.TestSuite:
    """Under pytest, which has the engines."""
    return unittest.TestSuite()


@pytest.fixture(scope="module")
def addresses(engine: Engine) -> Generator[list[str]]:
    """Of servers without control and without a directory, which start as any do."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(_server(engine.bootstrap, number)) for number in range(SERVERS)]


@contextlib.contextmanager
def _server(bootstrap: str, number: int) -> Generator[str]:
    environ = {**os.environ, "QUEUE_CLIENT_BOOTSTRAP": bootstrap, "PORT": "0", "SERVER_ID": f"server{number}"}
    with subprocess.Popen([sys.executable, "-m", "server"], env=environ, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        try:
            yield json.loads(process.stderr.readline())["address"]
        finally:
            process.terminate()
            _, told = process.communicate(timeout=STOP_S)
            assert process.returncode == 0 and b"exception" not in told, told.decode()


@pytest.mark.parametrize("name", NAMES)
def test_table(engine: Engine, addresses: list[str], name: str) -> None:
    class Table(HttpQueueTable):
        queue = HttpQueue(addresses)
        maker = ByAdmin(engine.bootstrap)

    result = Table(name).run()
    assert result is not None
    assert not result.errors and not result.failures, "\n".join(text for _, text in result.errors + result.failures)


def test_brokers_that_are_no_servers_of_ours_are_addresses(engine: Engine, addresses: list[str]) -> None:
    if engine.name == "carousel":
        pytest.skip("its servers have names")
    queue, maker = HttpQueue(addresses), ByAdmin(engine.bootstrap)
    queue.get("/topics")
    maker.add("led", "P1")
    assert queue.get("/topics")[1]["message"]["led"] == {"P1": engine.bootstrap}


def test_without_control_nothing_is_made(addresses: list[str]) -> None:
    status, answer = HttpQueue(addresses).post("/producer/register", topic="nowhere", part="P1")
    assert (status, answer["status"]) == (503, "failure")
