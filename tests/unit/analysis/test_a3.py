import unittest
from typing import Any
from unittest import mock

from analysis import a3
from analysis.a3 import figures, percentiles, story
from analysis.balance import Size
from analysis.timeline import Load, Sample

KILLED_AT = 1000.0


def event(time: float, kind: str, replica: str, reason: str = "") -> dict[str, Any]:
    return {"id": 0, "time": time, "kind": kind, "replica": replica, "reason": reason}


EVENTS = [
    event(990.0, "starting", "server2", "first start"),
    event(991.0, "healthy", "server2"),
    event(1000.002, "dead", "server2", "SIGKILL"),
    event(1000.003, "starting", "server4", "replaces server2"),
    event(1000.1, "healthy", "server4"),
    event(1005.0, "dead", "server4"),
]


class StoryTest(unittest.TestCase):
    def test_only_the_victims_own(self) -> None:
        self.assertEqual(
            story(EVENTS, "server2"),
            {"dead": (1000.002, "server2"), "starting": (1000.003, "server4"), "healthy": (1000.1, "server4")},
        )
        self.assertEqual(story(EVENTS, "server3"), {})


class FiguresTest(unittest.TestCase):
    def test_times_run_from_the_kill(self) -> None:
        load = Load("", 2.0, 3, lambda: None)
        load.samples += [
            Sample(1000.2, 1000.21, "server4", ""),
            Sample(999.5, 999.51, "server2", ""),
            Sample(1000.0, 1000.05, "", "status 503"),
        ]
        found = figures(load, KILLED_AT, "server2", ["server1", "server2"], EVENTS)
        self.assertEqual((found["requests"], found["failed"], found["successor"]), (3, 1, "server4"))
        self.assertEqual((found["noticed_s"], found["starting_s"], found["healthy_s"]), (0.002, 0.003, 0.1))
        self.assertAlmostEqual(found["first_answer_s"], 0.21)
        self.assertEqual(found["replicas"], ["server1", "server2", "server4"])
        self.assertEqual(found["columns"]["due_s"], [-0.5, 0.0, 0.2])
        self.assertEqual(found["columns"]["reason"], ["", "status 503", ""])

    def test_what_never_came_is_null(self) -> None:
        load = Load("", 1.0, 1, lambda: None, samples=[Sample(999.0, 999.5, "server1", "")])
        found = figures(load, KILLED_AT, "server2", ["server1", "server2"], EVENTS[:2])
        self.assertEqual([found[name] for name in ("noticed_s", "healthy_s", "first_answer_s")], [None] * 3)
        self.assertEqual(found["replicas"], ["server1", "server2"])

    def test_percentiles(self) -> None:
        samples = [Sample(0.0, i / 1000, "", "") for i in range(1, 101)]
        self.assertEqual(percentiles(samples), {"p50": 51.0, "p99": 100.0, "p99.9": 100.0, "max": 100.0})


class RuntimesTest(unittest.TestCase):
    def test_without_an_engine_the_reason_is_kept(self) -> None:
        steps: list[int] = []
        with (
            mock.patch.object(a3, "killed", return_value={"failed": 0}),
            mock.patch.object(a3, "_endpoints", return_value=[]),
            mock.patch.object(a3, "_no_docker", return_value="no Docker engine answers"),
        ):
            found = a3.run(Size(10, 1), steps.append)
        self.assertEqual(found["kills"], {"process": {"failed": 0}, "docker": {"skipped": "no Docker engine answers"}})
        self.assertEqual(steps, [10])

    def test_a_start_that_fails_is_a_reason_and_leaves_nothing(self) -> None:
        calls: list[tuple[str, ...]] = []

        def docker(*arguments: str) -> str:
            calls.append(arguments)
            return "left\n" if "ls" in arguments else ""

        def killed(size: Size, advance: Any, kill: Any, *flags: str) -> dict[str, Any]:
            if "docker" in flags:
                raise RuntimeError("start: not within 30 s\nno image carousel-server")
            return {}

        with (
            mock.patch.multiple(a3, killed=killed, _docker=docker),
            mock.patch.object(a3, "_endpoints", return_value=[]),
            mock.patch.object(a3, "_no_docker", return_value=""),
        ):
            found = a3.run(Size(10, 1), lambda count: None)
        self.assertEqual(found["kills"]["docker"], {"skipped": "no image carousel-server"})
        self.assertIn(("volume", "rm", "left"), calls)
        self.assertIn(("network", "rm", "left"), calls)
