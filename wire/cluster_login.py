"""How a server proves that it belongs to the cluster, to control and to other servers: SASL PLAIN with the cluster's
secret (RFC 4616, KIP-43). Pure.

    SaslHandshake(17) version 1: "PLAIN"    SaslAuthenticate(36) version 2: \\0 node-<id> \\0 <secret>

The secret goes over a Unix socket, or the network that is the containers' own. One secret for all servers, since any
of them holds the cluster's data; the name must be the node that the peer then speaks for.
"""

import hmac
from typing import Any, Final

from wire import frames, messages
from wire.versions import SASL_AUTHENTICATE, SASL_HANDSHAKE

MECHANISM: Final = "PLAIN"
HANDSHAKE_VERSION: Final = 1
AUTHENTICATE_VERSION: Final = 2

_PREFIX: Final = "node-"


def handshake_request(correlation_id: int, client_id: str | None) -> bytes:
    """A whole request frame."""
    return _request(SASL_HANDSHAKE, HANDSHAKE_VERSION, correlation_id, client_id, {"mechanism": MECHANISM})


def authenticate_request(correlation_id: int, client_id: str | None, node_id: int, secret: str) -> bytes:
    """A whole request frame."""
    values = {"auth_bytes": f"\0{_PREFIX}{node_id}\0{secret}".encode()}
    return _request(SASL_AUTHENTICATE, AUTHENTICATE_VERSION, correlation_id, client_id, values)


def authenticated_node(auth_bytes: bytes, secret: str) -> int | None:
    """The node that speaks, by a SaslAuthenticate's `auth_bytes`; None: not one of ours. Takes the same time for any
    wrong secret."""
    parts = auth_bytes.split(b"\0")
    if len(parts) != 3 or not hmac.compare_digest(parts[2], secret.encode()):
        return None
    name = parts[1].decode("ascii", "replace")
    number = name.removeprefix(_PREFIX)
    return int(number) if name.startswith(_PREFIX) and number.isascii() and number.isdigit() else None


def refuses(answer: Any) -> str | None:
    """Why an answer to either request refuses; None: it doesn't."""
    if not answer.error_code:
        return None
    return getattr(answer, "error_message", None) or f"error {int(answer.error_code)}"


def _request(key: int, version: int, correlation_id: int, client_id: str | None, values: dict[str, Any]) -> bytes:
    body = messages.encode(messages.build(key, version, values, "request"))
    return frames.request_frame(key, version, correlation_id, client_id, body)
