"""A replica's log: a JSON object a line to stderr, with the keys of the front door's logs. Stdlib only."""

import json
import logging
import sys
import time
from typing import Any, TextIO


class JsonLines(logging.Formatter):
    """`fields` are on every line; those of one line come as `extra={"fields": {...}}`."""

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__()
        self._fields = fields

    def format(self, record: logging.LogRecord) -> str:
        second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            **self._fields,
            **getattr(record, "fields", {}),
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "timestamp": f"{second}.{int(record.msecs):03d}Z",
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure(fields: dict[str, Any], stream: TextIO | None = None) -> None:
    """All logging of this process from here on. A line that can't be written is dropped."""
    logging.raiseExceptions = False
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines(fields))
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.INFO)
