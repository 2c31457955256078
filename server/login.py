"""Who has yet to prove that it belongs to the cluster: the server's side of `wire.cluster_login`. Pure.

On the internal listener nothing else is answered before (but ApiVersions, as in Kafka): whoever may fetch as a replica
can move HW (cluster-rules R9).
"""

from typing import Any, Final

from server.api import k18_api_versions
from wire import messages
from wire.cluster_login import MECHANISM, authenticated_node
from wire.errors import ErrorCode
from wire.frames import RequestHead
from wire.primitives import WireError
from wire.versions import API_VERSIONS, SASL_AUTHENTICATE, SASL_HANDSHAKE

NO_EXPIRY: Final = 0


class ClusterLogin:
    """One connection's login. `node_id` is who it is, once `is_done`."""

    def __init__(self, secret: str) -> None:
        self.is_done = False
        self.node_id: int | None = None
        self._secret = secret
        self._has_agreed = False

    def answer(self, head: RequestHead, frame: memoryview) -> bytes:
        """The answer to one request of it. Raises WireError for anything else, and for a wrong secret: who has it once
        has it always, so there is nobody to explain it to."""
        if head.api_key == API_VERSIONS:
            return self._versions(head)
        if head.at is None or head.api_key not in (SASL_HANDSHAKE, SASL_AUTHENTICATE):
            raise WireError(f"API {head.api_key} before a login")
        request = messages.decode(head.api_key, head.version, frame, head.at)
        if head.api_key == SASL_HANDSHAKE:
            return self._handshake(head, request)
        return self._authenticate(head, request)

    def _versions(self, head: RequestHead) -> bytes:
        if head.at is None:
            return k18_api_versions.unsupported(head.correlation_id)
        return k18_api_versions.answer(head.version, head.correlation_id)

    def _handshake(self, head: RequestHead, request: Any) -> bytes:
        self._has_agreed = request.mechanism == MECHANISM
        code = ErrorCode.NONE if self._has_agreed else ErrorCode.UNSUPPORTED_SASL_MECHANISM
        values = {"error_code": code, "mechanisms": [MECHANISM]}
        return messages.answer(head.correlation_id, messages.build(SASL_HANDSHAKE, head.version, values))

    def _authenticate(self, head: RequestHead, request: Any) -> bytes:
        node_id = authenticated_node(bytes(request.auth_bytes), self._secret) if self._has_agreed else None
        if node_id is None:
            raise WireError("a login that isn't the cluster's")
        self.node_id, self.is_done = node_id, True
        values = {"error_code": ErrorCode.NONE, "error_message": None, "auth_bytes": b"", "session_lifetime": NO_EXPIRY}
        return messages.answer(head.correlation_id, messages.build(SASL_AUTHENTICATE, head.version, values))
