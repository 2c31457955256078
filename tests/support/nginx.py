"""A real nginx of the test's own, which says what it read: one more opinion on the bytes of a connection."""

import json
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from analysis.door_bench.peers import program_path
from support.programs import programs_or_skip
from support.readers import Reading, Seen

PATIENCE_S = 10.0
CONFIGURATION = """
daemon off;
master_process off;
worker_processes 1;
pid {dir}/pid;
error_log {dir}/error.log info;
events {{ worker_connections 256; }}
http {{
    log_format seen escape=json
        '["$connection","$status","$request_method","$request_uri","$request_body"]';
    access_log off;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    client_header_buffer_size 64k;
    large_client_header_buffers 4 64k;
    client_body_buffer_size 1m;
    keepalive_requests 1000000;
    lingering_close off;
    server {{
        listen unix:{dir}/front;
        access_log {dir}/seen.log seen;
        location / {{ proxy_pass http://unix:{dir}/sink:; proxy_ignore_client_abort on; }}
    }}
    server {{
        listen unix:{dir}/sink;
        location / {{ return 204; }}
    }}
}}
"""


class Nginx:
    """A context manager; `read` is a Reader of the kind of readers.py. nginx reads a body whole (it has
    proxy_request_buffering), so what it logs is what it took for one request."""

    def __init__(self) -> None:
        programs_or_skip("nginx")

    def __enter__(self) -> "Nginx":
        self._dir = Path(tempfile.mkdtemp(dir="/tmp"))
        (self._dir / "nginx.conf").write_text(CONFIGURATION.format(dir=self._dir))
        errors = str(self._dir / "error.log")
        argv = [str(program_path("nginx")), "-p", str(self._dir), "-e", errors, "-c", "nginx.conf"]
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        self._seen = 0
        while True:  # it listens once this succeeds; it ends if its configuration is bad
            if self._process.poll() is not None:
                raise AssertionError(f"nginx ended: {(self._dir / 'error.log').read_text()}")
            with socket.socket(socket.AF_UNIX) as trial:
                if trial.connect_ex(str(self._dir / "front")) == 0:
                    return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)
        shutil.rmtree(self._dir)

    def read(self, data: bytes) -> Reading:
        statuses = self._statuses(data)
        lines = (self._dir / "seen.log").read_bytes()[self._seen :].decode("latin-1").splitlines(keepends=True)
        self._seen += sum(map(len, lines))
        rows = [json.loads(line) for line in lines]
        assert len(rows) >= len(statuses), (rows, statuses)
        log = (self._dir / "error.log").read_text("latin-1")
        seen = [Seen(*(text.encode("latin-1") for text in row[2:5])) for row in rows if row[1] == "204"]
        faults = [row[1] for row in rows if row[1] != "204"]
        cut = bool(rows) and f"*{rows[0][0]} client prematurely closed" in log
        return Reading(tuple(seen), rest=cut, refused="" if cut else " ".join(faults))

    def _statuses(self, data: bytes) -> list[bytes]:
        """The answers to one connection that sends `data` and ends its side."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE_S)
            client.connect(str(self._dir / "front"))
            received = b""
            try:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                while part := client.recv(65536):
                    received += part
            except ConnectionError:
                pass  # it refused, and closed over bytes that it had not read
        return [line[9:12] for line in received.split(b"\r\n") if line.startswith(b"HTTP/1.1 ") and line[9:10] != b"1"]
