"""The plain HTTP interface of the queue: what each call does with the cluster, and what is answered.

Nothing is kept here that another replica couldn't find: registrations, cursors and turns are records (`View`), so any
replica answers any call, and a server's end loses none of them. What a call must not do is answer from a view that
lags: an id that isn't known, a turn, or that a cursor stands still, is believed only when the view has reached the
topic's end; a cursor is moved by a record that names the state it follows, and the answer goes out when that record has
turned out to be the one that counts.

Calls of one consumer are carried out one after another. One that was begun goes on when its client goes away: its
cursor may have been moved already, and the next call must not begin before that is known. One that still waits for its
turn then never begins: it would take a message that nobody gets.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from server import http_calls, reading_order
from server.http_calls import BadCall, failure, success
from server.http_view import View
from server.read_windows import Message
from server.rest.cluster import Away, Cluster, Emptied, NoTopic
from server.rest.control_http import Control
from server.rest.topic_table import LAG_S, PAUSE_S, TopicTable
from server.rest.view_follower import PARTITION, ViewFollower
from wire import http_queue as told
from wire.exchange import Response
from wire.http_queue import CONSUMERS_TOPIC, CURSORS_TOPIC, EVERY, PRODUCERS_TOPIC, Cursor, Registration
from wire.topic_names import why_not_a_name

TRIES: Final = 5
"""How often a cursor is tried to be moved: another replica moves it only while calls change over to it."""

CLOSE_S: Final = 5.0
"""How long an end waits for the calls that were begun; their clients have gone."""


class Step(NamedTuple):
    """What a call finds. `message` None: nothing is left. `cursor`: as it is to be afterwards."""

    cursor: Cursor
    partition: int = 0
    message: Message | None = None


class QueueCalls:
    """`new_nonce` makes a registration's key: different each time, anywhere."""

    def __init__(
        self, cluster: Cluster, follower: ViewFollower, control: Control, new_nonce: Callable[[], str]
    ) -> None:
        self._cluster = cluster
        self._follower = follower
        self._control = control
        self._new_nonce = new_nonce
        self._table = TopicTable(cluster, follower)
        self._turns: dict[int, int] = {}
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._met: set[int] = set()
        """Consumers that have called here."""
        self._consuming: set[asyncio.Task[Response]] = set()

    @property
    def view(self) -> View:
        return self._follower.view

    async def answer(self, call: http_calls.Call) -> Response:
        """Raises BadCall."""
        match call:
            case http_calls.Produce(producer_id, message):
                return await self._produce(producer_id, message)
            case http_calls.Consume(consumer_id, ack):
                return await self._consume(consumer_id, ack)
            case http_calls.Size(consumer_id):
                return await self._size(consumer_id)
            case http_calls.RegisterProducer(topic, part):
                return await self._register_producer(topic, part)
            case http_calls.RegisterConsumer(topic, part):
                return await self._register_consumer(topic, part)
            case http_calls.ListTopics():
                return await self._topics()

    # --- topics ----------------------------------------------------------------------------------------

    async def _topics(self) -> Response:
        metadata = await self._table.all()
        shown = {topic: leaders for topic, leaders in metadata.leaders.items() if not told.is_hidden(topic)}
        leading = {leader for leaders in shown.values() for leader in leaders if leader is not None}
        names = await self._cluster.server_names(leading)
        servers = {broker: names.get(broker, metadata.brokers.get(broker)) for broker in leading}
        return success({topic: self._led(topic, leaders, servers) for topic, leaders in sorted(shown.items())})

    def _led(
        self, topic: str, leaders: Sequence[int | None], servers: Mapping[int, str | None]
    ) -> dict[str, str | None]:
        parts = told.partition_names(len(leaders), self.view.given_names(topic))
        return {
            part: servers[leader] if leader is not None else None for part, leader in zip(parts, leaders, strict=True)
        }

    # --- registrations ---------------------------------------------------------------------------------

    async def _register_producer(self, topic: str, part: str | None) -> Response:
        names = await self._table.names(topic)
        if part is not None and part not in names:
            names = await self._made(topic, part)
        if not names:
            raise NoTopic(topic)
        registration = Registration(topic) if part is None else Registration(topic, names.index(part), part)
        return success(await self._register(PRODUCERS_TOPIC, registration))

    async def _made(self, topic: str, part: str) -> Sequence[str]:
        """The topic's names with `part`, which control makes."""
        why = why_not_a_name(topic) or told.why_not_a_partition(part)
        if why is None and told.is_hidden(topic):
            why = f"{topic} belongs to the queue itself"
        if why is not None:
            raise BadCall(400, why)
        await self._control.add_topic(topic, part)
        deadline = asyncio.get_running_loop().time() + LAG_S
        while part not in (names := await self._table.names(topic)):
            if asyncio.get_running_loop().time() > deadline:
                raise Away(f"{topic}:{part} was made, and is not to be seen")
            await asyncio.sleep(PAUSE_S)
        return names

    async def _register_consumer(self, topic: str, part: str | None) -> Response:
        names = await self._table.names(topic)
        if not names:
            raise BadCall(400, told.can_not_register(topic))
        if part is not None and part not in names:
            raise BadCall(400, told.can_not_register(topic, part))
        partition = None if part is None else names.index(part)
        ends = await self._cluster.ends(topic, range(len(names)) if partition is None else (partition,))
        registration = Registration(topic, partition, part or EVERY, ends)
        return success(await self._register(CONSUMERS_TOPIC, registration))

    async def _register(self, where: str, registration: Registration) -> int:
        key = told.registration_key(self._new_nonce())
        return await self._keep(where, told.encode_registration(registration), key)

    async def _keep(self, topic: str, value: bytes, key: bytes) -> int:
        """A record of ours. Raises Away; Emptied where the topic was deleted, which is no caller's fault."""
        try:
            return await self._cluster.produce(topic, PARTITION, value, key)
        except NoTopic:
            raise Emptied(f"{topic} was deleted") from None

    async def _registered(self, topic: str, known: Mapping[int, Registration], number: int) -> Registration | None:
        """None: nobody has the id, not even by a call that another replica has just answered."""
        if number not in known and number >= self.view.positions[topic]:
            await self._follower.caught_up(topic)
        return known.get(number)

    # --- producing -------------------------------------------------------------------------------------

    async def _produce(self, producer_id: int, message: bytes) -> Response:
        registration = await self._registered(PRODUCERS_TOPIC, self.view.producers, producer_id)
        if registration is None:
            raise BadCall(400, told.no_producer(producer_id))
        topic, partition = registration.topic, registration.partition
        if partition is None:
            return await self._produce_in_turn(producer_id, topic, message)
        if await self._table.count(topic, partition + 1) <= partition:
            raise NoTopic(topic)
        await self._cluster.produce(topic, partition, message)
        return success(told.produced(topic, registration.part))

    async def _produce_in_turn(self, producer_id: int, topic: str, message: bytes) -> Response:
        names = await self._table.names(topic)
        if not names:
            raise NoTopic(topic)
        if len(names) == 1:  # and no turns, until there is another
            await self._cluster.produce(topic, 0, message)
            return success(told.produced(topic, names[0]))
        await self._follower.caught_up(CURSORS_TOPIC)
        turn = max(self.view.turns.get(producer_id, 0), self._turns.get(producer_id, 0))
        self._turns[producer_id] = turn + 1
        partition = turn % len(names)
        await asyncio.gather(self._cluster.produce(topic, partition, message), self._keep_turn(producer_id, turn + 1))
        return success(told.produced(topic, names[partition]))

    async def _keep_turn(self, producer_id: int, turn: int) -> None:
        """If it can be: one that isn't is at most taken twice, a message that is told to have failed is sent twice."""
        with suppress(Away):
            await self._keep(CURSORS_TOPIC, told.encode_turn(turn), told.producer_key(producer_id))

    # --- consuming -------------------------------------------------------------------------------------

    async def _consume(self, consumer_id: int, ack: int | None) -> Response:
        registration = await self._consumer(consumer_id)
        lock = self._locks.setdefault(consumer_id, asyncio.Lock())
        await lock.acquire()
        consuming = asyncio.create_task(self._begun(lock, consumer_id, registration, ack))
        self._consuming.add(consuming)
        consuming.add_done_callback(self._consuming.discard)
        return await asyncio.shield(consuming)

    async def _consumer(self, consumer_id: int) -> Registration:
        registration = await self._registered(CONSUMERS_TOPIC, self.view.consumers, consumer_id)
        if registration is None:
            raise BadCall(400, told.no_consumer(consumer_id))
        if consumer_id not in self._met:  # it may have registered for a new topic under an old name
            self._met.add(consumer_id)
            self._cluster.forget(registration.topic)
        return registration

    async def _begun(
        self, lock: asyncio.Lock, consumer_id: int, registration: Registration, ack: int | None
    ) -> Response:
        """`lock`, which is held, is released at the end."""
        try:
            names = await self._names_of(registration)
            return await self._consume_next(consumer_id, registration, ack, names)
        finally:
            lock.release()

    async def _names_of(self, registration: Registration) -> Mapping[int, str]:
        """Of the partitions that are its consumer's."""
        if registration.partition is not None:
            return {registration.partition: registration.part}
        names = await self._table.names(registration.topic)
        if not names:
            raise NoTopic(registration.topic)
        return dict(enumerate(names))

    async def _consume_next(
        self, consumer_id: int, registration: Registration, ack: int | None, names: Mapping[int, str]
    ) -> Response:
        has_lost = False
        for _ in range(TRIES):
            cursor = self.view.cursors.get(consumer_id, _AT_FIRST)
            step = await self._next(registration, cursor, ack, len(names))
            if step.cursor == cursor and not has_lost:
                counts = await self._stands(consumer_id, cursor)
            else:
                counts = await self._move(consumer_id, replace(step.cursor, sequence=cursor.sequence + 1))
                has_lost = not counts
            if counts:
                return _consumed(consumer_id, registration, step, names)
        raise Away(f"Consumer:{consumer_id} is being moved by others")

    async def _stands(self, consumer_id: int, cursor: Cursor) -> bool:
        await self._follower.caught_up(CURSORS_TOPIC)
        return self.view.cursors.get(consumer_id, _AT_FIRST) == cursor

    async def _move(self, consumer_id: int, cursor: Cursor) -> bool:
        """Whether the cursor's record counts."""
        value = told.encode_cursor(replace(cursor, writer=self.view.writer))
        offset = await self._keep(CURSORS_TOPIC, value, told.consumer_key(consumer_id))
        await self._follower.reached(CURSORS_TOPIC, offset + 1)
        return self.view.won(consumer_id, offset)

    async def _next(self, registration: Registration, cursor: Cursor, ack: int | None, count: int) -> Step:
        """`count`: how many partitions there are to take in turn."""
        if ack is None:
            after, again = cursor, cursor.given
        else:
            after, again = reading_order.acknowledged(cursor, ack)
        if again is not None:
            partition, offset = again
            message = await _Reading(self._cluster, registration.topic, (partition,)).first(partition, offset)
            if message is not None:
                return self._given_again(after, ack, (partition, message.offset), count, message)
            after = replace(after, given=None, again=False)  # its message was removed meanwhile
        return await self._new(registration, after, ack, count)

    def _given_again(
        self, cursor: Cursor, ack: int | None, place: reading_order.Place, count: int, message: Message
    ) -> Step:
        if ack is None:
            after = reading_order.taken(cursor, place, count)
        elif place == cursor.given:
            after = cursor
        else:
            after = replace(cursor, given=place)
        return Step(after, place[0], message)

    async def _new(self, registration: Registration, cursor: Cursor, ack: int | None, count: int) -> Step:
        partitions = reading_order.in_turn(cursor, registration, count)
        reading = _Reading(self._cluster, registration.topic, partitions)
        second: Step | None = None
        for partition in partitions:
            message = await reading.first(partition, reading_order.position(cursor, registration.ends, partition))
            if message is None:
                continue
            place = partition, message.offset
            if ack is None:
                return Step(reading_order.taken(cursor, place, count), partition, message)
            step = Step(reading_order.given(cursor, place, count), partition, message)
            if not reading_order.avoided(cursor, place):
                return step
            second = second or step
        return second or Step(cursor)

    async def _size(self, consumer_id: int) -> Response:
        registration = await self._consumer(consumer_id)
        names, _ = await asyncio.gather(self._names_of(registration), self._follower.caught_up(CURSORS_TOPIC))
        cursor = self.view.cursors.get(consumer_id, _AT_FIRST)
        begins, ends = await asyncio.gather(
            self._cluster.begins(registration.topic, names), self._cluster.ends(registration.topic, names)
        )
        due = {one: reading_order.position(cursor, registration.ends, one) for one in names}
        left = [ends[one] - (max(due[one], begins[one]) if due[one] <= ends[one] else begins[one]) for one in names]
        return success(sum(left), note="")

    async def close(self) -> None:
        """Let calls of consumers that were begun end, but not wait for a cluster that is away."""
        if self._consuming:
            _, late = await asyncio.wait(self._consuming, timeout=CLOSE_S)
            for call in late:
                call.cancel()


class _Reading:
    """One call's look at its partitions: their ends are asked for once, and only if a message isn't in hand."""

    def __init__(self, cluster: Cluster, topic: str, partitions: Sequence[int]) -> None:
        self._cluster = cluster
        self._topic = topic
        self._partitions = partitions
        self._ends: Mapping[int, int] | None = None

    async def first(self, partition: int, offset: int) -> Message | None:
        """The first message from `offset` on, if there is one."""
        message = self._cluster.in_hand(self._topic, partition, offset)
        if message is not None:
            return message
        if self._ends is None:
            self._ends = await self._cluster.ends(self._topic, self._partitions)
        end = self._ends[partition]
        if offset > end:  # a new log under the old name
            offset = (await self._cluster.begins(self._topic, (partition,)))[partition]
        return await self._cluster.read(self._topic, partition, offset, end) if offset < end else None


_AT_FIRST: Final = Cursor()


def _consumed(consumer_id: int, registration: Registration, step: Step, names: Mapping[int, str]) -> Response:
    topic = registration.topic
    if step.message is None:
        reason = told.empty_logs(consumer_id, topic, registration.part)
        return failure(400, reason, topic=told.topic_and_part(topic, registration.part))
    value = step.message.value
    text = None if value is None else value.decode(errors="replace")
    part = names[step.partition]
    return success(text, topic=told.topic_and_part(topic, part), offset=step.message.offset)
