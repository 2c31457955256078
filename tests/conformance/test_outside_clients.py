"""Others' clients before a real `carousel up`, others' code behind it: curl, requests, aiohttp, Node's fetch, ab."""

import asyncio
import concurrent.futures
import hashlib
import json
import re
import subprocess
import unittest
from typing import Any, ClassVar

import aiohttp
import pytest
import requests
from support.echo import BIG, GZIPPED, Echo
from support.programs import programs_or_skip

from analysis.running import Running, running

PATIENCE_S = 30.0
BODY = bytes(range(256)) * 4096
"""1 MiB with every byte in it."""
DIGEST = hashlib.sha256(BODY).hexdigest()
NODE = """
const [base, expected] = process.argv.slice(1);
const body = Buffer.concat(Array(4096).fill(Buffer.from(Array.from({length: 256}, (_, i) => i))));
const out = {};
const say = async (name, asked) => { const answer = await asked; out[name] = [answer.status, await answer.text()]; };
async function* pieces() { for (let at = 0; at < body.length; at += 70000) yield body.subarray(at, at + 70000); }
await say('get', fetch(base + '/x?a=b%20c', {headers: {'X-Big': 'b'.repeat(7000), Cookie: 'a=1; b=2'}}));
await say('post', fetch(base + '/x', {method: 'POST', body}));
await say('put', fetch(base + '/x', {method: 'PUT', body}));
await say('chunks', fetch(base + '/x', {method: 'POST', body: ReadableStream.from(pieces()), duplex: 'half'}));
await say('head', fetch(base + '/x', {method: 'HEAD'}));
await say('chunked', fetch(base + '/chunked'));
await say('gzip', fetch(base + '/gzip'));
await say('nothing', fetch(base + '/nothing'));
await say('until closed', fetch(base + '/until-closed'));
await say('redirect', fetch(base + '/redirect', {redirect: 'manual'}));
await say('redirected', fetch(base + '/redirect'));
out.many = (await Promise.all(Array.from({length: 200}, () => fetch(base + '/x').then(r => r.json()))))
    .filter(seen => seen.method === 'GET').length;
console.log(JSON.stringify(out));
"""


def load_tests(loader: unittest.TestLoader, tests: unittest.TestSuite, pattern: str | None) -> unittest.TestSuite:
    """A real system is started: once, under pytest, is enough."""
    return unittest.TestSuite()


@pytest.mark.system
class OutsideClients(unittest.TestCase):
    system: ClassVar[Running]
    base: ClassVar[str]

    @classmethod
    def setUpClass(cls) -> None:
        echo = cls.enterClassContext(Echo())
        flags = ("--runtime", "static", "--backends", f"127.0.0.1:{echo.port}", "--workers", "1")
        cls.system = cls.enterClassContext(running(*flags, replicas=1))
        cls.base = cls.system.url

    def assert_seen(self, text: str | bytes, method: str, body: bytes = b"", target: str = "/x") -> dict[str, str]:
        """What the replica says that it got; returns its headers."""
        seen = json.loads(text)
        self.assertEqual((seen["method"], seen["target"], seen["size"]), (method, target, len(body)))
        self.assertEqual(seen["sha256"], hashlib.sha256(body).hexdigest())
        headers = dict(seen["headers"])
        self.assertEqual(len(headers), len(seen["headers"]), "a header came twice")
        self.assertNotIn("expect", headers)
        self.assertIn("x-request-id", headers)
        return headers


class Curl(OutsideClients):
    @classmethod
    def setUpClass(cls) -> None:
        programs_or_skip("curl")
        super().setUpClass()

    def curl(self, *arguments: str, body: bytes = b"") -> bytes:
        """Its output; it must succeed."""
        command = ["curl", "-sS", "--no-progress-meter", "--max-time", str(PATIENCE_S), "--noproxy", "*", *arguments]
        done = subprocess.run(command, input=body, capture_output=True, timeout=PATIENCE_S, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, b""), command)
        return done.stdout

    def test_methods_and_bodies(self) -> None:
        url = self.base + "/x"
        self.assert_seen(self.curl(url), "GET")
        for method in ("POST", "PUT", "PATCH"):
            self.assert_seen(self.curl("-X", method, "--data-binary", "@-", url, body=BODY), method, BODY)
        self.assert_seen(self.curl("-X", "DELETE", url), "DELETE")
        self.assert_seen(self.curl("-X", "OPTIONS", "--request-target", "*", self.base), "OPTIONS", target="*")

    def test_an_upload_in_chunks(self) -> None:
        headers = self.assert_seen(self.curl("-T", "-", self.base + "/x", body=BODY), "PUT", BODY)
        self.assertEqual(headers["transfer-encoding"], "chunked")

    def test_expect_100(self) -> None:
        shown = self.curl("-i", "-H", "Expect: 100-continue", "--data-binary", "@-", self.base + "/x", body=BODY)
        self.assertTrue(shown.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), shown[:200])
        self.assert_seen(shown.rpartition(b"\r\n\r\n")[2], "POST", BODY)

    def test_head(self) -> None:
        for path in ("/x", "/chunked"):
            self.assertTrue(self.curl("-I", self.base + path).startswith(b"HTTP/1.1 200 OK\r\n"))

    def test_http_1_0(self) -> None:
        self.assert_seen(self.curl("-0", self.base + "/x"), "GET")
        self.assert_seen(self.curl("-0", "--data-binary", "@-", self.base + "/x", body=BODY), "POST", BODY)
        self.assertEqual(self.curl("-0", self.base + "/chunked"), b"hello chunked world")
        self.assertEqual(self.curl("-0", self.base + "/until-closed"), b"to the end")

    def test_one_connection_for_many(self) -> None:
        urls = [f"{self.base}/{path}" for path in ("x", "chunked", "nothing", "gzip", "x", "redirect", "x")]
        shown = self.curl("-o", "/dev/null", *[part for url in urls for part in (url, "-w", "%{num_connects} ")][:-2])
        self.assertEqual(shown.split()[:1], [b"1"])
        counts = self.curl("-w", "%{num_connects} ", *[part for url in urls for part in ("-o", "/dev/null", url)])
        self.assertEqual(counts.split(), [b"1"] + [b"0"] * (len(urls) - 1))

    def test_what_passes_untouched(self) -> None:
        self.assertEqual(self.curl("-H", "Accept-Encoding: gzip", self.base + "/gzip"), GZIPPED)
        self.assertEqual(self.curl("--compressed", self.base + "/gzip"), b"hello " * 1000)
        head = self.curl("-i", self.base + "/redirect")
        self.assertTrue(head.startswith(b"HTTP/1.1 302 "))
        self.assertIn(b"\r\nLocation: /elsewhere?x=1\r\n", head)
        self.assert_seen(self.curl("-L", self.base + "/redirect"), "GET", target="/elsewhere?x=1")
        self.assertIn(b"\r\nX-Big: " + BIG.encode() + b"\r\n", self.curl("-i", self.base + "/big-header"))
        self.assertEqual(self.curl("-i", self.base + "/cookies").count(b"Set-Cookie: "), 2)
        big = self.assert_seen(self.curl("-H", "X-Big: " + BIG, "-b", "a=1; b=2", self.base + "/x"), "GET")
        self.assertEqual((big["x-big"], big["cookie"]), (BIG, "a=1; b=2"))


class Requests(OutsideClients):
    def setUp(self) -> None:
        self.session = self.enterContext(requests.Session())
        self.session.trust_env = False

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        return self.session.request(method, self.base + path, timeout=PATIENCE_S, **more)

    def test_methods_and_bodies(self) -> None:
        for method in ("GET", "DELETE", "OPTIONS"):
            self.assert_seen(self.ask(method, "/x").content, method)
        for method in ("POST", "PUT", "PATCH"):
            self.assert_seen(self.ask(method, "/x", data=BODY).content, method, BODY)
        self.assertEqual(self.ask("HEAD", "/x").content, b"")

    def test_a_generator_is_sent_in_chunks(self) -> None:
        pieces = (BODY[at : at + 70_000] for at in range(0, len(BODY), 70_000))
        headers = self.assert_seen(self.ask("POST", "/x", data=pieces).content, "POST", BODY)
        self.assertEqual(headers["transfer-encoding"], "chunked")

    def test_answers(self) -> None:
        self.assertEqual(self.ask("GET", "/chunked").content, b"hello chunked world")
        self.assertEqual(self.ask("GET", "/until-closed").content, b"to the end")
        self.assertEqual(self.ask("GET", "/gzip").content, b"hello " * 1000)
        self.assertEqual(self.ask("GET", "/nothing").status_code, 204)
        self.assertEqual(self.ask("GET", "/redirect", allow_redirects=False).headers["Location"], "/elsewhere?x=1")
        self.assert_seen(self.ask("GET", "/redirect").content, "GET", target="/elsewhere?x=1")
        self.assertEqual(self.ask("GET", "/big-header").headers["X-Big"], BIG)
        self.ask("GET", "/cookies")
        self.assertEqual(self.assert_seen(self.ask("GET", "/x").content, "GET")["cookie"], "a=1; b=2")

    def test_many_at_once_on_one_session(self) -> None:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda n: self.ask("POST", f"/x{n}", data=b"%d" % n), range(200)))
        for number, answer in enumerate(answers):
            self.assert_seen(answer.content, "POST", b"%d" % number, f"/x{number}")


class Aiohttp(OutsideClients):
    def test_it(self) -> None:
        asyncio.run(self.session())

    async def session(self) -> None:
        async with aiohttp.ClientSession(self.base, auto_decompress=False) as session:
            self.assert_seen(await self.text(session.get("/x")), "GET")
            self.assert_seen(await self.text(session.put("/x", data=BODY)), "PUT", BODY)
            self.assert_seen(await self.text(session.post("/x", data=BODY, expect100=True)), "POST", BODY)
            headers = self.assert_seen(await self.text(session.post("/x", data=self.pieces())), "POST", BODY)
            self.assertEqual(headers["transfer-encoding"], "chunked")
            self.assertEqual(await self.text(session.head("/x")), b"")
            self.assertEqual(await self.text(session.get("/gzip")), GZIPPED)
            self.assertEqual(await self.text(session.get("/chunked")), b"hello chunked world")
            self.assertEqual(await self.text(session.get("/until-closed")), b"to the end")
            self.assert_seen(await self.text(session.get("/redirect")), "GET", target="/elsewhere?x=1")
            many = await asyncio.gather(*(self.text(session.get(f"/x{n}")) for n in range(200)))
            for number, text in enumerate(many):
                self.assert_seen(text, "GET", target=f"/x{number}")

    async def text(self, asked: Any) -> bytes:
        async with asked as answer:
            return await answer.read()

    async def pieces(self) -> Any:
        for at in range(0, len(BODY), 70_000):
            yield BODY[at : at + 70_000]


class Node(OutsideClients):
    @classmethod
    def setUpClass(cls) -> None:
        programs_or_skip("node")
        super().setUpClass()

    def test_fetch(self) -> None:
        command = ["node", "--input-type=module", "-e", NODE, self.base]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        headers = self.assert_seen(told["get"][1], "GET", target="/x?a=b%20c")
        self.assertEqual((headers["x-big"], headers["cookie"]), (BIG, "a=1; b=2"))
        self.assert_seen(told["post"][1], "POST", BODY)
        self.assert_seen(told["put"][1], "PUT", BODY)
        self.assertEqual(self.assert_seen(told["chunks"][1], "POST", BODY)["transfer-encoding"], "chunked")
        self.assertEqual(told["head"], [200, ""])
        self.assertEqual(told["chunked"], [200, "hello chunked world"])
        self.assertEqual(told["gzip"], [200, "hello " * 1000])
        self.assertEqual(told["nothing"], [204, ""])
        self.assertEqual(told["until closed"], [200, "to the end"])
        self.assertEqual(told["redirect"][0], 302)
        self.assert_seen(told["redirected"][1], "GET", target="/elsewhere?x=1")
        self.assertEqual(told["many"], 200)


class Ab(OutsideClients):
    """ab speaks HTTP/1.0, with -k and keep-alive too."""

    @classmethod
    def setUpClass(cls) -> None:
        programs_or_skip("ab")
        super().setUpClass()

    def ab(self, *arguments: str) -> dict[str, int]:
        command = ["ab", "-q", "-n", "500", "-c", "20", "-s", str(int(PATIENCE_S)), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return {name: int(count) for name, count in re.findall(r"^([A-Z][A-Za-z0-9 -]*):\s+(\d+)", done.stdout, re.M)}

    def assert_all_answered(self, report: dict[str, int]) -> None:
        self.assertEqual((report["Complete requests"], report["Failed requests"]), (500, 0), report)
        self.assertNotIn("Non-2xx responses", report)

    def test_a_connection_each(self) -> None:
        self.assert_all_answered(self.ab(self.base + "/big-header"))

    def test_connections_kept(self) -> None:
        report = self.ab("-k", self.base + "/big-header")
        self.assert_all_answered(report)
        self.assertEqual(report["Keep-Alive requests"], 500)

    def test_bodies(self) -> None:
        self.assert_all_answered(self.ab("-k", "-p", __file__, "-T", "text/plain", self.base + "/cookies"))


del OutsideClients  # only what derives from it has tests
