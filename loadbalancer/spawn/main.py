"""The supervisor's process: `python -m loadbalancer.spawn.main FD`, FD holding a Startup. Made by `carousel up`."""

import os
import sys

from loadbalancer.spawn.plan import say
from loadbalancer.spawn.startup import Startup
from loadbalancer.spawn.supervise import SupervisorError, run_supervisor

EXIT_USAGE = 2


def main() -> int:
    """The exit status: 0 after a clean end, 2 with one line when it can't start here."""
    with os.fdopen(int(sys.argv[1])) as handed:
        startup = Startup.load(handed.read())
    for warning in startup.warnings:
        say(f"carousel: warning: {warning}", error=True)
    try:
        return run_supervisor(startup.plan())
    except SupervisorError as error:
        say(f"carousel: {error}", error=True)
        return EXIT_USAGE


if __name__ == "__main__":
    sys.exit(main())
