"""What is asked of the fronts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scenario:
    """`mode` is load.lua's; `workers` is how many each front has."""

    name: str
    what: str
    connections: int
    path: str = "/home"
    method: str = "GET"
    mode: str = "keyed"
    workers: int = 1


_ALL = (
    Scenario("get-32", "small GET, 32 connections", 32),
    Scenario("get-512", "small GET, 512 connections", 512),
    Scenario("post-1k", "1 KiB POST and answer, 32 connections", 32, "/1k", "POST"),
    Scenario("get-64k", "64 KiB answer, 32 connections", 32, "/64k.bin"),
    Scenario("get-32-fixed", "small GET without an id: the front makes it", 32, mode="fixed"),
    Scenario("get-32-varied", "small GET, 504 different heads", 32, mode="varied"),
)
_TWO_WORKERS = (
    Scenario("get-32-two", "small GET, 32 connections, two workers", 32, workers=2),
    Scenario("get-512-two", "small GET, 512 connections, two workers", 512, workers=2),
)
SCENARIOS = {scenario.name: scenario for scenario in (*_ALL, *_TWO_WORKERS)}
DEFAULT = tuple(scenario.name for scenario in _ALL)
TWO_WORKERS = tuple(scenario.name for scenario in _TWO_WORKERS)
"""Reported without a goal: on two cores the fronts then share theirs with the load."""
