"""What holds for every test."""

import signal
from typing import Final

import hypothesis
import pytest

# Who starts us in the background of a script, or by nohup, has us ignore Ctrl-C and hang-ups, and our children inherit
# that: then a system that a test interrupts would go on for ever.
for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

TOGETHER: Final = {
    "/conformance/kafka/": "one system for all of them",
    "/system/test_compose": "one Docker engine, whose events all of them hear",
    "/system/test_docker_runtime": "one Docker engine, whose events all of them hear",
    "/system/test_swarm": "one Docker engine, whose events all of them hear",
}

ALONE: Final = ("chaos", "container_drills", "door_bench", "drills", "hostile_crowds", "queue_bench", "queue_drills")
"""Files of tests/system that measure, or harm a system and expect it back in time: nothing else runs beside them."""


hypothesis.settings.register_profile("everyday", max_examples=40)


def pytest_configure(config: pytest.Config) -> None:
    """The everyday suite tries fewer examples of each law that doesn't say how many it needs; `make test-unittest` and
    `make test-slow`, which CI runs besides, try Hypothesis' usual hundred."""
    if config.option.markexpr == "not slow":
        hypothesis.settings.load_profile("everyday")


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Several processes run the tests (pytest-xdist), but those of one file, or that share something, stay in one."""
    for item in items:
        path = str(item.path)
        if any(path.endswith(f"/system/test_{name}.py") for name in ALONE):
            item.add_marker(pytest.mark.alone)
        shared = (what for where, what in TOGETHER.items() if where in path)
        item.add_marker(pytest.mark.xdist_group(next(shared, path)))
