import json
import unittest

from hypothesis import given
from hypothesis import strategies as st

from loadbalancer.counters import (
    ADMIN,
    BOUNDS_S,
    BUCKETS,
    EMPTY_REPORT,
    KEPT_NODES,
    KEPT_PARTED,
    NOBODY,
    PROXY,
    QUEUE,
    Counters,
    Latency,
    Report,
    Totals,
    merge,
    without_gauges,
)


@st.composite
def reports(draw: st.DrawFn) -> Report:
    counters = Counters()
    for node in draw(st.lists(st.integers(-1, 3), max_size=5)):
        counters.codes(draw(st.sampled_from([PROXY, ADMIN])), node)[draw(st.integers(0, 5))] += 1
        counters.latency[PROXY].add(draw(st.floats(0, 100)))
        counters.in_flight[node] = draw(st.integers(0, 5))
    counters.retries, counters.client_connections = draw(st.integers(0, 9)), draw(st.integers(0, 9))
    return counters.to_json()


def counts(report: Report) -> list[object]:
    """A report without the float sums, whose additions do not commute to the last bit."""
    return [value for name, value in sorted(report.items()) if name != "latency_sum_s"]


class Counting(unittest.TestCase):
    @given(st.floats(0, 1000))
    def test_each_latency_is_in_its_bucket(self, seconds: float) -> None:
        latency = Latency()
        latency.add(seconds)
        bucket = latency.counts.index(1)
        whole_us = int(seconds * 1e6)
        self.assertTrue(bucket == BUCKETS - 1 or whole_us < 2**bucket)
        self.assertTrue(bucket == 0 or whole_us >= 2 ** (bucket - 1))
        self.assertEqual(len(BOUNDS_S), BUCKETS - 1)

    def test_codes_are_live_and_shown_when_not_zero(self) -> None:
        counters = Counters()
        counters.codes(PROXY, 7)[2] += 3
        counters.codes(PROXY, 7)[5] += 1
        counters.codes(ADMIN, NOBODY)
        self.assertEqual(counters.to_json()["requests"], {PROXY: {"7": {"2xx": 3, "5xx": 1}}, ADMIN: {}, QUEUE: {}})


class Merging(unittest.TestCase):
    @given(st.lists(reports(), max_size=4))
    def test_order_does_not_matter_and_json_keeps_it(self, many: list[Report]) -> None:
        self.assertEqual(counts(merge(many)), counts(merge(reversed(many))))
        self.assertEqual(merge(json.loads(json.dumps(many))), merge(many))

    @given(reports())
    def test_empty_adds_nothing(self, report: Report) -> None:
        self.assertEqual(merge([report, EMPTY_REPORT]), merge([report]))
        self.assertEqual(merge([]), EMPTY_REPORT)

    @given(reports(), reports())
    def test_nothing_that_counts_up_is_lost_when_a_worker_ends(self, old: Report, new: Report) -> None:
        totals = Totals()
        totals.hear(1, old)
        totals.end(1)
        totals.end(1)
        totals.hear(2, new)
        self.assertEqual(counts(totals.sum()), counts(merge([without_gauges(old), new])))
        self.assertEqual(totals.sum()["requests"], merge([old, new])["requests"])
        self.assertEqual(totals.sum()["client_connections"], new["client_connections"])

    def test_fields_of_other_versions(self) -> None:
        newer = {**EMPTY_REPORT, "retries": 2, "unheard_of": 1}
        older = {"retries": 3}
        total = merge([newer, older])  # type: ignore[list-item]
        self.assertEqual((total["retries"], set(total)), (5, set(EMPTY_REPORT)))


class Long(unittest.TestCase):
    def test_nodes_that_departed_long_ago_are_dropped(self) -> None:
        counters = Counters()
        counters.in_flight[NOBODY] = 1
        for node in range(1, 1001):
            counters.in_flight[node] = 0
            counters.codes(PROXY, node)[2] += 1
            counters.ejected(node)
            counters.forget_departed({1, node})
        report = counters.to_json()
        self.assertLessEqual(len(report["in_flight"]), KEPT_NODES)
        self.assertLessEqual(len(report["requests"][PROXY]), KEPT_NODES)
        self.assertLessEqual(len(report["ejections"]), KEPT_NODES)
        self.assertLessEqual({"1", "1000", str(NOBODY)}, report["in_flight"].keys())

    def test_a_worker_that_comes_back_is_not_counted_twice(self) -> None:
        counters, totals = Counters(), Totals()
        for retries in (3, 5, 9):
            counters.retries = retries
            totals.hear(7, counters.to_json())
            totals.end(7)
            self.assertEqual(totals.sum()["retries"], retries)

    def test_the_parted_are_few_and_all_of_them_count(self) -> None:
        counters, totals = Counters(), Totals()
        counters.retries = counters.client_connections = 1
        for pid in range(3 * KEPT_PARTED):
            totals.hear(pid, counters.to_json())
            totals.end(pid)
        self.assertEqual(totals.sum()["retries"], 3 * KEPT_PARTED)
        self.assertEqual(totals.sum()["client_connections"], 0)
