"""runproduce over the plain HTTP interface, where there is no Kafka protocol to be had.

A call whose answer is lost may have been carried out, and the interface has no way to ask; it is made again, so such a
message, which nobody acknowledged, can be there twice.
"""

import random
import time
from collections.abc import Callable, Sequence
from functools import partial

from client.plain.looking import http_names, persistently, wait_for
from client.plain.notices import Notices
from client.produce_log import Line, lacking
from client.web.calls import QueueCalls
from wire.http_queue import EVERY


def produce(
    calls: QueueCalls,
    lines: Sequence[Line],
    turn: int,
    pace_s: float,
    notices: Notices,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Sends each line when the one before is acknowledged; with a random pause below `pace_s` after `turn` lines. Waits
    for topics and partitions, and while servers or the balancer are away. Raises Refused."""
    topics = [line.topic for line in lines]
    wait_for(lambda: http_names(calls, topics), lambda seen: lacking(lines, seen), notices, sleep)
    ids: dict[tuple[str, str], int] = {}
    for count, line in enumerate(lines, 1):
        place = line.topic, line.part
        if place not in ids:
            part = None if line.part == EVERY else line.part
            ids[place] = persistently(partial(calls.register_producer, line.topic, part), notices, sleep)
        persistently(partial(calls.produce, ids[place], line.message), notices, sleep)
        if pace_s and count % turn == 0:
            sleep(random.random() * pace_s)
