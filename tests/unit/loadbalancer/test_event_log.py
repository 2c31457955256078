import unittest

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.event_log import EventLog


def log_of(count: int, capacity: int = 100) -> EventLog:
    log = EventLog(capacity=capacity)
    for number in range(count):
        log.show([log.make(float(number), "dead", "S1", "why")])
    return log


class EventLogTest(unittest.TestCase):
    def test_ids_rise_from_one(self) -> None:
        self.assertEqual([event.id for event in log_of(3).since(0)], [1, 2, 3])

    def test_a_made_event_is_not_shown_yet(self) -> None:
        log = EventLog()
        event = log.make(1.0, "dead", "S1", "exit status 9")
        self.assertEqual(log.since(0), [])
        log.show([event])
        self.assertEqual(log.since(0), [event])

    def test_a_restart_goes_on_counting(self) -> None:
        again = EventLog(log_of(3).since(0))
        self.assertEqual(again.make(9.0, "dead", "", "").id, 4)

    def test_the_oldest_go_first(self) -> None:
        self.assertEqual([event.id for event in log_of(5, capacity=2).since(0)], [4, 5])

    def test_json_has_the_five_fields(self) -> None:
        self.assertEqual(
            log_of(1).since(0)[0].to_json(),
            {"id": 1, "time": 0.0, "kind": "dead", "replica": "S1", "reason": "why"},
        )

    @given(st.integers(0, 30), st.integers(0, 40), st.integers(0, 10))
    def test_since_gives_the_next_ones_in_order(self, count: int, since: int, limit: int) -> None:
        wanted = [number for number in range(1, count + 1) if number > since][:limit]
        self.assertEqual([event.id for event in log_of(count).since(since, limit)], wanted)
