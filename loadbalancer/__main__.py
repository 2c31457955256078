"""`python -m loadbalancer` is `carousel up`, with flags too; with a command it is that command."""

import sys

from loadbalancer.cli.start import main

if __name__ == "__main__":
    if len(sys.argv) == 1 or (sys.argv[1].startswith("-") and sys.argv[1] != "--help"):
        sys.argv.insert(1, "up")
    main()
