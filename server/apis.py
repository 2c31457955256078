"""Which module answers which API: the registry. Pure.

A module has `KEY`, `handle(call, request, context)`, and `decode(version, frame, at)` if it is hot enough to read its
requests itself. Versions are in `wire.versions`, and nowhere else.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

from server.api import (
    k00_produce,
    k01_fetch,
    k02_list_offsets,
    k03_metadata,
    k08_offset_commit,
    k09_offset_fetch,
    k10_find_coordinator,
    k11_join_group,
    k12_heartbeat,
    k13_leave_group,
    k14_sync_group,
    k15_describe_groups,
    k16_list_groups,
    k18_api_versions,
    k19_create_topics,
    k20_delete_topics,
    k21_delete_records,
    k22_init_producer_id,
    k23_offset_for_leader_epoch,
    k32_describe_configs,
    k33_alter_configs,
    k35_describe_log_dirs,
    k37_create_partitions,
    k42_delete_groups,
    k43_elect_leaders,
    k44_incremental_alter_configs,
    k47_offset_delete,
    k60_describe_cluster,
    k75_describe_topic_partitions,
)
from server.api.shape import Answer, Call, Later, LazyAnswer
from wire import messages

Answered = Answer | Later | LazyAnswer


class Api(NamedTuple):
    """How one API's requests are read and answered."""

    decode: Callable[[int, memoryview, int], Any]
    handle: Callable[[Call, Any, Any], Answered]


MODULES: tuple[ModuleType, ...] = (
    k00_produce,
    k01_fetch,
    k02_list_offsets,
    k03_metadata,
    k08_offset_commit,
    k09_offset_fetch,
    k10_find_coordinator,
    k11_join_group,
    k12_heartbeat,
    k13_leave_group,
    k14_sync_group,
    k15_describe_groups,
    k16_list_groups,
    k18_api_versions,
    k19_create_topics,
    k20_delete_topics,
    k21_delete_records,
    k22_init_producer_id,
    k23_offset_for_leader_epoch,
    k32_describe_configs,
    k33_alter_configs,
    k35_describe_log_dirs,
    k37_create_partitions,
    k42_delete_groups,
    k43_elect_leaders,
    k44_incremental_alter_configs,
    k47_offset_delete,
    k60_describe_cluster,
    k75_describe_topic_partitions,
)


def registry(modules: Iterable[Any] = MODULES) -> Mapping[int, Api]:
    """By API key."""
    return {
        module.KEY: Api(getattr(module, "decode", partial(messages.decode, module.KEY)), module.handle)
        for module in modules
    }
