"""Puts a fake port in the place of the real controller, in a process of its own, and becomes control's gunicorn.

    python -m support.stub_control --settings <path>

What the worker does is told by lines in <path>.log: `start <pid>`, `stop <pid>`. The one replica in GET /rep is
called pid-<the worker's pid>.
"""

import os
import sys
import types
from pathlib import Path

from loadbalancer.rest import gunicorn_app
from support.fake_port import FakePort, Replica


def install(log_path: Path) -> None:
    """Take the place of loadbalancer.aio.control, which the worker imports when it has been forked."""

    def tell(word: str) -> None:
        with log_path.open("a") as file:
            file.write(f"{word} {os.getpid()}\n")

    def start(settings_path: str) -> FakePort:
        tell("start")
        return FakePort(fleet=[Replica(f"pid-{os.getpid()}", 1)])

    stub = types.ModuleType("loadbalancer.aio.control")
    vars(stub).update(start=start, stop=lambda: tell("stop"), wedged=lambda: False)
    sys.modules["loadbalancer.aio.control"] = stub


if __name__ == "__main__":
    install(Path(sys.argv[-1] + ".log"))
    sys.exit(gunicorn_app.main())
