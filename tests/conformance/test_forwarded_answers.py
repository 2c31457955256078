"""Each case of the corpus through a real front door: every client reads alike what it gets, or it gets no answer."""

import re

import structlog.testing
from support.answer_readers import READERS, Told
from support.door_case import DoorCase
from support.readers import Reading
from support.recorder import converse
from support.teller import Teller

from conformance.corpus.response_cases import CASES, POISON, Case

INTERIM = re.compile(rb"^HTTP/1\.1 (1[0-9][0-9]) ", re.M)
MISREAD = {("http.client", name) for name in ("103", "103 in pieces", "102 and 103", "103 with what is one hop's")}
MISREAD |= {
    ("http.client", name) for name in ("103 in HTTP/1.0", "103 and no answer", "103 and garbage", "a flood of 103s")
}
"""http.client takes any 1xx but 100 for the answer (CPython, to this day); RFC 9110, 15.2, has us pass them on."""
GIVES_UP = {("aiohttp", f"HEAD (){more}") for more in ("", " and a body", " and another answer")}
"""Who reads the answer right and then uses another connection for the next."""


class ForwardedAnswers(DoorCase):
    async def asyncSetUp(self) -> None:
        self.enterContext(structlog.testing.capture_logs())  # of the answers cut
        self.teller = Teller()
        self.door = await self.rig(self.teller.answer, admin=False)
        self.replica = self.door.replicas[0]

    async def received(self, case: Case) -> tuple[bytes, bool]:
        """What the client got for both requests, and whether it was reset."""
        self.replica.close_connections()
        await self.door.until(lambda: not self.door.door.counters.upstream_connections)
        self.replica.connections = 0
        self.teller.tell(case.said, case.closes)
        first = b"%b / HTTP/1.%d\r\nHost: a\r\n\r\n" % (case.method, case.minor)
        received = await converse(self.door.port, [first + b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n"])
        await self.door.until(lambda: not any(self.door.door.counters.in_flight.values()))
        return received

    def assert_read_alike(self, case: Case, name: str, reading: Reading) -> None:
        told = tuple(Told(one.status, b"" if one.status == 502 else one.body) for one in reading.messages)
        if (name, case.name) in MISREAD:
            self.assertNotEqual(told, case.told)
        elif (name, case.name) in GIVES_UP:
            self.assertEqual((told, reading.refused), (case.told[:1], ""))
        else:
            self.assertEqual((told, reading.rest, reading.refused), (case.told, case.cut, ""), name)

    async def test_each_is_read_alike_or_is_no_answer(self) -> None:
        for case in CASES:
            with self.subTest(case.name):
                received, reset = await self.received(case)
                self.assertEqual(reset, case.cut, received)
                for name, reader in READERS.items():
                    self.assert_read_alike(case, name, reader(received, (case.method, b"GET"), reset))
                self.assertEqual(tuple(map(int, INTERIM.findall(received))), case.interim)
                head = received.lower().partition(b"\r\n\r\nhttp/1.1 200 ok\r\ncontent-length: 6")[0]
                self.assertFalse([part for part in case.gone if part in head], head)
                if len(case.told) == 2:
                    self.assertEqual(self.replica.connections == 1, case.reused)

    async def test_bytes_that_nobody_asked_for_are_nobody_s(self) -> None:
        """They come while the connection waits for its next request: it is not used for one."""
        client = await self.door.connect()
        self.assertEqual((await client.get())[2], b"second")
        self.replica.visits[0].say(POISON)
        await self.door.until(lambda: not self.door.door.counters.upstream_connections)
        self.assertEqual((await client.get())[2], b"second")
        self.assertEqual(self.replica.connections, 2)
