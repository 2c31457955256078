"""A replica's settings: from its environment, which the spawner makes, and one flag. Pure.

By hand and not pydantic: its import alone costs more than a replica's whole start.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from server.replica import HOME_FORMAT, server_id


class SettingError(Exception):
    """A setting is wrong; the text names it, in one line."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`data_dir` None: nothing is kept. `cluster` and `node_id` None: whatever the directory says. `bootstrap`: where
    the queue's plain HTTP interface finds the Kafka protocol if this server has no listener of its own.
    `control_http`: where control makes topics for it (`server.rest.control_http`)."""

    identity: str
    home_format: str
    host: str
    port: int
    data_dir: str | None
    cluster: str | None
    node_id: int | None
    bootstrap: str | None = None
    control_http: str | None = None


def read_settings(environ: Mapping[str, str], hostname: str, data_dir: str | None) -> Settings:
    """The settings that `environ` holds; `data_dir` (the flag) goes before DATA_DIR. Raises SettingError."""
    node_id = environ.get("NODE_ID")
    return Settings(
        identity=server_id(environ, hostname),
        home_format=environ.get("HOME_FORMAT") or HOME_FORMAT,
        host=environ.get("HOST") or "127.0.0.1",
        port=_number("PORT", environ.get("PORT") or "5000", 65535),
        data_dir=data_dir or environ.get("DATA_DIR") or None,
        cluster=environ.get("CAROUSEL_CLUSTER") or None,
        node_id=_number("NODE_ID", node_id, 2**31 - 1) if node_id else None,
        bootstrap=environ.get("QUEUE_CLIENT_BOOTSTRAP") or None,
        control_http=environ.get("CONTROL_HTTP") or None,
    )


def _number(name: str, text: str, largest: int) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= largest):
        raise SettingError(f"{name} must be a whole number from 0 to {largest}, not {text!r}")
    return int(text)
