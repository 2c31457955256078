"""`python -m loadbalancer` is `carousel up`; with a command it is that command."""

import sys

from loadbalancer.cli.main import app, main

if __name__ == "__main__":
    names = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    if len(sys.argv) == 1 or (sys.argv[1] not in names and sys.argv[1] != "--help"):
        sys.argv.insert(1, "up")
    main()
