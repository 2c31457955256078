"""The queue's numbers in Prometheus's text format, under the names that Kafka's users have dashboards for. Pure.

The names are those that the JMX exporter's rules for Kafka give to a broker's own (`kafka_<type>_<name>`, lower case),
so a dashboard made for Kafka shows ours; those of groups are of danielqsj/kafka_exporter. As with Kafka, a family by
topic also has one sample without the label, of all topics together, those included that are gone.

A group's lag is told where one server leads both, the group's partition of `__consumer_offsets` and the partition that
is read: only there are both numbers known. Elsewhere the committed offset is told alone, and PromQL knows the rest:

    max by (topic, partition) (kafka_log_log_logendoffset)
    - on (topic, partition) group_right kafka_consumergroup_current_offset

What holds: series are bounded whatever clients create: the first MAX_TOPICS topics, MAX_PARTITIONS partitions and
MAX_OFFSETS offsets of groups in the order of their names, and a count of what was left out.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Final

from server.broker import Broker
from server.exposition import family, gauge, labels
from server.partition import Partition, Role
from server.traffic import BOUNDS_S, ApiTraffic, Requests, Times, TopicTraffic
from wire.errors import ErrorCode
from wire.versions import APIS, FETCH

MAX_TOPICS: Final = 500
MAX_PARTITIONS: Final = 2_000
MAX_OFFSETS: Final = 2_000
"""With these a scrape is some hundred kB, made within tens of ms; Prometheus's own advice is below 10 000 series for
each target."""

BROKER_TOPIC: Final = "kafka_server_brokertopicmetrics"
MANAGER: Final = "kafka_server_replicamanager"
REQUEST: Final = "kafka_network_requestmetrics"
LOG: Final = "kafka_log_log"
FLUSH: Final = "kafka_log_logflushstats_logflushrateandtimems"
UNCLEANABLE: Final = "kafka_log_logcleanermanager_uncleanable_partitions_count"
GROUP: Final = "kafka_consumergroup"


def metrics_text(broker: Broker, requests: Requests, flushes: Times) -> str:
    """All families; those of which there is nothing yet are left out."""
    parts = _topics(broker), _replicas(broker), _requests(requests), _flushes(flushes), _logs(broker), _groups(broker)
    return "".join(parts)


def _topics(broker: Broker) -> str:
    left_out = max(0, len(broker.traffic) - MAX_TOPICS)
    return "".join(
        (
            _by_topic(broker, "messagesin", "Messages appended by producers.", lambda traffic: traffic.messages_in),
            _by_topic(broker, "bytesin", "Bytes appended by producers.", lambda traffic: traffic.bytes_in),
            _by_topic(broker, "bytesout", "Bytes fetched by consumers.", lambda traffic: traffic.bytes_out),
            gauge("carousel_queue_topics_left_out", "Topics without series of their own.", left_out),
        )
    )


def _by_topic(broker: Broker, name: str, text: str, count: Callable[[TopicTraffic], int]) -> str:
    known = broker.traffic
    of_all = sum(map(count, known.values())) + count(broker.traffic_gone)
    told = [(labels({"topic": topic}), count(known[topic])) for topic in sorted(known)[:MAX_TOPICS]]
    return family(f"{BROKER_TOPIC}_{name}_total", "counter", text, [("", of_all), *told])


def _replicas(broker: Broker) -> str:
    held = broker.held()
    led = [partition for partition in held if partition.role is Role.LEADER]
    short = sum(len(partition.isr) < len(partition.replicas) for partition in led)
    offline = sum(_is_offline(partition) for partition in held)
    return "".join(
        (
            gauge(f"{MANAGER}_leadercount", "Partitions led.", len(led)),
            gauge(f"{MANAGER}_partitioncount", "Partitions held.", len(held)),
            gauge(f"{MANAGER}_underreplicatedpartitions", "Led ones whose ISR lacks a replica.", short),
            gauge(f"{MANAGER}_offlinereplicacount", "Held ones whose disk failed.", offline),
        )
    )


def _is_offline(partition: Partition) -> bool:
    log = partition.log
    return partition.open_error is not None or (log is not None and log.failure is not None)


# --- requests and syncs ----------------------------------------------------------------------------------------------


def _requests(requests: Requests) -> str:
    named = list(_named(requests))
    counts = [(labels({"request": name}), traffic.requests) for name, traffic in named]
    times = [sample for name, traffic in named for sample in _histogram({"request": name}, traffic.times)]
    text = "Milliseconds from a request's arrival to its answer, waiting included."
    return family(f"{REQUEST}_requests_total", "counter", "Requests by API.", counts) + family(
        f"{REQUEST}_totaltimems", "histogram", text, times
    )


def _named(requests: Requests) -> Iterator[tuple[str, ApiTraffic]]:
    for (api_key, of_servers), traffic in requests.all():
        name = APIS[api_key].name.title().replace("_", "")
        if api_key == FETCH:
            name = "FetchFollower" if of_servers else "FetchConsumer"
        yield name, traffic


def _histogram(name: Mapping[str, str], times: Times) -> Iterator[tuple[str, float]]:
    for bound_s, below in zip((*BOUNDS_S, float("inf")), accumulate(times.classes), strict=True):
        bound = "+Inf" if bound_s == float("inf") else f"{bound_s * 1000:g}"
        yield "_bucket" + labels({**name, "le": bound}), below
    yield "_sum" + labels(name), round(times.sum_s * 1000, 3)
    yield "_count" + labels(name), times.count


def _flushes(flushes: Times) -> str:
    return family(FLUSH, "histogram", "Milliseconds of a log's sync to disk.", _histogram({}, flushes))


# --- logs ------------------------------------------------------------------------------------------------------------


def _logs(broker: Broker) -> str:
    held = [(partition, partition.log) for partition in broker.held() if partition.log is not None]
    told = [(labels({"topic": p.topic, "partition": p.number}), log) for p, log in held[:MAX_PARTITIONS]]
    left_out = max(0, len(held) - MAX_PARTITIONS)
    starts = [(name, log.log_start) for name, log in told]
    ends = [(name, log.end_offset) for name, log in told]
    return "".join(
        (
            family(f"{LOG}_size", "gauge", "Bytes of its segments.", [(name, log.size_bytes) for name, log in told]),
            family(f"{LOG}_logstartoffset", "gauge", "The first offset.", starts),
            family(f"{LOG}_logendoffset", "gauge", "The next offset.", ends),
            gauge(UNCLEANABLE, "Logs that can't be compacted.", sum(log.is_uncleanable for _, log in held)),
            gauge("carousel_queue_partitions_left_out", "Those without series.", left_out),
        )
    )


# --- groups ----------------------------------------------------------------------------------------------------------


def _groups(broker: Broker) -> str:
    committed = sorted(_committed(broker))
    offsets: list[tuple[str, float]] = []
    lags: list[tuple[str, float]] = []
    for group, topic, number, offset in committed[:MAX_OFFSETS]:
        name = labels({"consumergroup": group, "topic": topic, "partition": number})
        offsets.append((name, offset))
        partition = broker.find(topic, number)
        if partition is not None and partition.role is Role.LEADER and partition.log is not None:
            lags.append((name, max(0, partition.high_watermark - offset)))
    text = "Messages behind the high watermark, where this server leads the group and the partition."
    return "".join(
        (
            family(f"{GROUP}_current_offset", "gauge", "Committed, by the groups led here.", offsets),
            family(f"{GROUP}_lag", "gauge", text, lags),
            gauge("carousel_queue_offsets_left_out", "Those without series.", max(0, len(committed) - MAX_OFFSETS)),
        )
    )


def _committed(broker: Broker) -> Iterator[tuple[str, str, int, int]]:
    for coordinator in broker.groups.all():
        if isinstance(coordinator, ErrorCode):
            continue
        for group, offsets in coordinator.committed():
            for topic, partitions in offsets.all():
                for number, value in partitions.items():
                    yield group, topic, number, value.offset
