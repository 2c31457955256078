"""ListGroups (16), versions 0 to 5: the groups that this server coordinates; clients ask all servers.

3 is flexible, 4 adds states and a filter by them, 5 types and a filter by them; filters ignore case, as in Kafka. While
one of the coordinators can't tell its groups the answer is an error and no list: a part would look like the whole. It
is COORDINATOR_LOAD_IN_PROGRESS or COORDINATOR_NOT_AVAILABLE, at which the Java client asks again.
"""

from collections.abc import Iterable
from typing import Any, Final

from server.api.context import GroupContext
from server.api.shape import Answer, Call
from server.coordinator import Coordinator
from server.group import ClassicGroup
from server.group_words import GroupState
from wire import messages
from wire.errors import ErrorCode

KEY: Final = 16


def handle(call: Call, request: Any, context: GroupContext) -> Answer:
    return answer(call.version, call.correlation_id, request, context.groups.all())


def answer(version: int, correlation_id: int, request: Any, coordinators: Iterable[Coordinator | ErrorCode]) -> bytes:
    """The whole frame; nothing waits."""
    code, groups = ErrorCode.NONE, list[ClassicGroup]()
    for coordinator in coordinators:
        if isinstance(coordinator, ErrorCode):
            is_loading = coordinator is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
            code = coordinator if is_loading else ErrorCode.COORDINATOR_NOT_AVAILABLE
        else:
            groups += coordinator.groups.values()
    listed = [] if code else [_listed(group) for group in groups if _is_asked(group, request)]
    values = {"throttle_time": 0, "error_code": code, "groups": listed}
    return messages.answer(correlation_id, messages.build(KEY, version, values))


def _is_asked(group: ClassicGroup, request: Any) -> bool:
    states = {state.lower() for state in getattr(request, "states_filter", ())}
    types = {type_.lower() for type_ in getattr(request, "types_filter", ())}
    is_there = group.state is not GroupState.DEAD or GroupState.DEAD.value.lower() in states
    return is_there and (not states or group.state.value.lower() in states) and (not types or group.type.value in types)


def _listed(group: ClassicGroup) -> dict[str, Any]:
    return {
        "group_id": group.group_id,
        "protocol_type": group.protocol_type or "",
        "group_state": group.state.value,
        "group_type": group.type.value,
    }
