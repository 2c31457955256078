import os
import subprocess
import unittest
from pathlib import Path
from unittest import mock

from analysis.queue_bench.awake import awake


class AwakeTest(unittest.TestCase):
    def test_a_loop_of_the_lowest_priority_on_each_core_for_as_long(self) -> None:
        started: list[subprocess.Popen[bytes]] = []
        begin = subprocess.Popen

        def popen(*arguments: object, **more: object) -> subprocess.Popen[bytes]:
            started.append(begin(*arguments, **more))  # type: ignore[call-overload]
            return started[-1]

        with mock.patch("subprocess.Popen", popen), awake():
            pids = [loop.pid for loop in started]
            self.assertEqual([os.sched_getscheduler(pid) for pid in pids], [os.SCHED_IDLE] * len(pids))
            cores = sorted(os.sched_getaffinity(0))
            self.assertEqual([os.sched_getaffinity(pid) for pid in pids], [{core} for core in cores])
            for pid in pids:
                group = Path(f"/proc/{pid}/autogroup")
                self.assertIn("nice 19", group.read_text() if group.exists() else "nice 19")
        self.assertTrue(all(loop.poll() is not None for loop in started))


if __name__ == "__main__":
    unittest.main()
