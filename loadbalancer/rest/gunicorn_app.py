"""Control's process: gunicorn, one threaded worker, on the Unix socket that the supervisor hands down.

    python -m loadbalancer.rest.gunicorn_app --settings <state-dir>/run/settings.json

The arbiter only watches its worker; the worker holds Flask's threads and the controller's loop, so it is
the worker that must never be two. gunicorn is bent in these places, and nowhere else:
- signals that would start a second worker or arbiter (HUP, USR2, TTIN) are not heard;
- the worker dies with its arbiter, at once (gunicorn's own check takes seconds, beside a new control);
- nothing of a request but its own words is believed: no header sets the scheme, PATH_INFO or SCRIPT_NAME;
- a request that gunicorn itself refuses is answered in JSON. The listening socket stays the supervisor's:
  with LISTEN_FDS gunicorn neither binds nor unlinks.
"""

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker

from loadbalancer import logs
from loadbalancer.rest.app import create_app, options_from
from loadbalancer.spawn.forking import die_with_parent

THREADS = 16
"""Nothing here waits long (rest/app.py); this is for a burst of scrapers and scripts."""
HUNG_AFTER_S = 30
"""A worker whose main thread does not come round is killed, and one whose controller's loop does not: its pulse comes
each second while both do."""
GRACE_S = 5
"""For requests under way when control is asked to stop; waits and streams are not among them."""
KEEPALIVE_S = 75
"""Above the data path's, so that it is the client of a connection who ends it."""
LINE_BYTES, HEAD_BYTES, FIELDS = 8190, 33 * 1024, 110
"""gunicorn's most for a line, and else above the data path's limits (wire/http1.py), which adds lines of its own."""
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - gunicorn makes an unlinked file of its own in it
"""Where the worker's pulse (an mtime) never waits for a disk."""

log = logs.get_logger("control")


def config() -> dict[str, Any]:
    """gunicorn's settings; what is not here is its default."""
    return {
        "workers": 1,
        "threads": THREADS,
        "worker_class": ControlWorker,
        "timeout": HUNG_AFTER_S,
        "graceful_timeout": GRACE_S,
        "keepalive": KEEPALIVE_S,
        "worker_tmp_dir": str(SHARED_MEMORY) if os.access(SHARED_MEMORY, os.W_OK) else None,
        "preload_app": False,
        "control_socket_disable": True,
        "logger_class": StructuredLogger,
        "loglevel": "warning",
        "accesslog": None,
        "errorlog": None,
        "proc_name": "carousel-control",
        "secure_scheme_headers": {},
        "forwarder_headers": "",
        "limit_request_line": LINE_BYTES,
        "limit_request_fields": FIELDS,
        "limit_request_field_size": HEAD_BYTES,
        "permit_unconventional_http_method": True,
        "post_fork": _post_fork,
        "worker_exit": _worker_exit,
    }


class ControlApplication(BaseApplication):
    """What gunicorn runs. `settings_path` is the settings' JSON, read in each new worker."""

    def __init__(self, settings_path: str) -> None:
        self._settings_path = settings_path
        super().__init__()

    def load_config(self) -> None:
        assert self.cfg is not None
        for name, value in config().items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """In the worker, after the fork: a thread, and so the controller's loop, would not survive one."""
        from loadbalancer.aio import control

        kept = json.loads(Path(self._settings_path).read_text())
        return create_app(control.start(self._settings_path), options_from(kept))

    def run(self) -> None:
        ControlArbiter(self).run()


class ControlArbiter(Arbiter):
    """An arbiter of one worker, whatever signal comes; a closed terminal's HUP is the supervisor's."""

    def handle_hup(self) -> None:
        log.warning("reload refused", hint="carousel reload")

    handle_usr2 = handle_ttin = handle_ttou = handle_hup


class ControlWorker(ThreadWorker):
    """A threaded worker that refuses in JSON, and has a pulse only while the controller's loop has one."""

    def notify(self) -> None:
        control = sys.modules.get("loadbalancer.aio.control")
        if control is None or not control.wedged():
            super().notify()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """What gunicorn could not read as a request. The data path is stricter, so this hardly ever comes."""
        log.warning("request refused", error=type(exc).__name__)
        body = b'{"message": "<Error> this is no request that control understands", "status": "failure"}'
        head = (
            "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        try:
            client.sendall(head.encode() + body)
        except OSError:
            log.debug("refusal not sent")


class StructuredLogger(Logger):
    """gunicorn's own lines in the form of all others."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers = [_ToStructlog()]


class _ToStructlog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        log.log(record.levelno, record.getMessage(), exc_info=record.exc_info or None)


def _post_fork(arbiter: Arbiter, worker: Any) -> None:
    die_with_parent(worker.ppid)


def _worker_exit(arbiter: Arbiter, worker: Any) -> None:
    control = sys.modules.get("loadbalancer.aio.control")  # not there if loading failed before
    if control is not None:
        control.stop()


def listening_sockets() -> int:
    """How many listening sockets were handed to this process (sd_listen_fds(3))."""
    ours = os.environ.get("LISTEN_PID") == str(os.getpid())
    return int(os.environ.get("LISTEN_FDS", "0")) if ours else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadbalancer.rest.gunicorn_app", description=__doc__)
    parser.add_argument("--settings", required=True, help="the settings' JSON that `carousel up` wrote")
    settings_path = parser.parse_args().settings
    logs.configure(json.loads(Path(settings_path).read_text())["log_format"])
    if listening_sockets() != 1:
        log.error("control needs its listening socket as LISTEN_FDS; `carousel up` starts it so")
        return 2
    ControlApplication(settings_path).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
