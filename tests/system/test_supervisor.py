"""A real supervisor over small real children: it binds, hands down, restarts, reloads, and leaves nothing."""

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from support.supervising import (
    DEADLINE_S,
    SLEEPER,
    WORKER,
    Supervising,
    ask,
    call,
    python,
    read_line,
    wait_until,
)

from loadbalancer.spawn import procfs

VALID_SIGNALS = sum(1 << number - 1 for number in signal.valid_signals())
"""As in /proc/<pid>/status; without glibc's own 32 and 33, which GNU make leaves ignored and nobody can set."""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"


def is_stubborn(pid: int) -> bool:
    ignored = re.search(r"SigIgn:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return ignored is not None and bool(int(ignored[1], 16) & 1 << signal.SIGTERM - 1)


class SupervisorCase(unittest.TestCase):
    def up(self, **overrides: Any) -> Supervising:
        supervising = Supervising(**overrides)
        self.addCleanup(supervising.__exit__)
        return supervising.start()

    def control(self, supervising: Supervising, generation: int = 1) -> socket.socket:
        """A connection that said hello."""
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)
        sock.settimeout(DEADLINE_S)
        sock.connect(supervising.orders_path)
        self.assertTrue(ask(sock, "hello", generation=generation)["ok"])
        return sock

    def spawn(self, sock: socket.socket, name: str, code: str = SLEEPER, **fields: Any) -> dict[str, Any]:
        order = {"name": name, "argv": python(code), "meta": {}, "socket": "none", **fields}
        answer = ask(sock, "spawn", generation=1, **order)
        self.assertTrue(answer["ok"], answer)
        return answer


class TestStart(SupervisorCase):
    def test_ports_json_and_the_directories(self) -> None:
        up = self.up()
        ports = up.ports()
        self.assertEqual({"main", "second", "admin", "tls", "queue", "pid", "url"}, set(ports))
        self.assertEqual((None, up.pid), (ports["admin"], ports["pid"]))
        self.assertEqual(f"http://127.0.0.1:{ports['main']}", ports["url"])
        self.assertEqual(0o700, (up.dir / "run").stat().st_mode & 0o777)
        for name in ("supervisor.sock", "control.sock"):
            self.assertEqual(0o600, (up.dir / "run" / name).stat().st_mode & 0o777)
        up.end()
        self.assertEqual(["log", "run", "supervisor.lock"], sorted(path.name for path in up.dir.iterdir()))
        self.assertEqual([], list((up.dir / "run").iterdir()))

    def test_every_worker_serves_every_port(self) -> None:
        up = self.up()
        for port in ("main", "second"):
            found: set[str] = set()
            wait_until(lambda port=port, found=found: found.add(call(up.ports()[port])) or len(found) == 2, port)
            self.assertEqual({f"{pid} main:second" for pid in up.of("worker").values()}, found)

    def test_a_second_one_is_refused_and_harms_nothing(self) -> None:
        up = self.up()
        other = Supervising(state_dir=str(up.dir), cluster_id=up.cluster_id)
        self.addCleanup(other.__exit__)
        other.start(wait=False)
        self.assertEqual(2, other.wait())
        self.assertEqual(f"already running, pid {up.pid}\n", other.log())
        self.assertEqual(3, len(up.children()))

    def test_a_port_in_use_is_named(self) -> None:
        for reuse in (False, True):
            with self.subTest(reuse=reuse), socket.create_server(("127.0.0.1", 0), reuse_port=reuse) as taken:
                port = taken.getsockname()[1]
                other = Supervising(ports={"main": port})
                self.addCleanup(other.__exit__)
                other.start(wait=False)
                self.assertEqual(2, other.wait())
                self.assertEqual(f"port {port} is in use\n", other.log())

    def test_ports_that_are_not_needed_are_done_without(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            up = self.up(ports={"main": 0}, optional_ports={"queue": port, "queue-0": 0})
            self.assertIsNone(up.ports()["queue"])
            self.assertIn(f"port {port} is in use", up.log())
            self.assertTrue(call(up.ports()["main"]).endswith(" main"))
            self.assertTrue(ask(self.control(up), "ready", generation=1, replicas=3)["ok"])
            ready = f"Carousel is ready: {up.ports()['url']}, no queue port (port {port} is in use), 3 replicas"
            wait_until(lambda: ready in up.log(), "the ready line")

    def test_the_ready_line_says_where_kafka_clients_begin(self) -> None:
        up = self.up(ports={"main": 0}, optional_ports={"queue": 0, "queue-0": 0, "queue-1": 0})
        bootstrap = up.ports()["queue"]
        self.assertTrue(call(bootstrap).endswith(" main:queue:queue-0:queue-1"))
        ask(self.control(up), "ready", generation=1, replicas=3)
        wait_until(lambda: f", queue 127.0.0.1:{bootstrap} (servers " in up.log(), "the ready line")

    def test_time_wait_does_not_block_a_restart(self) -> None:
        up = self.up()
        ports = {name: up.ports()[name] for name in ("main", "second")}
        call(ports["main"])  # the worker closes first, so its side is in TIME_WAIT
        up.end()
        up.settings["ports"] = ports
        up.start()
        self.assertEqual(ports["main"], up.ports()["main"])

    def test_leftovers_are_swept_and_strangers_are_not(self) -> None:
        up = Supervising()
        self.addCleanup(up.__exit__)
        ours = self.leave(up.cluster_id)
        stranger = self.leave(up.cluster_id + "x")
        up.start()
        self.assertEqual(-signal.SIGKILL, ours.wait(DEADLINE_S))
        self.assertIsNone(stranger.poll())

    def leave(self, cluster_id: str) -> subprocess.Popen[bytes]:
        left = subprocess.Popen(python(SLEEPER), env={**os.environ, procfs.CLUSTER_VARIABLE: cluster_id})
        self.addCleanup(left.wait)
        self.addCleanup(left.kill)
        wait_until(lambda: left.pid in procfs.members(cluster_id), "it runs")
        return left

    def test_what_a_child_gets(self) -> None:
        code = (
            "import json, os\n"
            "fds = sorted(map(int, os.listdir('/proc/self/fd')))[:-1]\n"
            "status = dict(line.split(':\\t') for line in open('/proc/self/status') if ':\\t' in line)\n"
            "own_session = os.getsid(0) == os.getpid()\n"
            "print(json.dumps([fds, own_session, os.readlink('/proc/self/fd/0'), status['SigBlk'].strip()]))"
        )
        up = self.up()
        sock = self.control(up)
        log = str(up.dir / "child.log")
        self.spawn(sock, "server1", code, socket="listen", log_path=log)
        self.assertEqual("exited", read_line(sock)["event"])
        self.assertEqual([[0, 1, 2, 3], True, "/dev/null", "0" * 16], json.loads(Path(log).read_text()))

    def test_no_signal_is_ignored_in_a_child(self) -> None:
        """Python ignores SIGPIPE, and what is ignored stays so over exec."""
        up = self.up()
        sock, log = self.control(up), str(up.dir / "child.log")
        self.spawn(sock, "server1", argv=["grep", "SigIgn", "/proc/self/status"], log_path=log)
        self.assertEqual("exit 0", read_line(sock)["reason"])
        self.assertEqual(0, int(Path(log).read_text().split()[1], 16) & VALID_SIGNALS)


class TestRestart(SupervisorCase):
    def test_a_connection_waits_for_the_dead_workers_successor(self) -> None:
        up = self.up(workers=1)
        old = up.of("worker")["door-0"]
        os.kill(old, signal.SIGSTOP)
        with socket.create_connection(("127.0.0.1", up.ports()["main"]), timeout=DEADLINE_S) as queued:
            os.kill(old, signal.SIGKILL)
            answer = queued.recv(100).decode()
        self.assertEqual(f"{up.of('worker')['door-0']} main:second", answer)
        self.assertNotIn(str(old), answer)

    def test_control_comes_back_and_replicas_do_not_notice(self) -> None:
        up = self.up()
        replica = self.spawn(self.control(up), "server1")
        old = up.of("control")["control"]
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: up.of("control").get("control", old) != old, "control is back")
        self.assertEqual({"server1": replica["pid"]}, up.of("replica"))
        self.assertEqual(2, up.order("hello", generation=2)["starts"])

    def test_a_program_that_is_not_there_is_tried_again_with_patience(self) -> None:
        up = Supervising(control_argv=["/no/such/program"])
        self.addCleanup(up.__exit__)
        up.start(wait=False)
        wait_until(lambda: "dies young" in up.log(), "the backoff begins")
        self.assertIn("/no/such/program: No such file or directory", up.log())
        self.assertEqual(2, len(up.of("worker")))


class TestOrders(SupervisorCase):
    def test_an_exit_is_told(self) -> None:
        up = self.up()
        sock = self.control(up)
        replica = self.spawn(sock, "server1", meta={"node_id": 7})
        (listed,) = [child for child in up.children() if child["role"] == "replica"]
        self.assertEqual((7, replica["start_time"]), (listed["node_id"], procfs.start_time(replica["pid"])))
        known = {key: replica[key] for key in ("name", "pid", "start_time")}
        os.kill(replica["pid"], signal.SIGSTOP)
        answer = ask(sock, "signal", generation=1, **known, signal="SIGKILL", group=True)
        self.assertTrue(answer["ok"])
        self.assertEqual({"event": "exited", **known, "reason": "SIGKILL"}, read_line(sock))
        self.assertIsNone(procfs.start_time(replica["pid"]))

    def test_a_bound_socket_is_handed_down_and_refuses_until_it_listens(self) -> None:
        up = self.up()
        replica = self.spawn(self.control(up), "server1", socket="listen")
        with self.assertRaises(ConnectionRefusedError):
            call(replica["port"])

    def test_refusals_have_their_reasons(self) -> None:
        up = self.up()
        sock = self.control(up, generation=5)
        order = {"name": "server1", "argv": ["/no/such"], "meta": {}, "socket": "none"}
        for op, fields, reason in (
            ("spawn", {"generation": 4, **order}, "generation 4 is over"),
            ("spawn", {"generation": 5, **order}, "/no/such: No such file"),
            ("spawn", {"generation": 5, **order, "cwd": "/no/dir"}, "/no/dir: No such file"),
            ("spawn", {"generation": 5, **order, "log_path": "/no/dir/log"}, "/no/dir/log: No such file"),
            ("spawn", {"generation": 5, **order, "name": "door-0"}, "door-0 is already running"),
            ("spawn", {"generation": 5, **order, "argv": []}, "argv"),
            ("fork", {}, "unknown op"),
        ):
            with self.subTest(reason):
                answer = ask(sock, op, **fields)
                self.assertFalse(answer["ok"])
                self.assertIn(reason, answer["error"])
        self.assertEqual({}, up.of("replica"))

    def test_a_long_line_ends_only_its_own_connection(self) -> None:
        up = self.up()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(DEADLINE_S)
            sock.connect(up.orders_path)
            with self.assertRaises(OSError):
                while True:
                    sock.sendall(b"x" * 4096)
        self.assertEqual(3, len(up.children()))

    def test_too_many_connections_are_closed(self) -> None:
        up = self.up()
        held = [self.control(up) for _ in range(16)]
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(DEADLINE_S)
            sock.connect(up.orders_path)
            self.assertEqual(b"", sock.recv(1))
        held[0].close()
        wait_until(lambda: self.lists(up), "there is room again")

    def lists(self, up: Supervising) -> bool:
        try:
            return up.order("list")["ok"]
        except OSError:
            return False


class TestReload(SupervisorCase):
    def test_new_workers_take_over_and_control_restarts(self) -> None:
        up = self.up()
        replica = self.spawn(self.control(up), "server1")["pid"]
        old = {**up.of("worker"), **up.of("control")}
        os.kill(up.pid, signal.SIGUSR2)
        wait_until(lambda: not set(old.values()) & {*up.of("worker").values(), *up.of("control").values()}, "reloaded")
        wait_until(lambda: "control" in up.of("control"), "control is back")
        self.assertEqual({"server1": replica}, up.of("replica"))
        self.assertIn(int(call(up.ports()["main"]).split()[0]), up.of("worker").values())

    def test_no_connection_is_lost(self) -> None:
        up = self.up()
        port, old = up.ports()["main"], set(up.of("worker").values())
        self.assertTrue(up.order("reload")["ok"])
        answered = [int(call(port).split()[0]) for _ in range(200)]
        wait_until(lambda: len(up.of("worker")) == 2 and not old & set(up.of("worker").values()), "reloaded")
        self.assertTrue(all(answered))

    def test_a_worker_that_dies_at_its_start_changes_nothing(self) -> None:
        up = self.up(reload={"worker": python("raise SystemExit(1)")})
        before = {**up.of("worker"), **up.of("control")}
        self.assertTrue(up.order("reload")["ok"])
        wait_until(lambda: "reload failed" in up.log(), "it is given up")
        wait_until(lambda: len(up.children()) == 3, "the newcomers are gone")
        self.assertEqual(before, {**up.of("worker"), **up.of("control")})

    def test_two_at_once_and_bad_settings_are_refused(self) -> None:
        up = self.up(reload={"worker": python(WORKER, "mute"), "workers": 9})
        self.assertTrue(up.order("reload")["ok"])
        self.assertIn("under way", up.order("reload")["error"])
        self.assertIn("until the next start", up.log())
        self.assertEqual(4, sum(child["role"] == "worker" for child in up.children()))
        other = self.up(reload={"raises": "--policy: no such policy"})
        self.assertIn("no such policy", other.order("reload")["error"])
        self.assertEqual(3, len(other.children()))

    def test_files_are_written_anew_or_restored(self) -> None:
        up = self.up(files={"door.json": "old"}, reload={"files": {"door.json": "new"}, "worker": ["/no/such"]})
        path = up.dir / "run" / "door.json"
        self.assertEqual(("old", 0o600), (path.read_text(), path.stat().st_mode & 0o777))
        self.assertTrue(up.order("reload")["ok"])
        self.assertIn("reload failed", up.log())
        self.assertEqual("old", path.read_text())


class TestEnd(SupervisorCase):
    def ends(self, up: Supervising) -> list[str]:
        """The children in the order of their ends, after a clean one."""
        self.assertEqual(0, up.wait(), up.log())
        self.assertEqual([], up.processes())
        return re.findall(r'"child": "([\w-]+)", "pid": \d+, "reason"', up.log())

    def test_signals_end_all_in_order(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number):
                up = self.up(workers=1)
                self.spawn(self.control(up), "server1")
                os.kill(up.pid, number)
                self.assertEqual(["door-0", "control", "server1"], self.ends(up))

    def test_shutdown_on_order(self) -> None:
        up = self.up(workers=1)
        self.assertTrue(up.order("shutdown")["ok"])
        self.assertEqual(["door-0", "control"], self.ends(up))

    def test_whoever_does_not_listen_is_killed(self) -> None:
        up = self.up(workers=1, drain_timeout_s=0.1, worker=python(STUBBORN))
        wait_until(lambda: is_stubborn(up.of("worker")["door-0"]), "it does not listen")
        os.kill(up.pid, signal.SIGTERM)
        self.assertEqual(["door-0", "control"], self.ends(up))

    def test_ctrl_c_twice_is_quick(self) -> None:
        up = self.up(workers=1, worker=python(STUBBORN), control_argv=python(STUBBORN))
        wait_until(lambda: all(is_stubborn(child["pid"]) for child in up.children()), "they do not listen")
        os.kill(up.pid, signal.SIGINT)
        wait_until(lambda: "ending" in up.log(), "the first was heard")
        os.kill(up.pid, signal.SIGINT)
        self.assertEqual(["door-0", "control"], self.ends(up))

    def test_ctrl_c_many_times_is_still_a_clean_end(self) -> None:
        up = self.up(workers=1)
        while up.process is not None and up.process.poll() is None:
            os.kill(up.pid, signal.SIGINT)
        self.ends(up)

    def test_sessions_of_their_own_are_found_at_the_end(self) -> None:
        up = self.up(workers=1)
        daemon = "import os, signal\nif os.fork() == 0:\n os.setsid()\nsignal.pause()"
        self.spawn(self.control(up), "server1", daemon)
        wait_until(lambda: len(up.processes()) == 4, "the daemon runs")
        os.kill(up.pid, signal.SIGTERM)
        self.ends(up)

    def test_kill_9_leaves_nothing_and_the_next_start_is_clean(self) -> None:
        up = self.up()
        sock = self.control(up)
        self.spawn(sock, "server1")
        self.spawn(sock, "server2", STUBBORN)
        self.assertEqual(5, len(up.processes()))
        os.kill(up.pid, signal.SIGKILL)
        up.wait()
        wait_until(lambda: not up.processes(), "nothing is left")
        up.start()
        self.assertEqual(3, len(up.children()))

    def test_a_closed_terminal_is_a_clean_end(self) -> None:
        """The master side closes: SIGHUP, and every write to the terminal fails from then on."""
        up = Supervising(workers=1)
        self.addCleanup(up.__exit__)
        script = str(Path(sys.modules[Supervising.__module__].__file__ or ""))
        pid, master = pty.fork()
        if pid == 0:
            os.execv(sys.executable, [sys.executable, script, json.dumps(up.settings)])
        wait_until(lambda: up.ports().get("pid") == pid, "it is up")
        wait_until(lambda: len(up.children()) == 2, "its children too")
        os.close(master)
        self.assertEqual(0, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        self.assertEqual([], up.processes())

    def test_a_reader_that_went_away_is_a_clean_end(self) -> None:
        """`carousel up | head`: EPIPE on every line."""
        up = Supervising(workers=1)
        self.addCleanup(up.__exit__)
        script = str(Path(sys.modules[Supervising.__module__].__file__ or ""))
        argv = [sys.executable, script, json.dumps(up.settings)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            assert process.stdout is not None
            wait_until(lambda: up.ports().get("pid") == process.pid, "it is up")
            process.stdout.close()
            process.send_signal(signal.SIGTERM)
            self.assertEqual(0, process.wait(DEADLINE_S))
        self.assertEqual([], up.processes())


class TestPaths(SupervisorCase):
    def test_a_path_too_long_for_a_socket_is_said(self) -> None:
        deep = tempfile.mkdtemp(dir="/tmp") + "/" + "d" * 100
        up = Supervising(run_dir=deep)
        self.addCleanup(up.__exit__)
        up.start(wait=False)
        self.assertEqual(2, up.wait())
        self.assertIn("AF_UNIX path too long", up.log())
        self.assertNotIn("Traceback", up.log())


if __name__ == "__main__":
    unittest.main()
