"""The way to control: one connection, dialled again whenever it ends. Over it the server proves who it is, registers,
is told of the cluster's records, says that it lives, and asks for what only control may decide (R3, R4, R9, R10).

    dial → login → BrokerRegistration → { MetadataPoll …, BrokerHeartbeat each second, questions }

What holds: a granted epoch and each update are on disk before anything is done with them, and before control hears that
they are; the next poll is that word. A server that has lost control goes on serving what it knows; it registers again,
as the same incarnation, when control is back. Everything that waits here is bounded (`server.asking`).
"""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Protocol

from server.aio.control_wire import ControlWire
from server.asking import Asking, Outcome, Question
from server.image import StaleUpdate, position_of
from wire import cluster_login, messages
from wire.cluster import Image
from wire.cluster_link import (
    POLL_TIMEOUT_S,
    REGISTRATION_VERSION,
    Offer,
    Registration,
    Update,
    offer_request,
    poll_request,
    read_update,
    registration_request,
)
from wire.errors import ErrorCode
from wire.frames import read_response_head, request_frame
from wire.primitives import WireError
from wire.versions import BROKER_HEARTBEAT, BROKER_REGISTRATION, SASL_AUTHENTICATE, SASL_HANDSHAKE, response_header

HEARTBEAT_VERSION: Final = 1
HEARTBEAT_S: Final = 1.0
ANSWER_S: Final = 5.0
"""A control that says nothing for so long is dialled anew; a busy one has been seen to take most of a second."""
OFFER_S: Final = 30.0
"""How long an offered copy stands before it is offered anew: a control that is gone doesn't say so over TCP."""
FIRST_DELAY_S: Final = 0.05
MAX_DELAY_S: Final = 1.0
"""Between dials, each at random between half of it and all: control's restart takes a second, and servers go on."""

SETTLE_S: Final = 1.0
"""How long the word that an update is applied waits for logs to be opened. Longer, and a log that takes a minute to
recover would keep from this server what control decides meanwhile."""

_log = logging.getLogger("carousel.control_link")


class LinkRefused(Exception):
    """Control has answered, and it was no: the text says to what and why."""


class Store(Protocol):
    """`server.disk.image_store.ImageStore`; called in a thread, one call at a time."""

    def store(self, image: Image, update: Update) -> Image: ...


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the server does, each on the loop. `granted` blocks on the disk and is called in a thread: the epoch is
    stored when it returns. `registered`: the epoch is this server's from now on. `applied`: act on this image.
    `lost`: control is away. `settled` calls back, once, when what was applied is served."""

    granted: Callable[[int], None]
    registered: Callable[[int], None]
    applied: Callable[[Image], None]
    lost: Callable[[], None]
    settled: Callable[[Callable[[], None]], None] = lambda done: done()


class ControlLink:
    """A `server.api.cluster_context.Control`. `address` is `unix:PATH` or `HOST:PORT`, `image` what is stored."""

    def __init__(
        self, address: str, secret: str, registration: Registration, image: Image, store: Store, hooks: Hooks
    ) -> None:
        self.image = image
        self.epoch = registration.previous_epoch
        self.is_up = False
        self._address = address
        self._secret = secret
        self._registration = registration
        self._store = store
        self._hooks = hooks
        self._asking = Asking()
        self._client_id = f"node-{registration.node_id}"
        self._expiry: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._wants_stop = False
        self._may_stop = asyncio.Event()
        self._taking: asyncio.Task[None] | None = None
        self._writing: asyncio.Future[Any] | None = None
        self._beat_now = asyncio.Event()

    # --- questions ----------------------------------------------------------------------------------------

    def ask(self, api_key: int, version: int, body: bytes, timeout_s: float, done: Callable[[Outcome], None]) -> None:
        """See `server.api.cluster_context.Control`."""
        deadline_s = self._loop.time() + timeout_s
        self._asking.ask(Question(api_key, version, body, deadline_s, done))
        if self._expiry is None or deadline_s < self._expiry.when():
            self._watch_expiry()

    def _watch_expiry(self) -> None:
        """Be called when the first question's time is over, or a little earlier, where that one was answered."""
        deadline_s = self._asking.next_deadline_s()
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = None if deadline_s is None else self._loop.call_at(deadline_s, self._expire)

    def _expire(self) -> None:
        self._asking.expire(self._loop.time())
        self._watch_expiry()

    # --- the connection -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled; and then until nothing is on its way to the disk any more, whose files are closed next."""
        try:
            await self._dial_for_ever()
        finally:
            under_way = [one for one in (self._taking, self._writing) if one is not None]
            if under_way:
                await asyncio.wait(under_way)

    async def _dial_for_ever(self) -> None:
        delay_s = FIRST_DELAY_S
        while True:
            try:
                await self._session()
            except (OSError, WireError, LinkRefused, TimeoutError, StaleUpdate, ValueError) as fault:
                _log.warning("control is away", extra={"fields": {"why": str(fault) or type(fault).__name__}})
            if self.is_up:
                delay_s = FIRST_DELAY_S
                self._lost()
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
            delay_s = min(MAX_DELAY_S, 2 * delay_s)

    async def leave(self, timeout_s: float) -> bool:
        """Ask to be let go, and wait until control has given this server's leaderships to others. False: it hasn't."""
        self._wants_stop = True
        self._beat_now.set()
        try:
            async with asyncio.timeout(timeout_s):
                await self._may_stop.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Tell everyone who waits; `run` must have been cancelled."""
        self._lost()
        self._asking.expire(float("inf"))
        self._watch_expiry()

    async def _session(self) -> None:
        """One connection, to its end. Raises what it ended by."""
        if self._taking is not None:
            await asyncio.wait([self._taking])  # the former connection's last update is still on its way to the disk
        wire = await self._dial()
        try:
            await self._login(wire)
            await self._register(wire)
            await self._serve(wire)
        finally:
            wire.close()

    async def _dial(self) -> ControlWire:
        async with asyncio.timeout(ANSWER_S):
            if self._address.startswith("unix:"):
                _, wire = await self._loop.create_unix_connection(ControlWire, self._address.removeprefix("unix:"))
            else:
                host, _, port = self._address.rpartition(":")
                _, wire = await self._loop.create_connection(ControlWire, host.strip("[]"), int(port))
        return wire

    async def _login(self, wire: ControlWire) -> None:
        node_id = self._registration.node_id
        for key, version, make in (
            (SASL_HANDSHAKE, cluster_login.HANDSHAKE_VERSION, cluster_login.handshake_request),
            (
                SASL_AUTHENTICATE,
                cluster_login.AUTHENTICATE_VERSION,
                partial(cluster_login.authenticate_request, node_id=node_id, secret=self._secret),
            ),
        ):
            frame = await wire.ask(partial(make, client_id=self._client_id), ANSWER_S)
            why = cluster_login.refuses(_decoded(key, version, frame))
            if why is not None:
                raise LinkRefused(f"the login: {why}")

    async def _register(self, wire: ControlWire) -> None:
        said = replace(self._registration, previous_epoch=self.epoch)
        frame = await wire.ask(lambda cid: registration_request(cid, self._client_id, said), ANSWER_S)
        answer = _decoded(BROKER_REGISTRATION, REGISTRATION_VERSION, frame)
        if answer.error_code == ErrorCode.NOT_CONTROLLER and self.image.generation:
            await self._offer(wire)
        if answer.error_code:
            raise LinkRefused(f"the registration: error {int(answer.error_code)}")
        if answer.broker_epoch != self.epoch:
            await self._in_thread(self._hooks.granted, answer.broker_epoch)
            self.epoch = answer.broker_epoch
        self._hooks.registered(self.epoch)

    async def _offer(self, wire: ControlWire) -> None:
        """Control doesn't lead: if it has lost its state, our copy may be what it is to go on with (R5)."""
        said, image = self._registration, self.image
        offer = Offer(position_of(image), image.records(), self.epoch, said.incarnation, said.directory)
        wire.send(lambda cid: offer_request(cid, self._client_id, offer), lambda _: None)
        await asyncio.wait([wire.closed], timeout=OFFER_S)

    async def _serve(self, wire: ControlWire) -> None:
        self.is_up = True
        self._asking.joined(_Sender(wire, self._asking, self._client_id))
        tasks = [asyncio.create_task(self._poll(wire)), asyncio.create_task(self._beat(wire))]
        try:
            done, _ = await asyncio.wait([*tasks, wire.closed], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            fault = task.result()  # raises what a task ended by
            raise fault if fault is not None else ConnectionResetError("control has closed the connection")

    def _lost(self) -> None:
        if self.is_up:
            self.is_up = False
            self._asking.lost()
            self._hooks.lost()

    async def _poll(self, wire: ControlWire) -> None:
        """Say how far we are, be told what is next, store it, act on it."""
        while True:
            at = position_of(self.image)
            make = partial(poll_request, client_id=self._client_id, at=at)
            frame = await wire.ask(make, POLL_TIMEOUT_S + ANSWER_S)
            update = read_update(frame, read_response_head(frame, 0)[1])
            self._taking = asyncio.create_task(self._take(update))
            await asyncio.shield(self._taking)
            await self._settle()

    async def _settle(self) -> None:
        """CreateTopics is answered when the leaders have polled again: they are to serve by then."""
        is_served = asyncio.Event()
        self._hooks.settled(is_served.set)
        with suppress(TimeoutError):
            await asyncio.wait_for(is_served.wait(), SETTLE_S)

    async def _take(self, update: Update) -> None:
        """Not to be cancelled: what is on its way to the disk gets there, and then it is what we know."""
        image = await self._in_thread(self._store.store, self.image, update)
        if image is not self.image:
            self.image = image
            self._hooks.applied(image)

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """What blocks on the disk. A cancellation doesn't end it."""
        self._writing = self._loop.run_in_executor(None, work, *arguments)
        return await asyncio.shield(self._writing)

    async def _beat(self, wire: ControlWire) -> None:
        while True:
            self._beat_now.clear()
            frame = await wire.ask(self._heartbeat, ANSWER_S)
            answer = _decoded(BROKER_HEARTBEAT, HEARTBEAT_VERSION, frame)
            if answer.error_code:
                raise LinkRefused(f"the heartbeat: error {int(answer.error_code)}")
            if answer.should_shut_down:
                self._may_stop.set()
            try:
                await asyncio.wait_for(self._beat_now.wait(), HEARTBEAT_S)
            except TimeoutError:
                continue

    def _heartbeat(self, correlation_id: int) -> bytes:
        values = {
            "broker_id": self._registration.node_id,
            "broker_epoch": self.epoch,
            "current_metadata_offset": self.image.version,
            "want_fence": False,
            "want_shut_down": self._wants_stop,
        }
        body = messages.encode(messages.build(BROKER_HEARTBEAT, HEARTBEAT_VERSION, values, "request"))
        return request_frame(BROKER_HEARTBEAT, HEARTBEAT_VERSION, correlation_id, self._client_id, body)


class _Sender:
    """`server.asking.Link` over one connection."""

    def __init__(self, wire: ControlWire, asking: Asking, client_id: str) -> None:
        self._wire = wire
        self._asking = asking
        self._client_id = client_id

    def send(self, question: Question) -> int:
        def make(correlation_id: int) -> bytes:
            return request_frame(question.api_key, question.version, correlation_id, self._client_id, question.body)

        def told(frame: memoryview | None) -> None:
            if frame is not None:  # without an answer, `Asking.lost` tells
                self._asking.answered(question, frame)

        return self._wire.send(make, told)

    def forget(self, correlation_id: int) -> None:
        self._wire.forget(correlation_id)


def _decoded(key: int, version: int, frame: memoryview) -> Any:
    return messages.decode_response(key, version, frame, read_response_head(frame, response_header(key, version))[1])
