"""`carousel produce`, `consume` and the others by real runs: files in, files out, kill -9 in between."""

import json
import os
import random
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import pytest
from support.kafka_engines import Engine, engines, started

from analysis.running import wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
LIMIT_S = 90.0
LINES = 60_000
KILLS = 3


@pytest.fixture(scope="module", params=engines())
def engine(request: pytest.FixtureRequest) -> Generator[Engine]:
    with started(request.param) as running:
        yield running


class Carousel:
    """The command, pointed at an engine."""

    def __init__(self, engine: Engine) -> None:
        self.environment = {**os.environ, "QUEUE_BOOTSTRAP": engine.bootstrap, "PYTHONPATH": str(ROOT)}

    def argv(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "loadbalancer", *map(str, arguments)]

    def __call__(self, *arguments: object, data: bytes = b"", code: int = 0) -> bytes:
        """Its standard output; it must end with `code`."""
        done = self.run(*arguments, data=data)
        assert done.returncode == code, (arguments, done.returncode, done.stderr.decode())
        return done.stdout

    def run(self, *arguments: object, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self.argv(*arguments), input=data, capture_output=True, timeout=LIMIT_S, cwd=ROOT, env=self.environment,
            check=False,
        )  # fmt: skip

    def json(self, *arguments: object) -> Any:
        return json.loads(self(*arguments, "--json"))

    def start(self, *arguments: object, **more: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self.argv(*arguments), cwd=ROOT, env=self.environment, **more)

    def killed(self, *arguments: object, delays_s: Iterable[float]) -> None:
        """Started and killed once for each delay, then left to end well."""
        for delay_s in delays_s:
            with self.start(*arguments, stderr=subprocess.DEVNULL) as process:
                try:
                    process.wait(delay_s)
                except subprocess.TimeoutExpired:
                    process.kill()
        self(*arguments)


@pytest.fixture
def carousel(engine: Engine) -> Carousel:
    return Carousel(engine)


@pytest.fixture
def topic(carousel: Carousel) -> Generator[str]:
    name = f"cli-{uuid.uuid4().hex[:12]}"
    carousel("topics", "create", name, "--partitions", 3)
    yield name
    carousel("topics", "delete", name, "--yes")


def lines(count: int) -> list[bytes]:
    return [b"%d %s" % (number, b"x" * (number % 90)) for number in range(count)]


def delays_s(seed: int) -> list[float]:
    """Around the moments at which it is sending: an interpreter and librdkafka take half a second to start."""
    found = random.Random(seed)
    return [found.uniform(0.5, 1.6) for _ in range(KILLS)]


@pytest.mark.slow
def test_killed_again_and_again_every_line_is_there_once(carousel: Carousel, topic: str, tmp_path: Path) -> None:
    sent, there, state = tmp_path / "sent", tmp_path / "there", tmp_path / "state"
    sent.write_bytes(b"\n".join(lines(LINES)) + b"\n")
    carousel.killed("produce", topic, sent, "--state", state, delays_s=delays_s(7))
    carousel.killed("consume", topic, "--until-end", "--output", there, delays_s=delays_s(8))
    assert Counter(there.read_bytes().split(b"\n")) == Counter(sent.read_bytes().split(b"\n"))
    carousel("produce", topic, sent, "--state", state)  # a run that is complete
    carousel("consume", topic, "--until-end", "--output", there)
    assert there.read_bytes().count(b"\n") == LINES


@pytest.mark.slow
def test_a_group_s_file_goes_on_after_a_kill(carousel: Carousel, topic: str, tmp_path: Path) -> None:
    there = tmp_path / "there"
    carousel("produce", topic, data=b"\n".join(lines(LINES)))
    arguments = ("consume", topic, "--group", topic, "--until-end", "--output", there)
    quick = ("-X", "session.timeout.ms=1000")
    carousel.killed(*arguments, *quick, delays_s=delays_s(9))
    carousel(*arguments, *quick)  # one killed while it joined was given partitions, and held them for a second more
    assert Counter(there.read_bytes().splitlines()) == Counter(lines(LINES))
    assert {entry["lag"] for entry in carousel.json("lag", topic)} == {0}
    carousel("groups", "delete", topic, "--yes")


@pytest.mark.slow
def test_keys_headers_times_and_tombstones_are_copied_from_topic_to_topic(carousel: Carousel, topic: str) -> None:
    carousel("produce", topic, "-K", ":", "-H", "trace=7", "-z", "lz4", data=b"a:1\nb:2\na:3\n")
    carousel("produce", topic, "-K", ":", "--tombstones", data=b"c:\n")
    carousel("produce", topic, "--json", data=b'{"value": {"base64": "/wA="}, "timestamp_ms": 1700000000000}\n')
    copied = carousel("consume", topic, "-e", "--json")
    other = f"{topic}-copy"
    carousel("topics", "create", other)
    report = json.loads(carousel("produce", other, "--json", data=copied))
    assert (report["sent"], report["acknowledged"]) == (5, 5)
    kept = ("key", "value", "headers", "timestamp_ms")
    both = [[{name: json.loads(line)[name] for name in kept} for line in text.splitlines()]
            for text in (copied, carousel("consume", other, "-e", "--json"))]  # fmt: skip
    assert both[0] == both[1]
    values = {entry["key"]: entry["value"] for entry in both[0]}
    assert values == {"a": "3", "b": "2", "c": None, None: {"base64": "/wA="}}
    carousel("topics", "delete", other, "--yes")


@pytest.mark.slow
def test_where_reading_starts_and_ends(carousel: Carousel, topic: str) -> None:
    carousel("produce", topic, "-p", 1, data=b"a\nb\nc\nd\n")
    place = f"{topic}:1"
    assert carousel("consume", place, "-e") == b"a\nb\nc\nd\n"
    assert carousel("consume", place, "--from", 1, "-c", 2) == b"b\nc\n"
    assert carousel("consume", place, "--from", -1, "-e", "-f", r"%p@%o=%s\n") == b"1@3=d\n"
    assert carousel("consume", place, "--from", "end", "-e") == b""
    assert carousel("consume", topic, "--from", "-1h", "-e") == b"a\nb\nc\nd\n"
    assert carousel("consume", topic, "--from", "2100-01-01", "-e") == b""
    assert b"holds 0 to 4" in carousel.run("consume", place, "--from", 9).stderr
    short = carousel.run("consume", place, "-c", 9, "--timeout", 1)
    assert (short.returncode, short.stdout) == (1, b"a\nb\nc\nd\n")
    assert b"4 of 9 messages" in short.stderr


@pytest.mark.slow
def test_a_group_is_put_elsewhere(carousel: Carousel, topic: str) -> None:
    carousel("produce", topic, "-p", 0, data=b"a\nb\nc\n")
    assert carousel("consume", topic, "-g", topic, "-c", 2, "-f", "%s") == b"ab"
    (entry,) = (one for one in carousel.json("groups", "describe", topic)["partitions"] if one["partition"] == 0)
    assert (entry["committed"], entry["lag"]) == (2, 1)
    moves = carousel.json("groups", "reset", topic, topic, "--to", "beginning", "--yes")
    assert {move["next"] for move in moves} == {0}
    assert carousel("consume", topic, "-g", topic, "-c", 3, "-f", "%s") == b"abc"
    carousel("groups", "delete", topic, "--yes")
    gone = carousel.run("groups", "describe", topic)
    assert (gone.returncode, gone.stderr.count(b"\n")) == (1, 1)


def test_topics_are_made_grown_set_and_shown(carousel: Carousel, topic: str) -> None:
    carousel("topics", "set", topic, "-c", "retention.ms=3600000", "--partitions", 4)
    found = carousel.json("topics", "describe", topic)
    assert len(found["partitions"]) == 4
    assert found["configs"]["retention.ms"] == {"value": "3600000", "default": False}
    assert b"retention.ms=3600000" in carousel("topics", "describe", topic)
    carousel("topics", "set", topic, "--unset", "retention.ms")
    assert carousel.json("topics", "describe", topic)["configs"]["retention.ms"]["default"]
    assert topic in {entry["topic"] for entry in carousel.json("topics")}
    again = carousel.run("topics", "create", topic)
    assert (again.returncode, b"already" in again.stderr) == (1, True)
    carousel("topics", "create", topic, "--if-not-exists")


def test_tail_shows_the_last_and_follows(carousel: Carousel, topic: str) -> None:
    carousel("produce", topic, "-p", 0, data=b"\n".join(lines(30)))
    assert [json.loads(line)["value"].split()[0] for line in carousel("tail", topic, "-n", 3, "--no-follow", "--json")
            .splitlines()] == ["27", "28", "29"]  # fmt: skip
    with carousel.start("tail", topic, "-n", 1, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b"  29 xxx" in process.stdout.readline()
        carousel("produce", topic, "-K", ":", data=b"key:new\n")
        assert b"key  new" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(LIMIT_S) == 130


def test_what_goes_wrong_is_one_line_and_an_exit_status(carousel: Carousel, topic: str, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_bytes(b"mine")
    for arguments, data, code, words in (
        (("produce", topic, "-K", ":"), b"a:1\nb\n", 1, "line 2 has no key"),
        (("produce", topic, tmp_path / "none"), b"", 1, "No such file"),
        (("produce", topic, "--json"), b"{}\nx\n", 1, "line 2 is no JSON"),
        (("produce", topic, "-p", 9), b"a\n", 1, "line 1 was not acknowledged"),
        (("produce", topic, "-z", "rar"), b"a\n", 2, "compression"),
        (("consume", topic, "-f", "%y"), b"", 2, "%y is not one of"),
        (("consume", topic, "--from", "noon"), b"", 2, "beginning, end"),
        (("consume", topic, "-o", taken), b"", 1, "remove it, or name another"),
        (("consume", f"{topic}-none"), b"", 1, "carousel topics create"),
        (("topics", "delete", topic), b"", 2, "--yes"),
        (("topics", "describe", f"{topic}-none"), b"", 1, "carousel topics"),
        (("lag", "--bootstrap", "nonsense"), b"", 2, "host:port"),
    ):
        done = carousel.run(*arguments, data=data)
        text = done.stderr.decode()
        assert (done.returncode, text.count("\n"), words in text) == (code, 1, True), (arguments, done.returncode, text)
    assert taken.read_bytes() == b"mine"


def held(carousel: Carousel, topic: str) -> int:
    """How many messages the topic has."""
    return carousel.json("topics", "describe", topic)["messages"]


@pytest.mark.slow
def test_ctrl_c_and_a_reader_that_goes_are_clean_ends(carousel: Carousel, topic: str) -> None:
    carousel("produce", topic, data=b"\n".join(lines(5_000)))
    piped = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$@" | head -n 1', "-", *carousel.argv("consume", topic)],
        capture_output=True, timeout=LIMIT_S, cwd=ROOT, env=carousel.environment, check=False,
    )  # fmt: skip
    assert (piped.returncode, piped.stdout.count(b"\n"), piped.stderr) == (141, 1, b"")
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        before = held(carousel, topic)
        with carousel.start("produce", topic, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stderr is not None
            process.stdin.write(b"last words\n")
            process.stdin.flush()
            wait_until(lambda: held(carousel, topic) > before, LIMIT_S, "the line")  # noqa: B023
            process.send_signal(number)
            assert process.stderr.read() == b"carousel: 1 of 1 line sent are acknowledged\n"
            assert process.wait(LIMIT_S) == status


def test_a_cluster_that_is_not_there(carousel: Carousel) -> None:
    done = carousel.run("produce", "T1", "-b", "127.0.0.1:1", "-X", "delivery.timeout.ms=1500", data=b"a\n")
    text = done.stderr.decode()
    assert (done.returncode, text.count("\n"), "line 1 was not acknowledged" in text) == (1, 1, True), text
