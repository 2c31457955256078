"""Which cluster a command speaks to: the one named, else the running system's."""

import http.client
import json
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

from dotenv import dotenv_values

TIMEOUT_S: Final = 10.0
NAMING: Final = "name a cluster by --bootstrap HOST:PORT or QUEUE_BOOTSTRAP, or a system by --state-dir or --url"


class NotFound(Exception):
    """No cluster; the text says what to do."""


def state_dir_here() -> Path:
    """Where `carousel up` would run here, as far as .env says it; without it, `var`."""
    return Path(dotenv_values(".env").get("CAROUSEL_STATE_DIR") or "var")


def url_in(state_dir: Path) -> str:
    """The address of the system that runs there, the admin port before the main one. Raises NotFound."""
    try:
        ports: dict[str, Any] = json.loads((state_dir / "ports.json").read_text())
        host = urlsplit(str(ports["url"])).hostname or "127.0.0.1"
        return f"http://{f'[{host}]' if ':' in host else host}:{ports.get('admin') or ports['main']}"
    except (OSError, ValueError, KeyError, TypeError):
        raise NotFound(f"no system runs in {state_dir}: start one with `carousel up`; or {NAMING}") from None


def bootstrap_at(url: str) -> str:
    """What GET /admin/cluster says at http://HOST:PORT. Raises NotFound."""
    cluster = _cluster(url)
    queue = cluster.get("queue")
    if not isinstance(queue, dict):
        raise NotFound(f"the system at {url} has no queue: start it with --queue-port 0; or {NAMING}")
    found = cast("dict[str, Any]", queue).get("bootstrap")
    if not found:
        raise NotFound(f"no server of the queue at {url} is ready yet: see `carousel status`, and try again")
    return str(found)


def _message(found: Any) -> str:
    told: Any = cast("dict[str, Any]", found).get("message", found) if isinstance(found, dict) else found
    return str(told).removeprefix("<Error> ")


def _cluster(url: str) -> dict[str, Any]:
    try:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=TIMEOUT_S)
        try:
            connection.request("GET", "/admin/cluster", headers={"Accept": "application/json"})
            answer = connection.getresponse()
            status, found = answer.status, json.loads(answer.read())
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        raise NotFound(f"no answer from {url}: {error or error.__class__.__name__}; {NAMING}") from None
    except ValueError:
        raise NotFound(f"{url} is no front door of Carousel; {NAMING}") from None
    if status != 200 or not isinstance(found, dict):
        raise NotFound(f"{url}/admin/cluster answered {status}: {_message(found)}; try again, or {NAMING}")
    return cast("dict[str, Any]", found)
