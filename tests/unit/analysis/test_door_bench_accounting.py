import os
import subprocess
import sys
import time
import unittest

from analysis.door_bench.accounting import (
    TICK_S,
    CpuTime,
    busy_s,
    core_ticks,
    cpu_times,
    pss_of,
    rss_bytes,
    spent,
    tree,
)

GONE = 2**22 + 1  # above the kernel's largest pid


class SpentTest(unittest.TestCase):
    def test_each_process_by_its_own_start(self) -> None:
        before = {1: CpuTime(100, 1, 2), 2: CpuTime(50, 0, 0)}
        after = {1: CpuTime(300, 2, 5), 2: CpuTime(60, 1, 0)}
        self.assertEqual(spent(before, after), CpuTime(210, 2, 3))

    def test_who_came_counts_in_full_and_who_ended_not_at_all(self) -> None:
        self.assertEqual(spent({1: CpuTime(100, 1, 2)}, {3: CpuTime(7, 1, 0)}), CpuTime(7, 1, 0))

    def test_the_user_share(self) -> None:
        self.assertEqual(CpuTime(0, 3, 1).user_share, 0.75)
        self.assertEqual(CpuTime(5, 0, 0).user_share, 1)
        self.assertEqual(CpuTime(2_500_000_000).run_s, 2.5)


class ProcessTest(unittest.TestCase):
    def test_our_own_time_grows(self) -> None:
        before, begun = cpu_times([os.getpid()]), time.process_time()
        while time.process_time() - begun < 0.05:
            sum(range(1000))
        self.assertGreater(spent(before, cpu_times([os.getpid()])).run_s, 0.03)

    def test_who_is_gone_is_left_out(self) -> None:
        self.assertEqual(cpu_times([GONE]), {})
        self.assertEqual((pss_of([GONE]), rss_bytes(GONE)), (0, 0))

    def test_memory(self) -> None:
        self.assertGreater(rss_bytes(os.getpid()), 1 << 20)
        self.assertGreater(pss_of([os.getpid()]), 1 << 20)

    def test_a_tree_begins_with_its_root(self) -> None:
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
            found = tree(os.getpid())
            assert child.stdin is not None
            child.stdin.close()
        self.assertEqual(found[0], os.getpid())
        self.assertIn(child.pid, found)


class CoresTest(unittest.TestCase):
    def test_busy_is_a_difference(self) -> None:
        self.assertAlmostEqual(busy_s({0: 100, 1: 7}, {0: 350, 1: 7}, 0), 250 * TICK_S)
        self.assertEqual(busy_s({0: 100, 1: 7}, {0: 350, 1: 7}, 1), 0)

    def test_every_core_of_ours_is_there(self) -> None:
        self.assertLessEqual(os.sched_getaffinity(0), set(core_ticks()))
