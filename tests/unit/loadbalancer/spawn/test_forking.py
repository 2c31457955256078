"""fork and exec: the child's descriptors and environment, and what is said when it can't be."""

import contextlib
import os
import signal
import socket
import tempfile
import unittest
from pathlib import Path

from support.supervising import python

from loadbalancer.spawn import forking
from loadbalancer.spawn.forking import Program, StartError

REPORT = """
import os, socket, sys
fds = sorted(os.listdir('/proc/self/fd'), key=int)[:-1]
names = os.environ.get('LISTEN_FDNAMES', '').split(':')
print(os.environ['LISTEN_PID'] == str(os.getpid()), os.environ['LISTEN_FDS'], names)
print([socket.socket(fileno=3 + i).getsockname()[1] for i in range(len(names))], os.environ['READY_FD'])
print(fds, os.getcwd(), flush=True)
os.write(int(os.environ['READY_FD']), b'ready')
"""


def children() -> set[int]:
    """Of this process, those that only wait to be reaped too; other tests may have some."""
    found: set[int] = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(entry.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(entry.parent.name))
    return found


class TestStart(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.dir = folder.name
        self.log = f"{self.dir}/log"

    def run_to_end(self, program: Program) -> int:
        pid = forking.start(program)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def test_descriptors_come_in_order_and_no_others(self) -> None:
        read_end, write_end = os.pipe()
        with socket.create_server(("127.0.0.1", 0)) as a, socket.create_server(("127.0.0.1", 0)) as b:
            ports = [sock.getsockname()[1] for sock in (b, a)]  # the higher number first: they must not collide
            listen = [("second", b.fileno()), ("main", a.fileno())]
            os.set_inheritable(a.fileno(), True)
            code = self.run_to_end(Program(python(REPORT), {}, self.dir, self.log, listen, write_end))
        os.close(write_end)
        lines = Path(self.log).read_text().splitlines()
        self.assertEqual(0, code, lines)
        self.assertEqual("True 2 ['second', 'main']", lines[0])
        self.assertEqual(f"{ports} 5", lines[1])
        self.assertEqual(f"{['0', '1', '2', '3', '4', '5']} {self.dir}", lines[2])
        self.assertEqual(b"ready", os.read(read_end, 10))
        os.close(read_end)

    def test_the_environment_is_the_given_one(self) -> None:
        self.run_to_end(Program(["/usr/bin/env"], {"A": "1"}, None, self.log))
        self.assertEqual("A=1\n", Path(self.log).read_text())

    def test_signals_are_as_in_a_fresh_process(self) -> None:
        before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        self.run_to_end(Program(["grep", "^Sig[BI]", "/proc/self/status"], dict(os.environ), None, self.log))
        # Without glibc's own 32 and 33, which GNU make leaves ignored and nobody can set.
        valid = sum(1 << number - 1 for number in signal.valid_signals())
        sets = Path(self.log).read_text().split()[1::2]
        self.assertEqual([0, 0], [int(mask, 16) & valid for mask in sets])
        self.assertEqual(set(), signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    def test_reasons(self) -> None:
        before = children()
        plain = Path(self.dir, "plain")
        plain.write_text("no program")
        for program, reason in (
            (Program(["/no/such"], {}), "^/no/such: No such file or directory$"),
            (Program([str(plain)], {}), "plain: Permission denied$"),
            (Program(["/bin/true"], {}, cwd="/no/dir"), "^/no/dir: No such file"),
            (Program(["/bin/true"], {}, log_path="/no/dir/log"), "^/no/dir/log: No such file"),
            (Program(["/bin/true"], {}, listen=[("x", 9999)]), "Bad file descriptor"),
            (Program(["/bin/true", "x" * 3_000_000], {}), "/bin/true: Argument list too long"),
        ):
            with self.subTest(reason), self.assertRaisesRegex(StartError, reason):
                forking.start(program)
        self.assertEqual(children(), before)  # nothing is left, not even to be reaped

    def test_a_failure_leaves_no_descriptor(self) -> None:
        before = sorted(Path("/proc/self/fd").iterdir())
        with self.assertRaises(StartError):
            forking.start(Program(["/no/such"], {}))
        self.assertEqual(before, sorted(Path("/proc/self/fd").iterdir()))


if __name__ == "__main__":
    unittest.main()
