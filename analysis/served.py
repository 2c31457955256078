"""What a system under test is to its clients, wherever it runs: a port of this machine."""

import http.client
import json
from typing import Any


class Served:
    """Calls of the interface, through the published port."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, body: Any = None, timeout_s: float = 60.0) -> tuple[int, Any]:
        """(status, JSON or text) from the main port. Raises OSError or HTTPException."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            payload = response.read()
            return response.status, json.loads(payload) if payload[:1] in (b"{", b"[") else payload.decode()
        finally:
            connection.close()

    def names(self) -> list[str]:
        return self.call("GET", "/rep")[1]["message"]["replicas"]

    def cluster(self) -> dict[str, Any]:
        return self.call("GET", "/admin/cluster")[1]
