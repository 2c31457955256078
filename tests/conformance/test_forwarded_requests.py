"""Each case of the corpus through a real front door: refused, or read alike by every peer that may stand behind it."""

import re
from collections.abc import Iterable

from support.door_case import DoorCase
from support.fake_replicas import Rig
from support.nginx import Nginx
from support.readers import READERS, Reader, Reading, as_carousel_reads
from support.recorder import Recorder, converse

from conformance.corpus.request_cases import CASES, Case

FINAL = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9]) ")
DRIBBLED_BYTES = 2000
"""Longer cases are not sent byte by byte: the length is what they are about."""

DECLINES = {
    *(("werkzeug", "trailers"), ("werkzeug", "100 header lines"), ("carousel", "100 header lines")),
    *(("llhttp", f"method {name!r}") for name in (b"PRI", b"BREW", b"get", b"X!", b"A" * 20)),
    *(("gunicorn", f"method {name!r}") for name in (b"get", b"X!", b"A" * 20)),
    *(("nginx", f"method {name!r}") for name in (b"TRACE", b"get", b"X!")),
    *(("nginx", f"target {path!r}") for path in (b"/../x", b"/%2e%2e/x", b"/%00", b"/%", b"/%zz")),
    *(("nginx", "OPTIONS *"), ("nginx", "OPTIONS of a server"), ("nginx", "an empty Host")),
}
"""Who refuses, whole and with its connection, what we forward: nobody is harmed. (Our own line is the 101st.)"""

REWRITES = {("werkzeug", f"target {path!r}") for path in (b"//", b"//b/x", b"http://a//b")}
"""Who reads another path in the same one request: http.server makes one slash of several."""


class ForwardedRequests(DoorCase):
    async def asyncSetUp(self) -> None:
        self.recorder = Recorder()
        self.rig = Rig(self.directory)
        await self.recorder.start()
        self.rig.replicas.append(self.recorder)
        await self.rig.start(admin=False)
        self.addAsyncCleanup(self.rig.stop)

    async def forwarded(self, case: Case, size: int = 1 << 20) -> list[bytes]:
        """What replicas get of the case, sent in pieces of `size` bytes; its answers are checked."""
        self.recorder.clear()
        pieces = [case.sent[at : at + size] for at in range(0, len(case.sent), size)]
        received, _ = await converse(self.rig.port, pieces)
        self.assertEqual(tuple(map(int, FINAL.findall(received))), case.answers, (case.sent, received))
        await self.rig.until(lambda: not any(self.rig.door.counters.in_flight.values()))
        self.assertEqual(self.recorder.fault, "")
        return [bytes(taken) for taken in self.recorder.taken]

    def assert_read_alike(self, case: Case, name: str, reader: Reader, taken: Iterable[bytes]) -> None:
        for data, seen in zip(taken, case.seen, strict=False):
            reading = reader(data)
            if (name, case.name) in DECLINES:
                self.assertEqual((reading.messages, bool(reading.refused)), ((), True), (data, str(reading)))
            elif (name, case.name) in REWRITES:
                self.assertEqual([(m.method, m.body) for m in reading.messages], [(seen.method, seen.body)])
            else:
                self.assertEqual(reading, Reading((seen,)), (name, data, str(reading)))

    def assert_lines(self, case: Case, taken: list[bytes]) -> None:
        got = b"".join(taken).lower()
        self.assertFalse([part for part in case.gone if part in got], got)
        self.assertFalse([part for part in case.kept if part not in got], got)

    async def test_each_is_refused_or_read_alike(self) -> None:
        readers = {"carousel": as_carousel_reads, **READERS}
        for case in CASES:
            with self.subTest(case.name):
                taken = await self.forwarded(case)
                declined = ("carousel", case.name) in DECLINES
                whole = [data for data in taken if declined or as_carousel_reads(data).messages]
                self.assertEqual(len(whole), len(case.seen), taken)
                self.assert_lines(case, whole)
                for name, reader in readers.items():
                    self.assert_read_alike(case, name, reader, whole)

    async def test_nginx_reads_them_alike(self) -> None:
        nginx = self.enterContext(Nginx())
        for case in CASES:
            if case.seen:
                with self.subTest(case.name):
                    self.assert_read_alike(case, "nginx", nginx.read, await self.forwarded(case))

    async def test_how_the_bytes_are_cut_changes_nothing(self) -> None:
        for case in CASES:
            if len(case.sent) <= DRIBBLED_BYTES:
                with self.subTest(case.name):
                    taken = await self.forwarded(case, size=1)
                    readings = [as_carousel_reads(data) for data in taken]
                    whole = [message for reading in readings for message in reading.messages]
                    if ("carousel", case.name) not in DECLINES:
                        self.assertEqual(whole, list(case.seen))
