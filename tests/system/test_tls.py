"""TLS as a user has it: the whole system, certificates made and renewed by openssl, clients that are not ours."""

import contextlib
import http.client
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest
from collections.abc import Generator
from pathlib import Path
from typing import ClassVar

import pytest
from support.certificates import client_context, common_name, encrypted, needs_openssl, write_pair

from analysis.running import Running, running, wait_until

ROOT = Path(__file__).parents[2]
LIMIT_S = 30.0


def carousel(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    argv = [sys.executable, "-m", "loadbalancer", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S, cwd=ROOT, check=False)


class Load(threading.Thread):
    """Requests over TLS until told to end: one connection kept as long as the front door lets it, and a new one for
    each other request. `failures` are what went wrong."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.answered = 0
        self.failures: list[str] = []
        self._port = port
        self._context = client_context()
        self._ended = threading.Event()

    def run(self) -> None:
        kept = self._connection()
        while not self._ended.is_set():
            for connection in (kept, self._connection()):
                try:
                    connection.request("GET", "/home")
                    response = connection.getresponse()
                    response.read()
                    self.answered += 1
                    if response.status != 200:
                        self.failures.append(str(response.status))
                except (OSError, http.client.HTTPException) as error:
                    self.failures.append(repr(error))
                    connection.close()
                if connection is not kept:
                    connection.close()
        kept.close()

    def _connection(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("127.0.0.1", self._port, context=self._context, timeout=LIMIT_S)

    def end(self) -> None:
        self._ended.set()
        self.join()


@contextlib.contextmanager
def load(port: int, test: unittest.TestCase) -> Generator[Load]:
    """Requests meanwhile, none of which may fail."""
    thread = Load(port)
    thread.start()
    try:
        yield thread
    finally:
        thread.end()
    test.assertEqual(thread.failures, [])
    test.assertGreater(thread.answered, 10)


@needs_openssl
@pytest.mark.system
class TlsTest(unittest.TestCase):
    """One system for all of these tests."""

    system: ClassVar[Running]
    directory: ClassVar[Path]
    port: ClassVar[int]

    @classmethod
    def setUpClass(cls) -> None:
        cls.directory = Path(tempfile.mkdtemp(prefix="carousel-tls-", dir="/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        pair = write_pair(cls.directory)
        flags = ("--tls-cert", str(pair.cert), "--tls-key", str(pair.key), "--tls-port", "0", "--workers", "2")
        cls.system = cls.enterClassContext(running(*flags))
        cls.port = json.loads((cls.system.state_dir / "ports.json").read_text())["tls"]

    def log(self) -> str:
        return (self.system.state_dir / "system.log").read_text()

    def shown(self) -> str:
        """The name in the certificate that a new connection gets."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT_S)
        with client_context().wrap_socket(plain) as client:
            return common_name(client.getpeercert(binary_form=True))

    def run_client(self, *argv: str, said: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(argv, input=said, capture_output=True, timeout=LIMIT_S, check=False)

    def test_the_port_is_in_the_ready_line(self) -> None:
        self.assertIn(f"tls port {self.port}", self.log())

    def test_a_verifying_client_of_python(self) -> None:
        cert = write_pair(self.directory).cert
        connection = http.client.HTTPSConnection("localhost", self.port, context=client_context(cert), timeout=LIMIT_S)
        self.addCleanup(connection.close)
        for path, status in (("/home", 200), ("/rep", 200), ("/admin/ready", 200), ("/other", 400)):
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            self.assertEqual(response.status, status, path)

    @unittest.skipUnless(shutil.which("curl"), "there is no curl")
    def test_curl(self) -> None:
        cert = write_pair(self.directory).cert
        url = f"https://localhost:{self.port}/home"
        argv = ("curl", "-sS", "--cacert", str(cert), "-w", "%{http_code} %{http_version}", url)
        done = self.run_client(*argv)
        self.assertIn(b'"status": "successful"', done.stdout, done.stderr)
        self.assertTrue(done.stdout.endswith(b"200 1.1"))

    def test_openssl_s_client(self) -> None:
        at = ("openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", "-ign_eof", "-alpn", "h2,http/1.1")
        asked = b"GET /home HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n"
        for version in ("-tls1_2", "-tls1_3"):
            done = self.run_client(*at, version, said=asked)
            self.assertIn(b"HTTP/1.1 200 OK", done.stdout)
            self.assertIn(b"ALPN protocol: http/1.1", done.stdout)
            self.assertIn(b"Compression: NONE", done.stdout)
        for version in ("-tls1", "-tls1_1"):
            done = self.run_client(*at, version, "-cipher", "ALL:@SECLEVEL=0", said=asked)
            self.assertNotEqual(done.returncode, 0)
            self.assertNotIn(b"HTTP/1.1", done.stdout)

    def test_nobody_renegotiates(self) -> None:
        at = ("openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", "-tls1_2")
        done = self.run_client(*at, said=b"R\n")
        self.assertIn(b"no renegotiation", done.stderr)

    def test_strangers_at_the_port_leave_a_count_and_no_traceback(self) -> None:
        for said in (b"GET /home HTTP/1.1\r\nHost: d\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\x00" * 100, b""):
            with socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT_S) as client:
                client.sendall(said)
                client.shutdown(socket.SHUT_WR)
                with contextlib.suppress(ConnectionResetError):
                    answer = b"".join(iter(lambda: client.recv(4096), b""))
                    self.assertEqual(b"HTTP/1.1 400" in answer, b"HTTP" in said)

        def counted() -> bool:
            text = self.system.call("GET", "/metrics")[1]
            return self.failures(text) >= 3

        wait_until(counted, LIMIT_S, "the failures are counted")
        self.assertNotIn("Traceback", self.log())

    def failures(self, metrics: str) -> float:
        line = next(row for row in metrics.splitlines() if row.startswith("carousel_tls_handshake_failures_total "))
        return float(line.split()[1])

    def test_a_renewal_loses_no_request(self) -> None:
        with load(self.port, self):
            for name in ("second", "first"):
                write_pair(self.directory, name)
                seen = [0]

                def all_show(name: str = name, seen: list[int] = seen) -> bool:
                    seen[0] = seen[0] + 1 if self.shown() == name else 0
                    return seen[0] >= 12  # both workers, but for one chance in two thousand

                wait_until(all_show, LIMIT_S, f"the {name} certificate is shown")

    def test_a_broken_renewal_is_told_and_the_old_one_stays(self) -> None:
        pair = write_pair(self.directory)
        wait_until(lambda: self.shown() == "first", LIMIT_S, "the first certificate is shown")
        before = self.log().count("certificate not used")
        pair.key.write_text("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
        wait_until(lambda: self.log().count("certificate not used") >= before + 2, LIMIT_S, "both workers say so")
        self.assertEqual(self.shown(), "first")
        self.assertNotIn("c2VjcmV0", self.log())
        refused = carousel("reload", "--state-dir", str(self.system.state_dir))
        self.assertEqual(refused.returncode, 1)
        self.assertIn("--tls-key", refused.stderr)
        write_pair(self.directory)

    def test_a_reload_loses_no_request(self) -> None:
        write_pair(self.directory)
        doors = {child["pid"] for child in self.system.children("worker")}
        with load(self.port, self):
            self.assertEqual(carousel("reload", "--state-dir", str(self.system.state_dir)).returncode, 0)

            def replaced() -> bool:
                return not doors & {child["pid"] for child in self.system.children("worker")}

            wait_until(replaced, LIMIT_S, "new workers")
        wait_until(self.is_led, LIMIT_S, "the new control has adopted the fleet: until then its paths are 503")

    def is_led(self) -> bool:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.system.port, timeout=LIMIT_S)) as plain:
            plain.request("GET", "/rep")
            return plain.getresponse().status == 200


@needs_openssl
@pytest.mark.system
class StartTest(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="carousel-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.pair = write_pair(self.directory)

    def refused(self, fault: str) -> None:
        bad = carousel("up", "--state-dir", str(self.directory / "var"), "--port", "0", "--second-port", "0",
                       "--tls-cert", str(self.pair.cert), "--tls-key", str(self.pair.key))  # fmt: skip
        self.assertEqual((bad.returncode, len(bad.stderr.splitlines())), (2, 1), bad.stderr)
        self.assertRegex(bad.stderr, fault)
        self.assertFalse((self.directory / "var").exists())

    def test_files_that_can_t_be_used_are_told_before_anything_starts(self) -> None:
        key = self.pair.key.read_bytes()
        self.pair.key.write_bytes(encrypted(self.pair.key))
        self.refused("--tls-key: .* is encrypted")
        write_pair(self.directory, "second")
        self.pair.key.write_bytes(key)
        self.refused("--tls-key: .* does not belong to .*cert.pem")
        self.pair.cert.unlink()
        self.refused("--tls-cert: No such file or directory")
