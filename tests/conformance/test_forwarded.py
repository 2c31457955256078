"""nginx's real_ip_recursive, as a second opinion on who the client is.

The two differ on purpose where the list can't be read: nginx takes the last proxy for the client, we take nobody.
"""

import random
import shutil
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path
from time import monotonic, sleep
from typing import ClassVar

from loadbalancer.forwarded import Origin, Trust
from wire.http1 import parse_request

TRUSTED = ("10.0.0.0/8", "192.0.2.0/24", "2001:db8:1::/48")
PEER = "10.0.0.1"
CONFIG = """
daemon off; pid {at}/pid; error_log stderr crit; worker_processes 1;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f;
    uwsgi_temp_path {at}/u; scgi_temp_path {at}/s;
    set_real_ip_from unix:; {trusted}
    real_ip_header X-Forwarded-For; real_ip_recursive on;
    server {{ listen unix:{at}/socket; location / {{ return 200 $remote_addr; }} }}
}}
"""
ENTRIES = (
    *("10.1.1.1", "10.2.2.2:8080", "192.0.2.7", "2001:db8:1::9", "[2001:db8:1::9]:443"),
    *("203.0.113.7", "198.51.100.1:4711", "2001:db8::1", "[2001:db8::2]:80", "127.0.0.1", "::1"),
)


def ours(chain: str) -> str:
    parsed = parse_request(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: %b\r\n\r\n" % chain.encode())
    assert parsed is not None
    return Origin(Trust(",".join(TRUSTED)), PEER, b"http").settle(parsed[0]).decode()


@unittest.skipUnless(shutil.which("nginx"), "no nginx here")
class AsNginxSees(unittest.TestCase):
    directory: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        cls.directory = tempfile.mkdtemp(dir="/tmp")
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        trusted = " ".join(f"set_real_ip_from {network};" for network in TRUSTED)
        config = Path(cls.directory) / "nginx.conf"
        config.write_text(CONFIG.format(at=cls.directory, trusted=trusted))
        process = subprocess.Popen(["nginx", "-c", str(config), "-p", cls.directory], stderr=subprocess.DEVNULL)
        cls.addClassCleanup(process.wait, 10)
        cls.addClassCleanup(process.terminate)
        deadline = monotonic() + 10
        while not (Path(cls.directory) / "pid").exists() and monotonic() < deadline:
            sleep(0.01)

    def nginx(self, chain: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(f"{self.directory}/socket")
            connection.sendall(f"GET / HTTP/1.0\r\nX-Forwarded-For: {chain}\r\n\r\n".encode())
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
        return answer.partition(b"\r\n\r\n")[2].decode()

    def test_any_list_of_addresses(self) -> None:
        chosen = random.Random(7239)
        for _ in range(40):
            chain = chosen.choice((", ", ",", " ,")).join(chosen.choices(ENTRIES, k=chosen.randint(1, 5)))
            self.assertEqual(ours(chain), self.nginx(chain), chain)

    def test_where_the_walk_meets_what_is_no_address(self) -> None:
        for chain in ("garbage", "203.0.113.7, garbage, 10.1.1.1", "unknown, 10.1.1.1"):
            self.assertEqual(ours(chain), "unknown")
            self.assertIn(self.nginx(chain), ("unix:", "10.1.1.1"))
