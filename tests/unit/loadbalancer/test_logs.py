import io
import json
import unittest

import structlog

from loadbalancer.logs import configure, get_logger


class _Closed(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


class LogsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.addCleanup(structlog.reset_defaults)
        structlog.contextvars.clear_contextvars()  # what another test bound

    def test_a_line_is_one_json_object(self) -> None:
        stream = io.StringIO()
        configure("json", stream)
        get_logger("door-0").info("ejected", replica="S1", reason="refused")
        line = json.loads(stream.getvalue())
        self.assertEqual(
            (line["event"], line["process"], line["replica"], line["level"]), ("ejected", "door-0", "S1", "info")
        )
        self.assertIn("timestamp", line)

    def test_a_closed_terminal_stops_nothing(self) -> None:
        configure("json", _Closed())
        get_logger("supervisor").info("still here")

    def test_people_get_lines_without_braces(self) -> None:
        stream = io.StringIO()
        configure("console", stream)
        get_logger("control").info("dead", replica="S1")
        self.assertRegex(stream.getvalue(), r"^\d\d:\d\d:\d\d control    dead       S1\n$")

    def test_people_see_a_traceback_below_its_line(self) -> None:
        stream = io.StringIO()
        configure("console", stream)
        try:
            raise ValueError("boom")
        except ValueError:
            get_logger("control").exception("control failed", path="/add")
        first, *rest = stream.getvalue().splitlines()
        self.assertRegex(first, r"control    error: control failed path=/add$")
        self.assertEqual(rest[-1], "ValueError: boom")
