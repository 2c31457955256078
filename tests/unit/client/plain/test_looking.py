import io
import socket
import unittest
from collections.abc import Callable
from typing import Any

from client.errors import CarouselError, Refused, Unreachable
from client.plain.looking import OUT_OF_REACH_S, bootstrap, can_connect, http_names, persistently, wait_for
from client.plain.notices import Notices


class Script:
    """Answers one after another; an exception among them is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def __call__(self) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Calls:
    def __init__(self, *answers: Any) -> None:
        self.cluster = self.topics = Script(*answers)


class Door:
    """The load balancer of a queue whose servers may be out of reach. `answers`: whether they do, over HTTP."""

    def __init__(self, address: str, answers: Callable[[], bool] = lambda: True) -> None:
        self.address = address
        self.answers = answers

    def cluster(self) -> Any:
        return {"queue": {"bootstrap": self.address}}

    def topics(self) -> Any:
        if not self.answers():
            raise Unreachable("nobody")
        return {}


class LookingTest(unittest.TestCase):
    def setUp(self) -> None:
        self.out = io.StringIO()
        self.now_s = 0.0
        self.notices = Notices("test", self.out, lambda: self.now_s)
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds

    def bootstrap(self, *answers: Any) -> str | None:
        calls: Any = Calls(*answers)
        return bootstrap(calls, self.notices, self.sleep, reaches=lambda _: True, now=lambda: self.now_s)

    def reached(self, door: Any, reaches: Callable[[str], bool], bound: bool = False) -> str | None:
        return bootstrap(door, self.notices, self.sleep, bound=bound, reaches=reaches, now=lambda: self.now_s)

    def test_the_bootstrap_address(self) -> None:
        self.assertEqual(self.bootstrap({"queue": {"bootstrap": "a:1"}}), "a:1")
        self.assertEqual(self.out.getvalue(), "")

    def test_there_is_only_http(self) -> None:
        self.assertIsNone(self.bootstrap(None))
        self.assertIsNone(self.bootstrap({"target": 3}))
        self.assertIsNone(self.bootstrap({"queue": None}))

    def test_one_server_in_reach_is_enough(self) -> None:
        self.assertEqual(self.reached(Door("a:1,b:2"), lambda one: one == "b:2"), "a:1,b:2")
        self.assertEqual(self.out.getvalue(), "")

    def test_servers_out_of_reach_that_answer_over_http(self) -> None:
        self.assertIsNone(self.reached(Door("a:1,b:2"), lambda _: False))
        self.assertEqual(self.now_s, OUT_OF_REACH_S)
        said = self.out.getvalue().splitlines()
        first = "test: no connection can be made to a:1,b:2, where the Kafka protocol is spoken"
        self.assertEqual(said[0], f"{first}; still trying")
        self.assertIn(f"{first}: going over HTTP instead", said)

    def test_servers_that_are_away_for_a_moment_are_waited_for(self) -> None:
        self.assertEqual(self.reached(Door("a:1"), lambda _: self.now_s >= OUT_OF_REACH_S - 0.5), "a:1")
        self.assertNotIn("HTTP", self.out.getvalue())

    def test_servers_that_are_away_altogether_are_waited_for(self) -> None:
        door = Door("a:1", lambda: False)
        self.assertEqual(self.reached(door, lambda _: self.now_s > 10 * OUT_OF_REACH_S), "a:1")

    def test_the_time_begins_anew_when_they_did_not_answer(self) -> None:
        door = Door("a:1", lambda: self.now_s != 8)
        self.assertIsNone(self.reached(door, lambda _: False))
        self.assertEqual(self.now_s, 8.5 + OUT_OF_REACH_S)

    def test_a_run_that_went_over_kafka_stays_there(self) -> None:
        self.assertEqual(self.reached(Door("a:1"), lambda _: False, bound=True), "a:1")

    def test_connections(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            self.assertTrue(can_connect(f"127.0.0.1:{port}"))
            self.assertTrue(can_connect(f" 127.0.0.1:{port}"))
        for address in (f"127.0.0.1:{port}", "[::1]:1", "nothing", ":", ""):
            self.assertFalse(can_connect(address), address)

    def test_waits_while_the_balancer_is_away_and_while_there_is_no_server(self) -> None:
        answers = [Unreachable("nobody"), Unreachable("nobody"), {"queue": {"bootstrap": ""}}]
        self.assertEqual(self.bootstrap(*answers, {"queue": {"bootstrap": "a:1"}}), "a:1")
        self.assertEqual(self.out.getvalue(), "test: nobody; still trying\ntest: goes on, after 1.5 s\n")

    def test_trouble_is_said_again_after_ten_seconds(self) -> None:
        answers = [Unreachable("nobody")] * 45
        self.bootstrap(*answers, {"queue": {"bootstrap": "a:1"}})
        self.assertEqual(self.out.getvalue().count("still trying"), 3)

    def test_what_does_not_pass_is_raised(self) -> None:
        with self.assertRaises(Refused):
            persistently(Script(Refused("no")), self.notices, self.sleep)
        found = persistently(Script(Refused("no"), 7), self.notices, self.sleep, goes_on=lambda _: True)
        self.assertEqual(found, 7)

    def test_topics_are_waited_for(self) -> None:
        def missing(names: Any) -> list[str]:
            return [topic for topic in ("T1", "T2") if topic not in names]

        last = {"T1": ("P1",), "T2": ("P1",)}
        look = Script({}, {}, Unreachable("nobody"), {"T1": ("P1",)}, last)
        self.assertEqual(wait_for(look, missing, self.notices, self.sleep), (last, {}))
        self.assertEqual(
            self.out.getvalue().splitlines(),
            [
                "test: waiting for T1, T2",
                "test: nobody; still trying",
                "test: goes on, after 0.5 s",
                "test: waiting for T2",
            ],
        )

    def test_names_by_http(self) -> None:
        calls: Any = Calls({"T1": {"P1": "server1", "a": "server2"}, "T2": {}})
        self.assertEqual(http_names(calls, ["T1", "T3", "T1"]), {"T1": ("P1", "a")})

    def test_over_without_trouble_is_silent(self) -> None:
        self.notices.over()
        self.assertEqual(self.out.getvalue(), "")
        self.assertFalse(self.notices.in_trouble)

    def test_errors_say_whether_they_pass(self) -> None:
        self.assertFalse(CarouselError.retry)
        self.assertTrue(Unreachable.retry)
