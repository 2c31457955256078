"""ApiVersions (18), versions 0 to 4: what is spoken here. The first request of nearly every client.

3 is flexible and brings the client's name, which must look like one (KIP-511); 4 lets features begin at 0, of which
there are none. The answer's header is always of version 0, since who asks doesn't know yet what is spoken. A version
that isn't known gets the body of version 0 with UNSUPPORTED_VERSION and the list all the same, so that the client can
ask again; read as another version, it would make no sense to anyone. Works before a login.
"""

import re
from functools import cache
from struct import Struct
from typing import Any, Final

from server.api.shape import Answer, Call
from wire.errors import ErrorCode
from wire.frames import response_frame
from wire.packing import array_head
from wire.versions import ADVERTISED

KEY: Final = 18
THROTTLE_FROM: Final = 1
FLEXIBLE_FROM: Final = 3


def handle(call: Call, request: Any, context: object) -> Answer:
    return answer(
        call.version, call.correlation_id, _check(request) if call.version >= FLEXIBLE_FROM else ErrorCode.NONE
    )


def answer(version: int, correlation_id: int, code: ErrorCode = ErrorCode.NONE) -> bytes:
    """The whole frame. Told of a bad request, Kafka lists nothing."""
    return response_frame(correlation_id, 0, _body(version, code))


def unsupported(correlation_id: int) -> bytes:
    """The answer to a version that isn't served: it can't even be read."""
    return answer(0, correlation_id, ErrorCode.UNSUPPORTED_VERSION)


def _check(request: Any) -> ErrorCode:
    names = (request.client_software_name, request.client_software_version)
    return ErrorCode.NONE if all(map(_NAME.fullmatch, names)) else ErrorCode.INVALID_REQUEST


@cache
def _body(version: int, code: ErrorCode) -> bytes:
    apis = () if code is ErrorCode.INVALID_REQUEST else ADVERTISED
    compact = version >= FLEXIBLE_FROM
    end = b"\x00" if compact else b""
    return b"".join((
        _CODE.pack(code),
        array_head(len(apis), compact),
        *(_RANGE.pack(*api) + end for api in apis),
        _THROTTLE.pack(0) if version >= THROTTLE_FROM else b"",
        end,  # no tags: nothing is said of features, which is allowed
    ))  # fmt: skip


_NAME: Final = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?")
"""ApiVersionsRequest.SOFTWARE_NAME_VERSION_PATTERN."""
_CODE: Final = Struct(">h")
_RANGE: Final = Struct(">hhh")
_THROTTLE: Final = Struct(">i")
