import asyncio
import io
import unittest
from collections import Counter

from rich.console import Console

from analysis.door_profile.__main__ import bare, profiled
from analysis.door_profile.fakes import FakeTransport, connected
from analysis.door_profile.kernel import parsed_calls, parsed_objects
from analysis.door_profile.live import Cost
from analysis.door_profile.path import CLIENTS, REPEATS, WARM_TURNS, Halves, door, measure
from analysis.door_profile.sampled import sampled, shares
from analysis.door_profile.show import show
from analysis.door_profile.stages import ANSWER, RARE, REQUEST, STEPS, noted, timed
from analysis.door_profile.table import live_rows, python_rows

ONE_TURN = CLIENTS * REPEATS
STRACE = """% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 16.48    0.099083           1     89802        24 read
 77.95    0.468701           5     89776           write
  4.85    0.029189           9      3007           epoll_pwait
------ ----------- ----------- --------- --------- ----------------
100.00    0.601315           3    182585        24 total
"""
PERF = """
    50.64%  libpython3.11.so.1.0
    41.98%  [kernel.kallsyms]
     0.10%  libpthread.so.0
"""


class PathTest(unittest.TestCase):
    def test_every_request_goes_out_and_is_answered(self) -> None:
        """It asserts that itself, in each turn."""
        found = measure(door, ONE_TURN)
        self.assertGreater(found.request_us, 0)
        self.assertGreater(found.answer_us, 0)
        self.assertEqual(found.both_us, found.request_us + found.answer_us)

    def test_the_bare_proxy_is_driven_alike(self) -> None:
        self.assertGreater(measure(bare, ONE_TURN).both_us, 0)


class StagesTest(unittest.TestCase):
    def test_the_path_s_own_calls_are_made_again(self) -> None:
        found = noted(turns=2)
        known = next(one for step, one in found.items() if step.name == "id_in")
        self.assertGreater(len(known.calls), 2 * CLIENTS)
        self.assertEqual(known.requests, (WARM_TURNS + 2) * CLIENTS)
        for part in (REQUEST, ANSWER, RARE):
            for what, us in timed(found, part, repeats=2).items():
                self.assertGreater(us, 0, what)

    def test_nothing_stays_replaced(self) -> None:
        before = [getattr(step.owner, step.name) for step in STEPS]
        noted(turns=1)
        self.assertEqual([getattr(step.owner, step.name) for step in STEPS], before)


class TableTest(unittest.TestCase):
    def test_the_parts_add_up(self) -> None:
        path = Halves(7.0, 3.0)
        rows = python_rows(path, {"parse": 2.0, "key": 0.5}, {"head": 1.0})
        self.assertEqual([row.us for row in rows], [2.0, 0.5, 4.5, 1.0, 2.0, 10.0])
        more = live_rows(path, Halves(0.3, 0.2), Cost(1e5, 24.0, 23.5, 13.5, 10.0, 0.0), Cost(1e5, 12, 12, 2.0, 10, 0))
        self.assertEqual([row.us for row in more], [1.5, 2.0, 10.0, 0.5, 24.0])
        self.assertEqual(sum(row.us for row in rows[:-1]) + sum(row.us for row in more[:-1]), more[-1].us)


class ProfiledTest(unittest.TestCase):
    def test_without_running_fronts(self) -> None:
        console = Console(width=120, file=io.StringIO(), record=True)
        show(profiled(ONE_TURN, {}), console)
        text = console.export_text()
        self.assertIn("the path in memory", text)
        self.assertNotIn("system calls", text)


class SampledTest(unittest.TestCase):
    def test_strangers_are_left_out(self) -> None:
        self.assertEqual(sampled(lambda: sum(range(100_000))), Counter())

    def test_shares_add_up_largest_first(self) -> None:
        found = shares(Counter({"a": 1, "b": 3}), 10.0)
        self.assertEqual(list(found.items()), [("b", 7.5), ("a", 2.5)])
        self.assertEqual(shares(Counter(), 10.0), {})


class KernelTest(unittest.TestCase):
    def test_strace_s_table(self) -> None:
        self.assertEqual(parsed_calls(STRACE), {"read": 89802, "write": 89776, "epoll_pwait": 3007})

    def test_perf_s_report(self) -> None:
        found = parsed_objects(PERF)
        self.assertEqual(list(found), ["libpython3.11.so.1.0", "[kernel.kallsyms]"])
        self.assertAlmostEqual(found["[kernel.kallsyms]"], 0.4198)

    def test_what_could_not_be_watched(self) -> None:
        self.assertEqual(parsed_calls("strace: attach: Operation not permitted"), {})
        self.assertEqual(parsed_objects(""), {})


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)  # type: ignore[attr-defined]


class Filled(asyncio.BufferedProtocol):
    def __init__(self) -> None:
        self.buffer = bytearray(8)
        self.seen = b""

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.seen += self.buffer[:nbytes]


class FakeTransportTest(unittest.TestCase):
    def test_what_is_written_is_caught(self) -> None:
        transport = connected(Echo())
        transport.deliver(b"hello")
        transport.writelines([b"a", b"b"])
        self.assertEqual(list(transport.sent), [b"hello", b"a", b"b"])
        self.assertEqual(transport.get_extra_info("peername")[0], "127.0.0.1")

    def test_a_protocol_with_buffers_of_its_own(self) -> None:
        protocol = Filled()
        FakeTransport(protocol).deliver(b"hello")
        self.assertEqual(protocol.seen, b"hello")

    def test_closing(self) -> None:
        for end in (FakeTransport.close, FakeTransport.abort):
            transport = connected(Echo())
            self.assertFalse(transport.is_closing())
            end(transport)
            self.assertTrue(transport.is_closing())
