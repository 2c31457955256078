"""HAProxy's own PROXY headers, both versions: what its send-proxy writes, the front door reads."""

import asyncio
import shutil
import socket
import subprocess
import unittest
from pathlib import Path

from support.door_case import DoorCase
from support.fake_replicas import Connection, ok

CONFIG = """
defaults
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend tcp
    mode tcp
    bind fd@{fd}
    default_backend door
backend door
    mode tcp
    server door 127.0.0.1:{port} {how}
"""
CLIENT = "127.0.0.9"


@unittest.skipUnless(shutil.which("haproxy"), "no HAProxy here")
class SentByHAProxy(DoorCase):
    async def behind_haproxy(self, port: int, how: str) -> Connection:
        """A connection from CLIENT to a HAProxy in TCP mode before the front door at `port`."""
        listener = socket.create_server(("127.0.0.1", 0))
        config = Path(self.directory) / "haproxy.cfg"
        config.write_text(CONFIG.format(fd=listener.fileno(), port=port, how=how))
        process = subprocess.Popen(["haproxy", "-db", "-q", "-f", str(config)], pass_fds=(listener.fileno(),))
        self.addCleanup(process.wait, 10)
        self.addCleanup(process.kill)
        where = listener.getsockname()
        listener.close()
        connection = Connection(*await asyncio.open_connection(*where, local_addr=(CLIENT, 0)))
        self.addAsyncCleanup(connection.close)
        return connection

    async def test_both_versions(self) -> None:
        for how in ("send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"):
            with self.subTest(how):
                rig = await self.rig(ok, accept_proxy_protocol=True, trusted_proxies="127.0.0.1")
                client = await self.behind_haproxy(rig.port, how)
                async with asyncio.timeout(10):
                    self.assertEqual((await client.get())[0], 200)
                head = rig.replicas[0].visits[0].head
                self.assertIn(b"X-Forwarded-For: %b\r\n" % CLIENT.encode(), head)

    async def test_its_health_checks_are_its_own(self) -> None:
        """LOCAL, or its own addresses: the proxy is the client, and gets its answer."""
        rig = await self.rig(ok, accept_proxy_protocol=True)
        checked = "send-proxy-v2 check check-send-proxy inter 50ms\n    option httpchk GET /home"
        await self.behind_haproxy(rig.port, checked)
        async with asyncio.timeout(10):
            await rig.replicas[0].visited()
        self.assertIn(b"X-Forwarded-For: 127.0.0.1\r\n", rig.replicas[0].visits[0].head)
