"""`server.logs`: lines that programs read, and that never stop the work."""

import io
import json
import logging
import unittest

from server.logs import JsonLines, configure


class Lines(unittest.TestCase):
    def setUp(self) -> None:
        handlers, level, raises = logging.root.handlers[:], logging.root.level, logging.raiseExceptions
        self.addCleanup(setattr, logging, "raiseExceptions", raises)
        self.addCleanup(logging.root.setLevel, level)
        self.addCleanup(logging.root.handlers.__setitem__, slice(None), handlers)

    def test_one_object_a_line(self) -> None:
        out = io.StringIO()
        configure({"process": "replica"}, out)
        logging.getLogger("a").info("up\non %s", "port", extra={"fields": {"port": 1}})
        logging.getLogger("a").debug("not shown")
        line = json.loads(out.getvalue())
        self.assertRegex(line.pop("timestamp"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(line, {"process": "replica", "port": 1, "event": "up\non port", "level": "info"})
        self.assertEqual(out.getvalue().count("\n"), 1)

    def test_exceptions_are_on_it(self) -> None:
        record = logging.LogRecord("a", logging.ERROR, "f", 1, "no", None, (ValueError, ValueError("why"), None))
        self.assertIn("ValueError: why", json.loads(JsonLines({}).format(record))["exception"])

    def test_a_stream_that_fails_is_let_be(self) -> None:
        class Full(io.StringIO):
            def write(self, _text: str) -> int:
                raise OSError(28, "No space left on device")

        configure({}, Full())
        logging.getLogger("a").info("lost")
