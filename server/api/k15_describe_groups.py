"""DescribeGroups (15), versions 0 to 6: state and members of groups, as this coordinator knows them.

3 adds the authorized operations (there are no ACLs: all that exist for a group), 4 the instance id, 5 is flexible, 6
says GROUP_ID_NOT_FOUND for a group that doesn't exist; before, it is described as Dead. Metadata and assignments are
told of a stable group only, as in Kafka: before, they aren't settled.
"""

from collections.abc import Callable
from typing import Any, Final

from server.api.context import GroupContext
from server.api.shape import Answer, Call
from server.group import ClassicGroup
from server.group_words import GroupState
from server.members import Member
from wire import messages
from wire.errors import ErrorCode

KEY: Final = 15
NOT_FOUND_FROM: Final = 6

GROUP_OPERATIONS: Final = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11
"""Bits of AclOperation: READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS (AclEntry.supportedOperations)."""

NOT_ASKED: Final = -(1 << 31)

Look = Callable[[str], ClassicGroup | ErrorCode]
"""A group, or why it can't be told (GROUP_ID_NOT_FOUND among others)."""


def handle(call: Call, request: Any, context: GroupContext) -> Answer:
    def look(group_id: str) -> ClassicGroup | ErrorCode:
        coordinator = context.groups.find(group_id)
        return coordinator if isinstance(coordinator, ErrorCode) else coordinator.group_of(group_id)

    return answer(call.version, call.correlation_id, request, look)


def answer(version: int, correlation_id: int, request: Any, look: Look) -> bytes:
    """The whole frame; nothing waits."""
    named = dict.fromkeys(request.groups)  # each once: a name takes some bytes, its description may take a megabyte
    operations = GROUP_OPERATIONS if getattr(request, "include_authorized_operations", False) else NOT_ASKED
    groups = [{**_described(version, name, look(name)), "authorized_operations": operations} for name in named]
    return messages.answer(correlation_id, messages.build(KEY, version, {"throttle_time": 0, "groups": groups}))


def _described(version: int, name: str, group: ClassicGroup | ErrorCode) -> dict[str, Any]:
    if isinstance(group, ErrorCode):
        return _missing(version, name, group)
    is_stable = group.state is GroupState.STABLE
    protocol = group.protocol or "" if is_stable else ""
    return {
        "error_code": ErrorCode.NONE,
        "error_message": None,
        "group_id": name,
        "group_state": group.state.value,
        "protocol_type": group.protocol_type or "",
        "protocol_data": protocol,
        "members": [_member(member, protocol, is_stable) for member in group.roster.members.values()],
    }


def _missing(version: int, name: str, code: ErrorCode) -> dict[str, Any]:
    is_unknown = code is ErrorCode.GROUP_ID_NOT_FOUND
    return {
        "error_code": ErrorCode.NONE if is_unknown and version < NOT_FOUND_FROM else code,
        "error_message": f"Group {name} not found." if is_unknown else None,
        "group_id": name,
        "group_state": GroupState.DEAD.value if is_unknown else "",
        "protocol_type": "",
        "protocol_data": "",
        "members": [],
    }


def _member(member: Member, protocol: str, is_stable: bool) -> dict[str, Any]:
    return {
        "member_id": member.member_id,
        "group_instance_id": member.instance_id,
        "client_id": member.client_id,
        "client_host": member.client_host,
        "member_metadata": member.metadata(protocol) if is_stable else b"",
        "member_assignment": member.assignment if is_stable else b"",
    }
