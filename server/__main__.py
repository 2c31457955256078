"""`python -m server`: one replica, until SIGTERM. A refusal to start is one line on stderr and a code."""

import argparse
import os
import socket
import sys
from typing import Final

from server import logs
from server.aio.process import DiskFailed, run
from server.disk.data_dir import DataDirBusy
from server.meta import MetaError
from server.queue_settings import QueueSettings, read_queue_settings
from server.settings import SettingError, Settings, read_settings

EXIT_USAGE: Final = 2
EXIT_UNAVAILABLE: Final = 69
"""sysexits.h, as are the next three: the address can't be bound."""
EXIT_IO: Final = 74
"""The disk failed, at the start or later."""
EXIT_BUSY: Final = 75
"""The data directory is locked; trying again may work."""
EXIT_CONFIG: Final = 78
"""The data directory belongs to another cluster or node."""


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m server", description="One replica of Carousel.")
    parser.add_argument("--data-dir", help="where its data lives (DATA_DIR); without it, nothing is kept")
    try:
        settings = read_settings(os.environ, socket.gethostname(), parser.parse_args(argv).data_dir)
        queue_settings = read_queue_settings(os.environ, socket.gethostname())
        if queue_settings is not None and settings.data_dir is None:
            raise SettingError("CONTROL needs DATA_DIR: a queue keeps what it is given")
    except SettingError as error:
        return _refuse(EXIT_USAGE, str(error))
    logs.configure({"process": "replica", "server_id": settings.identity, "pid": os.getpid()})
    return _run(settings, queue_settings)


def _run(settings: Settings, queue_settings: QueueSettings | None) -> int:
    try:
        run(settings, queue_settings)
    except DataDirBusy as error:
        return _refuse(EXIT_BUSY, f"data directory {settings.data_dir}: {error}")
    except DiskFailed as error:
        return _refuse(EXIT_IO, f"data directory {settings.data_dir}: {error}")
    except MetaError as error:
        return _refuse(EXIT_CONFIG, f"data directory {settings.data_dir}: {error}")
    except OSError as error:
        unbound = error.filename is None
        where = f"{settings.host}:{settings.port}" if unbound else str(error.filename)
        return _refuse(EXIT_UNAVAILABLE if unbound else EXIT_IO, f"{where}: {error.strerror or error}")
    return 0


def _refuse(code: int, reason: str) -> int:
    print(f"python -m server: {reason}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
