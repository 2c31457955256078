import errno
import json
import threading
from pathlib import Path
from typing import Any

from support.door_case import DoorCase, silent
from support.fake_replicas import Answerer, Connection, Rig, Visit, ok, reset, saying

from loadbalancer.access_log import CLIENT_GONE
from loadbalancer.aio.access_writer import BATCH, QUEUE_BYTES, AccessLog
from loadbalancer.counters import Counters
from loadbalancer.disk.log_file import LogFile

GET = b"GET /%d HTTP/1.1\r\nHost: d\r\nX-Request-Id: id-%d\r\n\r\n"


class Said:
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, Any]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append(("info", event, fields))

    def error(self, event: str, **fields: Any) -> None:
        self.lines.append(("error", event, fields))


class Slow(LogFile):
    """A file that takes nothing until `free` is set, and as much as `room` says after that."""

    def __init__(self) -> None:
        super().__init__("")
        self.free = threading.Event()
        self.reason: OSError | None = None
        self.lines = b""

    def write(self, lines: bytes, now: float) -> tuple[int, OSError | None]:
        self.free.wait()
        if self.reason is not None:
            return lines.count(b"\n"), self.reason
        self.lines += lines
        return 0, None


class LogCase(DoorCase):
    share = 1.0
    form = "json"

    async def rig(self, *answers: Answerer, admin: bool = True, proxy: bool = True, **settings: Any) -> Rig:
        rig = await super().rig(*answers, admin=admin, proxy=proxy, **settings)
        self.path = Path(self.directory) / "access.log"
        self.log = rig.door.access = AccessLog(
            LogFile(str(self.path)), self.form, self.share, rig.door.counters, Said()
        )
        self.addCleanup(self.log.close)
        return rig

    def raw(self) -> bytes:
        """All that was logged; the log is at its end then."""
        self.log.close()
        return self.path.read_bytes() if self.path.exists() else b""

    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.raw().splitlines()]


class Hooks(LogCase):
    """Every answer is logged once, whoever gave it."""

    async def test_an_answer_of_a_replica(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        head, body = (await client.get(b"/a?q=1", b"X-Request-Id: mine\r\nUser-Agent: test\r\nCookie: secret\r\n"))[1:]
        (entry,) = self.entries()
        expected = {
            "client": "127.0.0.1", "method": "GET", "target": "/a?q=1", "version": "HTTP/1.1", "host": "door",
            "referer": None, "user_agent": "test", "status": 200, "bytes_sent": len(head) + len(body),
            "request_id": "mine", "node_id": 1, "replica": "S1", "tries": 1, "whole": True,
        }  # fmt: skip
        self.assertEqual({name: entry[name] for name in expected}, expected)
        self.assertGreater(entry["duration_ms"], 0)

    async def test_each_has_its_own_bytes(self) -> None:
        rig = await self.rig(saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"))
        client = await rig.connect()
        count = 2 * BATCH + 10
        client.send(b"".join(GET % (number, number) for number in range(count)))
        received = 0
        for _ in range(count):
            received += len(await client.head()) + len(await client.reader.readuntil(b"0\r\n\r\n"))
        entries = self.entries()
        self.assertEqual([entry["target"] for entry in entries], [f"/{number}" for number in range(count)])
        self.assertEqual(sum(entry["bytes_sent"] for entry in entries), received)

    async def test_a_second_try(self) -> None:
        rig = await self.rig(reset, ok)
        await (await rig.connect()).get(rig.target_of(1))
        (entry,) = self.entries()
        self.assertEqual((entry["status"], entry["replica"], entry["tries"]), (200, "S2", 2))

    async def test_our_own_answers(self) -> None:
        rig = await self.rig(reset)
        client = await rig.connect()
        await client.get()
        rig.publish(S1={"port": 0})
        for target in (b"/home", b"/admin/live"):
            await client.get(target)
        client.send(b"POST /rep HTTP/1.1\r\nHost: d\r\nContent-Length: 100000\r\n\r\n")
        await client.message()
        entries = [(entry["target"], entry["status"], entry["replica"], entry["tries"]) for entry in self.entries()]
        expected = [
            ("/home", 502, "S1", 1),
            ("/home", 503, None, 0),
            ("/admin/live", 200, None, 0),
            ("/rep", 413, None, 0),
        ]
        self.assertEqual(entries, expected)

    async def test_what_is_no_request(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: d\r\nbad line\r\n\r\n")
        answer = await client.rest()
        (entry,) = self.entries()
        self.assertEqual((entry["status"], entry["method"], entry["bytes_sent"]), (400, None, len(answer)))

    async def test_a_body_that_does_not_come(self) -> None:
        rig = await self.rig(silent)
        client = await rig.connect()
        client.send(b"POST /up HTTP/1.1\r\nHost: d\r\nContent-Length: 9\r\nX-Request-Id: mine\r\n\r\n")
        await rig.until(lambda: rig.door.counters.in_flight[1] == 1)
        rig.later(rig.door.settings.client_timeout_s + 1)
        await client.message()
        (entry,) = self.entries()
        self.assertEqual((entry["target"], entry["status"], entry["request_id"]), ("/up", 408, "mine"))

    async def test_an_answer_that_was_cut(self) -> None:
        async def half(visit: Visit) -> None:
            visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")
            await visit.writer.drain()
            visit.reset()

        rig = await self.rig(half)
        client = await rig.connect()
        client.send(GET % (1, 1))
        with self.assertRaises(ConnectionError):
            await client.rest()
        (entry,) = self.entries()
        self.assertEqual((entry["status"], entry["whole"], entry["replica"]), (200, False, "S1"))

    async def test_a_client_that_left(self) -> None:
        rig = await self.rig(silent)
        client = await rig.connect()
        client.send(GET % (1, 1))
        await rig.replicas[0].visited()
        client.reset()
        await rig.until(lambda: not rig.door.counters.client_connections)
        (entry,) = self.entries()
        self.assertEqual((entry["status"], entry["whole"], entry["bytes_sent"]), (CLIENT_GONE, False, 0))

    async def test_control_s_answers(self) -> None:
        rig = await self.rig(ok)
        await self.socket(rig, rig.door.settings.control_socket, ok)
        await (await rig.connect()).get(b"/rep")
        (entry,) = self.entries()
        self.assertEqual((entry["target"], entry["status"], entry["node_id"]), ("/rep", 200, None))


class Common(LogCase):
    form = "common"

    async def test_the_other_format(self) -> None:
        rig = await self.rig(ok)
        await (await rig.connect()).get(b"/a", b"Referer: x\r\n")
        self.assertRegex(self.raw(), rb'\A127.0.0.1 - - \[.*\] "GET /a HTTP/1.1" 200 \d+ "x" "-" 0.\d\d\d\n\Z')


class Sampled(LogCase):
    share = 0.25

    async def get(self, client: Connection, count: int) -> None:
        client.send(b"".join(GET % (number, number) for number in range(count)))
        for _ in range(count):
            await client.message()

    async def test_the_share_is_chosen_by_the_id_and_failures_are_all_there(self) -> None:
        rig = await self.rig(ok)
        client = await rig.connect()
        await self.get(client, 100)
        await self.get(client, 100)
        rig.publish(S1={"port": 0})
        await self.get(client, 5)
        entries = self.entries()
        good = [entry["request_id"] for entry in entries if entry["status"] == 200]
        self.assertEqual(good[: len(good) // 2], good[len(good) // 2 :])
        self.assertTrue(10 <= len(set(good)) <= 40)
        self.assertEqual(sum(entry["status"] == 503 for entry in entries), 5)

    async def test_a_quarter_of_what_has_no_id(self) -> None:
        rig = await self.rig(ok)
        for _ in range(12):
            client = await rig.connect()
            client.send(b"bad\r\n\r\n")
            await client.rest()
        self.assertEqual(len(self.entries()), 3)


class Trouble(DoorCase):
    def setUp(self) -> None:
        super().setUp()
        self.file = Slow()
        self.said = Said()
        self.counters = Counters()

    async def asyncSetUp(self) -> None:
        self.log = AccessLog(self.file, "json", 1.0, self.counters, self.said)
        self.addCleanup(self.log.close)
        self.addCleanup(self.file.free.set)

    async def test_a_file_that_takes_nothing_costs_lines_and_no_request(self) -> None:
        rig = await self.rig(ok)
        rig.door.access = self.log
        client = await rig.connect()
        agent = b"User-Agent: %b\r\n" % (b"a" * 3000)
        target = b"/" + b"b" * 500
        for _ in range(2 * QUEUE_BYTES // 3500 // 20):
            client.send((b"GET %b HTTP/1.1\r\nHost: d\r\n%b\r\n" % (target, agent)) * 20)
            for _ in range(20):
                self.assertEqual((await client.message())[0], 200)
        self.log.tick()
        dropped = self.counters.access_log_dropped
        self.assertGreater(dropped, 0)
        self.file.free.set()
        self.log.close()
        lines = self.file.lines.count(b"\n")
        self.assertEqual(lines + dropped, len(rig.replicas[0].visits))
        self.assertLess(len(self.file.lines), QUEUE_BYTES + BATCH * 4096)

    async def test_what_the_file_refuses_is_counted_and_told_once(self) -> None:
        self.file.free.set()
        self.file.reason = OSError(errno.ENOSPC, "No space left on device")
        rig = await self.rig(ok)
        rig.door.access = self.log
        client = await rig.connect()
        for expected in (1, 2, 3):
            await client.get()
            self.log.tick()
            await rig.until(lambda expected=expected: self.log._writer.lost == expected)  # pyright: ignore[reportPrivateUsage]
        self.log.tick()
        self.assertEqual(self.counters.access_log_dropped, 3)
        self.file.reason = None
        await client.get()
        self.log.close()
        self.assertEqual(self.file.lines.count(b"\n"), 1)
        told = [("error", "access log can't be written"), ("info", "access log is written again")]
        self.assertEqual([line[:2] for line in self.said.lines], told)

    async def test_the_end_does_not_wait_for_ever(self) -> None:
        rig = await self.rig(ok)
        rig.door.access = self.log
        await (await rig.connect()).get()
        self.log.close()
        self.assertEqual(self.file.lines, b"")
