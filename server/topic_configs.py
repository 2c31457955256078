"""Which value of a setting holds, and where it comes from, as DescribeConfigs tells it (KIP-226). Pure.

For a topic, the first of: its own setting; the default set for this server, then that for all, at run time (by the
broker's name, and kept by control); what the server was started with; Kafka's default.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

from server.broker_configs import BROKER_CONFIGS
from wire.cluster import Image
from wire.topic_configs import TOPIC_CONFIGS, TOPIC_DEFAULTS, ConfigKey


class Source(IntEnum):
    """DescribeConfigsResponse.ConfigSource."""

    TOPIC = 1
    DYNAMIC_BROKER = 2
    DYNAMIC_DEFAULT = 3
    STATIC_BROKER = 4
    DEFAULT = 5


class Synonym(NamedTuple):
    """A value under one of the names that it can be set by."""

    name: str
    value: str
    source: Source


class Described(NamedTuple):
    """A setting: `synonyms` are all values that are set, the one that holds first."""

    key: ConfigKey
    name: str
    synonyms: list[Synonym]
    is_read_only: bool


def topic_settings(image: Image, node_id: int, started_with: Mapping[str, str], topic: str) -> list[Described]:
    """All settings of a topic that is in `image`."""
    own = image.topics[topic].configs
    return [
        Described(key, name, _own(name, own) + _defaults(image, node_id, started_with, key), False)
        for name, key in TOPIC_CONFIGS.items()
    ]


def broker_settings(image: Image, node_id: int, started_with: Mapping[str, str]) -> list[Described]:
    """All settings of this server, by name; what is neither known nor has a default isn't there."""
    found = [
        Described(key, name, _defaults(image, node_id, started_with, key), False)
        for name, key in TOPIC_DEFAULTS.items()
    ]
    for name, key in BROKER_CONFIGS.items():
        value = started_with.get(name)
        if value is not None:
            found.append(Described(key, name, [Synonym(name, value, Source.STATIC_BROKER)], True))
        elif key.default:
            found.append(Described(key, name, [Synonym(name, key.default, Source.DEFAULT)], True))
    return sorted(found, key=lambda described: described.name)


def default_settings(image: Image) -> list[Described]:
    """What was set for all servers at run time."""
    return [
        Described(TOPIC_DEFAULTS[name], name, [Synonym(name, value, Source.DYNAMIC_DEFAULT)], False)
        for name, value in sorted(image.configs.get(None, {}).items())
        if name in TOPIC_DEFAULTS
    ]


def _own(name: str, configs: Mapping[str, str]) -> list[Synonym]:
    return [Synonym(name, configs[name], Source.TOPIC)] if name in configs else []


def _defaults(image: Image, node_id: int, started_with: Mapping[str, str], key: ConfigKey) -> list[Synonym]:
    name = key.broker_name
    if name is None:
        return [Synonym(key.name, key.default, Source.DEFAULT)]
    places = (
        (image.configs.get(node_id, {}), Source.DYNAMIC_BROKER),
        (image.configs.get(None, {}), Source.DYNAMIC_DEFAULT),
        (started_with, Source.STATIC_BROKER),
    )
    given = [Synonym(name, configs[name], source) for configs, source in places if name in configs]
    return [*given, Synonym(name, key.default, Source.DEFAULT)]
