"""Which Kafka APIs and versions are spoken here, as data: what the queue advertises, and how headers look.

The mix equals one Kafka release, 4.3 (KIP-896 removed what is older): clients without a version table of their own
guess the broker's release from it, and none matches a mix of two. What is not done is not listed.
"""

from typing import Final, NamedTuple


class Api(NamedTuple):
    """One API: versions `lowest` to `highest` are served, those from `flexible_from` on have compact forms and tags."""

    key: int
    name: str  # kio's, in snake case
    lowest: int
    highest: int
    flexible_from: int | None


PRODUCE: Final = 0
FETCH: Final = 1
LIST_OFFSETS: Final = 2
METADATA: Final = 3
OFFSET_COMMIT: Final = 8
OFFSET_FETCH: Final = 9
FIND_COORDINATOR: Final = 10
JOIN_GROUP: Final = 11
HEARTBEAT: Final = 12
LEAVE_GROUP: Final = 13
SYNC_GROUP: Final = 14
DESCRIBE_GROUPS: Final = 15
LIST_GROUPS: Final = 16
SASL_HANDSHAKE: Final = 17
API_VERSIONS: Final = 18
CREATE_TOPICS: Final = 19
DELETE_TOPICS: Final = 20
DELETE_RECORDS: Final = 21
INIT_PRODUCER_ID: Final = 22
OFFSET_FOR_LEADER_EPOCH: Final = 23
DESCRIBE_CONFIGS: Final = 32
ALTER_CONFIGS: Final = 33
DESCRIBE_LOG_DIRS: Final = 35
SASL_AUTHENTICATE: Final = 36
CREATE_PARTITIONS: Final = 37
DELETE_GROUPS: Final = 42
ELECT_LEADERS: Final = 43
INCREMENTAL_ALTER_CONFIGS: Final = 44
OFFSET_DELETE: Final = 47
ALTER_PARTITION: Final = 56
DESCRIBE_CLUSTER: Final = 60
BROKER_REGISTRATION: Final = 62
BROKER_HEARTBEAT: Final = 63
ALLOCATE_PRODUCER_IDS: Final = 67
DESCRIBE_TOPIC_PARTITIONS: Final = 75
METADATA_POLL: Final = 10_000
"""Ours (`wire.cluster_link`): far above what Kafka gives away."""
STATE_OFFER: Final = 10_001
"""Ours, too."""

PUBLIC: Final = (
    Api(PRODUCE, "produce", 3, 13, 9),
    Api(FETCH, "fetch", 4, 18, 12),
    Api(LIST_OFFSETS, "list_offsets", 1, 11, 6),
    Api(METADATA, "metadata", 0, 13, 9),
    Api(OFFSET_COMMIT, "offset_commit", 2, 10, 8),
    Api(OFFSET_FETCH, "offset_fetch", 1, 10, 6),
    Api(FIND_COORDINATOR, "find_coordinator", 0, 6, 3),
    Api(JOIN_GROUP, "join_group", 0, 9, 6),
    Api(HEARTBEAT, "heartbeat", 0, 4, 4),
    Api(LEAVE_GROUP, "leave_group", 0, 5, 4),
    Api(SYNC_GROUP, "sync_group", 0, 5, 4),
    Api(DESCRIBE_GROUPS, "describe_groups", 0, 6, 5),
    Api(LIST_GROUPS, "list_groups", 0, 5, 3),
    Api(API_VERSIONS, "api_versions", 0, 4, 3),
    Api(CREATE_TOPICS, "create_topics", 2, 7, 5),
    Api(DELETE_TOPICS, "delete_topics", 1, 6, 4),
    Api(DELETE_RECORDS, "delete_records", 0, 2, 2),
    Api(INIT_PRODUCER_ID, "init_producer_id", 0, 5, 2),  # 6 is KIP-939, unstable in 4.3
    Api(OFFSET_FOR_LEADER_EPOCH, "offset_for_leader_epoch", 2, 4, 4),
    Api(DESCRIBE_CONFIGS, "describe_configs", 1, 4, 4),
    Api(ALTER_CONFIGS, "alter_configs", 0, 2, 2),
    Api(DESCRIBE_LOG_DIRS, "describe_log_dirs", 1, 5, 2),
    Api(CREATE_PARTITIONS, "create_partitions", 0, 3, 2),
    Api(DELETE_GROUPS, "delete_groups", 0, 2, 2),
    Api(ELECT_LEADERS, "elect_leaders", 0, 2, 2),
    Api(INCREMENTAL_ALTER_CONFIGS, "incremental_alter_configs", 0, 1, 1),
    Api(OFFSET_DELETE, "offset_delete", 0, 0, None),
    Api(DESCRIBE_CLUSTER, "describe_cluster", 0, 2, 0),
    Api(DESCRIBE_TOPIC_PARTITIONS, "describe_topic_partitions", 0, 0, 0),
)
"""What clients may ask."""

INTERNAL: Final = (
    Api(SASL_HANDSHAKE, "sasl_handshake", 0, 1, None),
    Api(SASL_AUTHENTICATE, "sasl_authenticate", 0, 2, 2),
    Api(ALTER_PARTITION, "alter_partition", 2, 3, 2),
    Api(BROKER_REGISTRATION, "broker_registration", 0, 4, 0),
    Api(BROKER_HEARTBEAT, "broker_heartbeat", 0, 2, 0),
    Api(ALLOCATE_PRODUCER_IDS, "allocate_producer_ids", 0, 0, 0),
)
"""What servers ask control and each other (specs/cluster-rules.md, R9); never advertised to clients."""

APIS: Final = {api.key: api for api in PUBLIC + INTERNAL}

ADVERTISED: Final = tuple((api.key, 0 if api.key == PRODUCE else api.lowest, api.highest) for api in PUBLIC)
"""(key, lowest, highest) for ApiVersions. Produce says 0, as Kafka 4 does, though 0 to 2 are refused: librdkafka
before 2.8 turns compression off for a broker that doesn't list it (KAFKA-18659, librdkafka #4956)."""


def is_flexible(api_key: int, version: int) -> bool:
    """Whether this version of a listed API has compact forms and tagged fields. Raises KeyError for another API."""
    since = APIS[api_key].flexible_from
    return since is not None and version >= since


REQUEST_HEADERS: Final = {
    (api.key, version): 2 if is_flexible(api.key, version) else 1
    for api in PUBLIC + INTERNAL
    for version in range(api.lowest, api.highest + 1)
} | {(METADATA_POLL, 0): 1, (STATE_OFFER, 0): 1}
"""The header version of each served (API key, version); what is missing here is not served."""


def response_header(api_key: int, version: int) -> int:
    """The header version of an answer. ApiVersions keeps 0: who asks doesn't know yet what is spoken (KIP-511)."""
    return int(api_key != API_VERSIONS and is_flexible(api_key, version))
