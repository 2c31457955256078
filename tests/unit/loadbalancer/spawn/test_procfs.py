"""What is read from /proc: this test's own process, and children that are certain to end."""

import os
import signal
import subprocess
import unittest

from support.supervising import DEADLINE_S, SLEEPER, python, wait_until

from loadbalancer.spawn import procfs


class TestProcfs(unittest.TestCase):
    def child(self, cluster_id: str) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(python(SLEEPER), env={procfs.CLUSTER_VARIABLE: cluster_id})
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        wait_until(lambda: child.pid in procfs.members(cluster_id), "it runs")
        return child

    def test_start_time_tells_incarnations_apart(self) -> None:
        mine = procfs.start_time(os.getpid())
        self.assertEqual(mine, procfs.start_time(os.getpid()))
        self.assertLessEqual(mine, procfs.start_time(self.child("a").pid))

    def test_nobody(self) -> None:
        self.assertIsNone(procfs.start_time(2**22 + 1))
        self.assertEqual(0, procfs.parent(2**22 + 1))

    def test_parent(self) -> None:
        self.assertEqual(os.getppid(), procfs.parent(os.getpid()))
        self.assertEqual(os.getpid(), procfs.parent(self.child("a").pid))

    def test_members_carry_the_very_mark(self) -> None:
        child = self.child(f"csl-{os.getpid()}-b")
        self.assertEqual([child.pid], procfs.members(f"csl-{os.getpid()}-b"))
        self.assertEqual([], procfs.members(f"csl-{os.getpid()}-"))

    def test_sweep_kills_them_also_frozen(self) -> None:
        cluster_id = f"csl-{os.getpid()}-c"
        children = [self.child(cluster_id) for _ in range(3)]
        children[0].send_signal(signal.SIGSTOP)
        self.assertCountEqual([child.pid for child in children], procfs.sweep(cluster_id))
        self.assertEqual([-signal.SIGKILL] * 3, [child.wait(DEADLINE_S) for child in children])
        self.assertEqual([], procfs.sweep(cluster_id))

    def test_sweep_spares_itself_and_its_ancestors(self) -> None:
        """A child that carries the mark, as does its own child, sweeps: neither is harmed."""
        sweeper = (
            "import os, subprocess, sys; sys.path.insert(0, sys.argv[1])\n"
            "from loadbalancer.spawn import procfs\n"
            "if len(sys.argv) > 2: print(procfs.sweep('csl-self')); raise SystemExit\n"
            "subprocess.run([sys.executable, '-c', sys.stdin.read(), sys.argv[1], 'inner'], check=True)"
        )
        root = str(procfs.__file__).rsplit("/loadbalancer/", 1)[0]
        done = subprocess.run(
            python(sweeper, root),
            input=sweeper,
            env={procfs.CLUSTER_VARIABLE: "csl-self"},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )
        self.assertEqual((0, "[]\n"), (done.returncode, done.stdout), done.stderr)


if __name__ == "__main__":
    unittest.main()
