"""What a server says to control and what Kafka's messages have no room for: the metadata poll, and how the last run
ended. Pure, and used by both ends (specs/cluster-rules.md, R3, R4, R9).

MetadataPoll is a message of ours, API 10000: a request header of version 1, then JSON. It says how far the server has
come, durably, and so acknowledges what it was told; its answer is parked until there is something newer. Kafka's
controllers replicate a log by Fetch instead (KIP-595), which a reader of tens of records a minute doesn't need.

StateOffer, API 10001, is the way back (R5): a server whose registration was refused, for control is none or has lost
its state, offers the copy that it keeps, as JSON behind a request header of version 1. It is not answered: control
breaks the connection off when the server had better register again.

BrokerRegistration is Kafka's, version 4, with one tagged field more: `Stop`, tag 10000, a word in UTF-8. Kafka tells
only a clean stop from others, by leaving out `previous_broker_epoch`; here that epoch is always sent, since it is how a
restored copy of a disk is found out. Who doesn't know the tag skips it (KIP-482).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple, cast
from uuid import UUID

from wire import frames, messages
from wire.cluster import Record
from wire.decoding import entity_reader
from wire.packing import tagged
from wire.primitives import Data, Reader, WireError
from wire.schemas import message_class
from wire.versions import BROKER_REGISTRATION, METADATA_POLL, STATE_OFFER

REGISTRATION_VERSION: Final = 4
POLL_VERSION: Final = 0
OFFER_VERSION: Final = 0
STOP_TAG: Final = 10_000
"""Our own tags start here; Kafka's stay below a hundred."""
POLL_TIMEOUT_S: Final = 10.0
"""How long control keeps a poll without news. Half a minute would do for a live peer; an open connection to a machine
that is gone should be found out sooner."""


class Stop(StrEnum):
    """How a server's last run ended, by its own disk. `same_boot`: killed, but the kernel kept what was written."""

    CLEAN = "clean"
    SAME_BOOT = "same_boot"
    UNCLEAN = "unclean"


class Position(NamedTuple):
    """How far the cluster's records were applied; ordered, since a new control begins a new generation (R4)."""

    generation: int
    version: int


@dataclass(frozen=True, slots=True)
class Update:
    """The answer to a poll: `records` lead to `at` from the position that was asked with, or, where `snapshot` isn't
    None, from that snapshot. Nothing new: the position asked with, and no records."""

    at: Position
    records: Sequence[Record] = ()
    snapshot: Sequence[Record] | None = None


@dataclass(frozen=True, slots=True)
class Registration:
    """`incarnation` and `directory` are 32 hex digits. `previous_epoch`: the last broker epoch that the disk knows, -1
    for an empty disk."""

    node_id: int
    cluster_id: str
    incarnation: str
    directory: str
    previous_epoch: int
    stop: Stop
    listeners: Mapping[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])
    rack: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server knows of the cluster: `records` make all of it at `at`. The rest is its own, as it registers;
    `epoch` is the last one granted, which may be above the copy's."""

    at: Position
    records: Sequence[Record]
    epoch: int
    incarnation: str
    directory: str


# --- the metadata poll ----------------------------------------------------------------------------------


def poll_request(correlation_id: int, client_id: str | None, at: Position) -> bytes:
    """A whole request frame: everything up to `at` is applied here, durably."""
    return frames.request_frame(METADATA_POLL, POLL_VERSION, correlation_id, client_id, _json(at._asdict()))


def read_poll(frame: Data, at: int) -> Position:
    """The request whose body begins at `at` (`RequestHead.at`). Raises WireError."""
    return _position(_object(frame, at))


def poll_answer(correlation_id: int, update: Update) -> bytes:
    """A whole answer frame, with a response header of version 0."""
    snapshot = None if update.snapshot is None else list(update.snapshot)
    body = update.at._asdict() | {"snapshot": snapshot, "records": list(update.records)}
    return frames.response_frame(correlation_id, 0, _json(body))


def read_update(frame: Data, at: int) -> Update:
    """The answer whose body begins at `at`. Raises WireError. Whether the records make sense is `wire.cluster`'s."""
    body = _object(frame, at)
    snapshot = None if body.get("snapshot") is None else _records(body["snapshot"])
    return Update(_position(body), _records(body.get("records", [])), snapshot)


def offer_request(correlation_id: int, client_id: str | None, offer: Offer) -> bytes:
    """A whole request frame, to which there is no answer."""
    own = {"epoch": offer.epoch, "incarnation": offer.incarnation, "directory": offer.directory}
    body = _json(offer.at._asdict() | own | {"records": list(offer.records)})
    return frames.request_frame(STATE_OFFER, OFFER_VERSION, correlation_id, client_id, body)


def read_offer(frame: Data, at: int) -> Offer:
    """The request whose body begins at `at`. Raises WireError. Whether the records make sense is `wire.cluster`'s."""
    body = _object(frame, at)
    epoch, incarnation, directory = (body.get(name) for name in ("epoch", "incarnation", "directory"))
    if type(epoch) is not int or type(incarnation) is not str or type(directory) is not str:
        raise WireError("an offer from nobody")
    return Offer(_position(body), _records(body.get("records")), epoch, incarnation, directory)


# --- registration ---------------------------------------------------------------------------------------


def registration_request(correlation_id: int, client_id: str | None, what: Registration) -> bytes:
    """A whole request frame of BrokerRegistration."""
    values = {
        "broker_id": what.node_id,
        "cluster_id": what.cluster_id,
        "incarnation_id": UUID(what.incarnation),
        "listeners": [
            {"name": name, "host": host, "port": port, "security_protocol": 0}
            for name, (host, port) in what.listeners.items()
        ],
        "features": [],
        "rack": what.rack,
        "log_dirs": [UUID(what.directory)],
        "previous_broker_epoch": what.previous_epoch,
    }
    message = messages.build(BROKER_REGISTRATION, REGISTRATION_VERSION, values, "request")
    body = with_tag(messages.encode(message), STOP_TAG, what.stop.encode())
    return frames.request_frame(BROKER_REGISTRATION, REGISTRATION_VERSION, correlation_id, client_id, body)


def read_registration(version: int, frame: Data, at: int) -> Registration:
    """The request whose body begins at `at`. A missing or strange `Stop` is unclean, the careful choice. Raises
    WireError, also for a version without the directory's id."""
    reader = KeepingReader(frame, at)
    message: Any = entity_reader(message_class(BROKER_REGISTRATION, version, "request")).read(reader)
    reader.expect_end()
    directories = getattr(message, "log_dirs", ())
    if len(directories) != 1 or None in (directories[0], message.incarnation_id):
        raise WireError("a registration needs an incarnation and one directory")
    return Registration(
        node_id=message.broker_id,
        cluster_id=message.cluster_id,
        incarnation=message.incarnation_id.hex,
        directory=directories[0].hex,
        previous_epoch=getattr(message, "previous_broker_epoch", -1),
        stop=_stop(reader.kept.get(STOP_TAG)),
        listeners={listener.name: (listener.host, listener.port) for listener in message.listeners},
        rack=message.rack,
    )


def with_tag(body: bytes, tag: int, value: bytes) -> bytes:
    """A flexible message's body with one tagged field more; it must end with none, as kio writes most."""
    assert body.endswith(b"\x00"), "it has tagged fields already"
    return body[:-1] + b"\x01" + tagged(tag, value)


class KeepingReader(Reader):
    """Keeps the tagged fields of ours, which the schemas don't know, by tag."""

    __slots__ = ("kept",)

    def __init__(self, data: Data, at: int = 0) -> None:
        super().__init__(data, at)
        self.kept: dict[int, bytes] = {}

    def tag(self) -> tuple[int, int]:
        tag, end = super().tag()
        if tag >= STOP_TAG:
            self.kept[tag] = bytes(self._data[self.at : end])
        return tag, end


def _stop(raw: bytes | None) -> Stop:
    try:
        return Stop((raw or b"").decode("ascii"))
    except ValueError:
        return Stop.UNCLEAN


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _object(frame: Data, at: int) -> Mapping[str, Any]:
    try:
        body: Any = json.loads(bytes(frame[at:]))
    except (ValueError, RecursionError):
        raise WireError("a poll that isn't JSON") from None
    if not isinstance(body, dict):
        raise WireError("a poll that isn't an object")
    return cast("Mapping[str, Any]", body)


def _position(body: Mapping[str, Any]) -> Position:
    generation, version = body.get("generation"), body.get("version")
    if type(generation) is not int or type(version) is not int:
        raise WireError("a poll without generation and version")
    return Position(generation, version)


def _records(raw: Any) -> list[Record]:
    if not isinstance(raw, list) or not all(isinstance(record, dict) for record in cast("list[Any]", raw)):
        raise WireError("records that aren't a list of objects")
    return cast("list[Record]", raw)
