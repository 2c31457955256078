"""The whole system as a user runs it: real processes, ports of its own, a state directory of its own."""

import concurrent.futures
import contextlib
import fcntl
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, ClassVar

import pytest

from analysis.running import Running, alive, running, start, wait_ready, wait_until

ROOT = Path(__file__).parents[2]
LIMIT_S = 30.0


def carousel(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "loadbalancer", *arguments], capture_output=True, text=True, timeout=LIMIT_S,
        cwd=ROOT, env={**os.environ, **environment}, check=False,
    )  # fmt: skip


@pytest.mark.system
class FrontDoorTest(unittest.TestCase):
    """One system for all of these tests; each leaves it with healthy replicas, however many."""

    system: ClassVar[Running]

    @classmethod
    def setUpClass(cls) -> None:
        cls.system = cls.enterClassContext(running("--workers", "2"))

    def setUp(self) -> None:
        wait_until(lambda: set(self.states()) == {"healthy"}, LIMIT_S, "all healthy")

    def states(self) -> list[str]:
        return [replica["state"] for replica in self.system.cluster()["replicas"]]

    def failure(self, answer: tuple[int, Any], status: int, message: str) -> None:
        self.assertEqual(answer[0], status, answer)
        self.assertEqual(answer[1]["status"], "failure")
        self.assertRegex(answer[1]["message"], "^<Error> " + message)

    def test_home_is_answered_by_each_on_both_ports(self) -> None:
        for port in (self.system.port, self.system.second_port):
            seen: set[str] = set()

            def all_seen(port: int = port, seen: set[str] = seen) -> bool:
                connection = http.client.HTTPConnection("127.0.0.1", port)
                connection.request("GET", "/home")
                body = json.loads(connection.getresponse().read())
                connection.close()
                self.assertEqual(body["status"], "successful")
                seen.add(re.fullmatch(r"Hello from Server: (\S+)", body["message"])[1])  # type: ignore[index]
                return seen == set(self.system.names())

            wait_until(all_seen, LIMIT_S, "each has answered")

    def test_what_no_replica_knows_is_400(self) -> None:
        self.failure(self.system.call("GET", "/other?x=1"), 400, "'/other' endpoint does not exist in server replicas$")

    def test_rep_has_the_field_s_shape(self) -> None:
        names = self.system.names()
        self.assertEqual(
            self.system.call("GET", "/rep"),
            (200, {"message": {"N": len(names), "replicas": names}, "status": "successful"}),
        )

    def test_add_and_rm_with_names_bodies_and_forms(self) -> None:
        before = self.system.names()
        status, answer = self.system.call("POST", "/add", {"n": 2, "hostnames": ["S5"]})
        self.assertEqual((status, answer["status"]), (200, "successful"))
        self.assertEqual(answer["message"]["N"], len(before) + 2)
        added = [name for name in answer["message"]["replicas"] if name not in before]
        self.assertIn("S5", added)
        connection = http.client.HTTPConnection("127.0.0.1", self.system.second_port)
        connection.request("POST", "/rm", "server_id=S5", {"Content-Type": "application/x-www-form-urlencoded"})
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()
        other = next(name for name in added if name != "S5")
        status, answer = self.system.call("DELETE", "/rm", {"n": 1, "hostnames": [other]})
        self.assertEqual((status, answer["message"]["replicas"]), (200, before))

    def test_refusals_change_nothing(self) -> None:
        names = self.system.names()
        two_for_one = {"n": 1, "hostnames": ["a", "b"]}
        cases: list[tuple[str, str, Any, str]] = [
            ("POST", "/add", two_for_one, "Length of hostname list is more than newly added instances$"),
            ("DELETE", "/rm", two_for_one, "Length of hostname list is more than removable instances$"),
            ("POST", "/add", {}, ".*n"),
            ("POST", "/add", {"n": 0}, ".*n"),
            ("POST", "/add", {"n": "three"}, ".*n"),
            ("POST", "/add", {"n": 99}, ".*64"),
            ("POST", "/add", {"n": 2, "hostnames": ["a", "A"]}, ""),
            ("POST", "/add", {"n": 1, "hostnames": [names[0].upper()]}, ""),
            ("POST", "/add", {"n": 1, "hostnames": ["-x"]}, ""),
            ("POST", "/add", {"n": 1, "hostnames": ["loadbalancer"]}, ""),
            ("DELETE", "/rm", {"n": 1, "hostnames": ["nobody"]}, ".*nobody"),
            ("DELETE", "/rm", {"n": 50}, ""),
        ]  # fmt: skip
        for method, path, body, message in cases:
            with self.subTest(path=path, body=body):
                self.failure(self.system.call(method, path, body), 400, message)
        self.assertEqual(self.system.names(), names)

    def test_a_foreign_page_changes_nothing(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.system.port)
        headers = {"Origin": "http://evil.example", "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/add", "server_id=S9", headers)
        self.assertEqual(connection.getresponse().status, 403)
        connection.close()

    def test_a_killed_replica_is_replaced_unnoticed(self) -> None:
        before = self.system.names()
        victim = next(child for child in self.system.children("replica") if child["name"] == before[0])
        os.kill(victim["pid"], signal.SIGKILL)
        for _ in range(200):
            self.assertEqual(self.system.call("GET", "/home")[0], 200)
        wait_until(lambda: len(self.healthy()) == len(before), LIMIT_S, "replaced")
        after = self.system.names()
        self.assertNotIn(before[0], after)
        self.assertEqual(set(before[1:]), set(after) & set(before))
        rows = {row["name"]: row for row in self.system.cluster()["replicas"]}
        self.assertIn(victim["node_id"], [row["node_id"] for row in rows.values()])
        kinds = {(e["kind"], e["replica"]) for e in self.system.call("GET", "/admin/events?since=0")[1]}
        self.assertIn(("dead", before[0]), kinds)

    def healthy(self) -> list[str]:
        return [r["name"] for r in self.system.cluster()["replicas"] if r["state"] == "healthy"]

    def test_a_frozen_replica_is_killed_before_it_is_replaced(self) -> None:
        before = self.system.names()
        victim = next(child for child in self.system.children("replica") if child["name"] == before[-1])
        os.kill(victim["pid"], signal.SIGSTOP)
        wait_until(lambda: before[-1] not in self.healthy() and len(self.healthy()) == len(before), LIMIT_S, "replaced")
        self.assertFalse(alive(victim["pid"]))
        lock = self.system.state_dir / "nodes" / str(victim["node_id"]) / "lock"
        with lock.open() as file, self.assertRaises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def test_drain_undrain_and_weight(self) -> None:
        name = self.system.names()[0]
        self.assertEqual(self.system.call("POST", f"/admin/replicas/{name}/drain")[0], 200)
        self.assertIn("draining", self.states())
        seen = {self.system.call("GET", "/home")[1]["message"].split()[-1] for _ in range(60)}
        self.assertNotIn(name, seen)
        self.assertEqual(self.system.call("POST", f"/admin/replicas/{name}/undrain")[0], 200)
        self.assertEqual(self.system.call("POST", f"/admin/replicas/{name}/weight", {"weight": 2})[0], 200)
        self.assertEqual(self.system.cluster()["replicas"][0]["weight"], 2)
        self.assertEqual(self.system.call("POST", f"/admin/replicas/{name}/weight", {"weight": 1})[0], 200)
        self.assertEqual(self.system.call("POST", "/admin/replicas/nobody/drain")[0], 404)

    @pytest.mark.slow
    def test_rep_answers_while_streams_are_open_and_adds_wait(self) -> None:
        with contextlib.ExitStack() as stack:
            for _ in range(32):
                stream = http.client.HTTPConnection("127.0.0.1", self.system.port, timeout=LIMIT_S)
                stack.callback(stream.close)
                stream.request("GET", "/admin/events?since=0", headers={"Accept": "text/event-stream"})
                response = stream.getresponse()
                self.assertEqual((response.status, response.getheader("Content-Type")), (200, "text/event-stream"))
                self.assertTrue(response.readline())
            names = [f"wait{i}" for i in range(20)]
            pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(20))
            adding = [pool.submit(self.system.call, "POST", "/add", {"n": 1, "hostnames": [name]}) for name in names]
            answered = 0
            while not all(future.done() for future in adding):
                self.assertEqual(self.system.call("GET", "/rep", timeout_s=5)[0], 200)
                answered += 1
            self.assertGreater(answered, 0)
            self.assertEqual([future.result()[0] for future in adding], [200] * 20)
        self.assertEqual(self.system.call("DELETE", "/rm", {"n": 20, "hostnames": names})[0], 200)

    def test_metrics_are_those_of_all_workers(self) -> None:
        for _ in range(10):
            self.system.call("GET", "/home")
        text = ""

        def counted() -> bool:
            nonlocal text
            text = self.system.call("GET", "/metrics")[1]
            return "carousel_data_path_workers 2.0" in text and 'route="proxy"' in text

        wait_until(counted, LIMIT_S, "both workers are counted")
        self.assertIn('carousel_replicas{state="healthy"} 3.0', text)

    def test_live_and_ready(self) -> None:
        self.assertEqual(self.system.call("GET", "/admin/live")[0], 200)
        self.assertEqual(self.system.call("GET", "/admin/ready")[0], 200)

    def test_the_command_line(self) -> None:
        at = ("--state-dir", str(self.system.state_dir))
        shown = carousel("status", *at)
        for name in self.system.names():
            self.assertIn(name, shown.stdout)
        self.assertEqual(json.loads(carousel("status", *at, "--json").stdout)["target"], 3)
        self.assertIn("blue", carousel("add", "blue", *at).stdout)
        events = carousel("events", *at, "--json").stdout.splitlines()
        self.assertTrue(any(json.loads(line)["replica"] == "blue" for line in events))
        order = json.loads(carousel("ring", "alice", "--url", self.system.url, "--json").stdout)["order"]
        self.assertEqual({replica["name"] for replica in order}, set(self.system.names()))
        self.assertEqual(carousel("rm", "blue", *at).returncode, 0)
        refused = carousel("rm", "blue", *at)
        self.assertEqual((refused.returncode, refused.stdout), (1, ""))
        self.assertIn("blue", refused.stderr)

    def test_a_second_one_in_the_same_directory_is_refused(self) -> None:
        second = carousel("up", "--state-dir", str(self.system.state_dir), "--port", "0", "--second-port", "0")
        self.assertEqual(second.returncode, 2)
        self.assertIn("already running", second.stderr)
        self.assertEqual(self.system.call("GET", "/rep")[0], 200)

    def test_a_reload_loses_no_request(self) -> None:
        doors = {child["pid"] for child in self.system.children("worker")}
        connection = http.client.HTTPConnection("127.0.0.1", self.system.port, timeout=LIMIT_S)

        def answered() -> None:
            connection.request("GET", "/home")
            response = connection.getresponse()
            response.read()
            self.assertEqual(response.status, 200)

        answered()
        self.assertEqual(carousel("reload", "--state-dir", str(self.system.state_dir)).returncode, 0)

        def reloaded() -> bool:
            answered()
            return not doors & {child["pid"] for child in self.system.children("worker")}

        wait_until(reloaded, LIMIT_S, "new workers")
        connection.close()
        wait_until(lambda: self.rep_answers(), LIMIT_S, "/rep answers")

    def rep_answers(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.system.call("GET", "/rep")[0] == 200
        return False


@pytest.mark.system
class StartTest(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="carousel-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def test_a_bad_setting_is_one_line_and_exits_with_2(self) -> None:
        for flags, named in (
            (("--port", "x"), "--port"),
            (("--route-by", "moon"), "--route-by"),
            (("--oops", "1"), "--oops"),
        ):
            with self.subTest(flags):
                bad = carousel("up", "--state-dir", str(self.directory), *flags)
                self.assertEqual(bad.returncode, 2)
                self.assertIn(named, bad.stderr)
        bad = carousel("up", "--state-dir", str(self.directory), CAROUSEL_REPLICAS="many")
        self.assertEqual((bad.returncode, len(bad.stderr.splitlines())), (2, 1))

    def test_a_port_in_use_exits_with_2(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            for flags in (("--port", port), ("--port", "0", "--queue-port", port)):
                with self.subTest(flags):
                    bad = carousel("up", "--state-dir", str(self.directory), "--second-port", "0", *flags)
                    self.assertEqual((bad.returncode, len(bad.stderr.splitlines())), (2, 1), bad.stderr)
                    self.assertIn(f"port {port} is in use", bad.stderr)

    def test_the_layout_outlives_the_system(self) -> None:
        with running(state_dir=self.directory) as system:
            self.assertEqual(system.call("POST", "/add", {"n": 1, "hostnames": ["blue"]})[0], 200)
            before = [(r["name"], r["node_id"], r["index"]) for r in system.cluster()["replicas"]]
            pids = system.pids()
            self.assertEqual(system.end(), 0)
            self.assertFalse([pid for pid in pids if alive(pid)])
        again = start(self.directory, replicas=4)
        try:
            wait_ready(again, 4)
            self.assertEqual([(r["name"], r["node_id"], r["index"]) for r in again.cluster()["replicas"]], before)
        finally:
            self.assertEqual(again.end(), 0)

    def test_static_backends_come_back_by_themselves(self) -> None:
        with running("--ring-hash", "spec", state_dir=self.directory) as real:
            addresses = [row["address"] for row in real.cluster()["replicas"]]
            addresses[1] = addresses[1].replace("127.0.0.1", "localhost")  # a name, to be resolved
            flags = ("--runtime", "static", "--backends", ",".join(addresses[:2]))
            elsewhere = Path(tempfile.mkdtemp(prefix="carousel-", dir="/tmp"))
            self.addCleanup(shutil.rmtree, elsewhere, ignore_errors=True)
            front = start(elsewhere, *flags, replicas=2)
            try:
                wait_ready(front, 2)
                self.assertEqual(front.names(), addresses[:2])
                self.assertEqual(front.call("GET", "/other")[0], 404)
                self.assertEqual(front.call("POST", "/add", {"n": 1, "hostnames": [addresses[2]]})[0], 200)
                self.assertEqual(front.call("DELETE", "/rm", {"n": 1, "hostnames": [addresses[0]]})[0], 200)
                self.assertEqual(front.names(), addresses[1:])
                self.assertEqual({front.call("GET", "/home")[0] for _ in range(20)}, {200})
            finally:
                self.assertEqual(front.end(), 0)
            self.assertEqual(real.call("GET", "/home")[0], 200)
