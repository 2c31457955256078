"""Orders to the supervisor: what is read, and that nothing else gets through or falls over."""

import json
import signal
import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer import orders
from loadbalancer.orders import BadOrder, parse

SPAWN: dict[str, Any] = {
    "id": 4,
    "op": "spawn",
    "generation": 2,
    "name": "server1",
    "argv": ["python", "-m", "server"],
    "env": {"A": "b"},
    "cwd": None,
    "log_path": "/tmp/x.log",
    "meta": {"node_id": 7, "host": "h"},
    "socket": "listen",
}
SIGNAL = {
    "id": 5,
    "op": "signal",
    "generation": 2,
    "name": "server1",
    "pid": 77,
    "start_time": 123,
    "signal": "SIGTERM",
    "group": True,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def line(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields).encode()


class TestParse(unittest.TestCase):
    def test_spawn(self) -> None:
        request_id, order = parse(line(SPAWN))
        self.assertEqual(4, request_id)
        self.assertEqual(
            orders.SpawnReplica(
                generation=2,
                name="server1",
                argv=("python", "-m", "server"),
                env={"A": "b"},
                cwd=None,
                log_path="/tmp/x.log",
                meta={"node_id": 7, "host": "h"},
                listen=True,
            ),
            order,
        )

    def test_signal(self) -> None:
        expected = orders.SignalReplica(2, "server1", 77, 123, signal.SIGTERM, True)
        self.assertEqual((5, expected), parse(line(SIGNAL)))

    def test_the_short_ones(self) -> None:
        for fields, order in (
            ({"op": "hello", "generation": 3}, orders.Hello(3)),
            ({"op": "ready", "generation": 3, "replicas": 0}, orders.Ready(3, 0)),
            ({"op": "list"}, orders.ListChildren()),
            ({"op": "reload"}, orders.Reload()),
            ({"op": "shutdown", "unknown": 1}, orders.Shutdown()),
        ):
            with self.subTest(fields["op"]):
                self.assertEqual((None, order), parse(line(fields)))

    def test_each_fault_is_named(self) -> None:
        for field, value in (
            ("generation", -1),
            ("generation", True),
            ("generation", 2**63),
            ("name", "../x"),
            ("name", "a" * 64),
            ("argv", []),
            ("argv", [""]),
            ("argv", ["a", 1]),
            ("argv", ["a\0b"]),
            ("argv", ["a"] * 257),
            ("argv", ["\ud800"]),
            ("env", {"A=B": "c"}),
            ("env", {"A": 1}),
            ("env", []),
            ("cwd", "relative"),
            ("log_path", 1),
            ("meta", {"a": None}),
            ("meta", None),
            ("socket", "both"),
            ("socket", []),
        ):
            with self.subTest(field=field, value=value), self.assertRaisesRegex(BadOrder, field) as caught:
                parse(line({**SPAWN, field: value}))
            self.assertEqual(4, caught.exception.id)

    def test_signals_of_no_use_are_refused(self) -> None:
        for value in ("SIGSTOP", "SIGSEGV", 9, None):
            with self.subTest(value), self.assertRaises(BadOrder):
                parse(line({**SIGNAL, "signal": value}))

    def test_what_is_no_order(self) -> None:
        for raw in (b"", b"{", b"[]", b"1", b'{"op": "fork"}', b'{"op": []}', b"\xff", b"[" * 60000):
            with self.subTest(raw[:20]), self.assertRaises(BadOrder):
                parse(raw)

    @given(st.sampled_from(sorted(SPAWN)), JSON)
    def test_any_value_anywhere_is_taken_or_refused(self, field: str, value: Any) -> None:
        try:
            _, order = parse(line({**SPAWN, field: value}))
        except BadOrder:
            return
        self.assertIsInstance(order, orders.Order)

    @given(st.binary(max_size=200))
    def test_any_bytes_are_refused(self, raw: bytes) -> None:
        with self.assertRaises(BadOrder):
            parse(raw)


if __name__ == "__main__":
    unittest.main()
