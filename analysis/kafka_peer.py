"""Apache Kafka beside us: its jars by Maven, one broker in KRaft mode on loopback, and its own console tools.

The jars and their versions are in tests/kafka/pom.xml; they are fetched once into `.kafka/`. The broker has Kafka's
defaults but for what one node needs (internal topics of one replica, no delay of the first rebalance) and a heap of
1 GiB. The benchmark takes it as the peer, tests as the reference: what our servers answer, Kafka must answer too.
"""

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from analysis.ports import free_ports
from analysis.running import wait_until

ROOT: Final = Path(__file__).resolve().parent.parent
POM: Final = ROOT / "tests" / "kafka" / "pom.xml"
JARS: Final = ROOT / ".kafka" / "jars"
FETCHED: Final = ROOT / ".kafka" / "fetched"
COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
FETCH_S: Final = 300.0
START_S: Final = 60.0
STOP_S: Final = 30.0
TUNED: Final = ("-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true")  # fmt: skip
"""What kafka-run-class.sh gives every JVM."""
HEAP: Final = ("-Xmx1g", "-Xms1g", *TUNED)
LOAD_HEAP: Final = ("-Xmx512m", *TUNED)
"""Of the load tools, as in their scripts."""
TOOL_HEAP: Final = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
QUIET: Final = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
TOOLS: Final[Mapping[str, str]] = {
    "topics": "org.apache.kafka.tools.TopicCommand",
    "configs": "kafka.admin.ConfigCommand",
    "groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "producer": "org.apache.kafka.tools.ConsoleProducer",
    "consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "producer-perf": "org.apache.kafka.tools.ProducerPerformance",
    "consumer-perf": "org.apache.kafka.tools.ConsumerPerformance",
    "end-to-end-latency": "org.apache.kafka.tools.EndToEndLatency",
    "dump-log": "kafka.tools.DumpLogSegments",
}
"""Kafka's shell scripts, by the classes that they start."""


def lacking() -> str:
    """What must be installed first, in one line; "" when all is there."""
    missing = [name for name in ("java", "mvn") if shutil.which(name) is None]
    return f"{' and '.join(missing)} not found: on Debian, apt install default-jre-headless maven" if missing else ""


def jars() -> Path:
    """The directory with Kafka's jars, fetched if they are not the POM's. Raises RuntimeError with Maven's words."""
    wanted = POM.read_text()
    if not _is_fetched(wanted):
        FETCHED.parent.mkdir(exist_ok=True)
        with (FETCHED.parent / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two test runners fetch once: Maven's own store takes no two writers
            if not _is_fetched(wanted):
                _fetch()
                FETCHED.write_text(wanted)
    return JARS


def _is_fetched(wanted: str) -> bool:
    return FETCHED.exists() and FETCHED.read_text() == wanted


def _fetch() -> None:
    shutil.rmtree(JARS, ignore_errors=True)
    command = ["mvn", "-q", "-B", "-f", str(POM), COPY, f"-DoutputDirectory={JARS}"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=FETCH_S, check=False
    )
    if done.returncode:
        raise RuntimeError(f"Maven can't fetch Kafka's jars: {(done.stdout + done.stderr)[-2000:]}")


def java(main: str, arguments: Sequence[str], heap: Sequence[str] = TOOL_HEAP) -> list[str]:
    return ["java", *heap, QUIET, "-cp", f"{jars()}/*", main, *arguments]


def run_tool(
    name: str, *arguments: str, told: bytes = b"", timeout_s: float = 60.0, heap: Sequence[str] = TOOL_HEAP
) -> str:
    """What one of TOOLS printed, run to its end with `told` on standard input. Raises RuntimeError if it failed."""
    command = java(TOOLS[name], arguments, heap)
    done = subprocess.run(command, input=told, capture_output=True, timeout=timeout_s, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} {' '.join(arguments)}: {(done.stdout + done.stderr).decode()[-3000:]}")
    return done.stdout.decode()


class Kafka:
    """One broker, a context manager. `settings` go into server.properties; its directory is made in `parent`."""

    def __init__(self, settings: Mapping[str, str] | None = None, parent: Path | None = None) -> None:
        self._settings = dict(settings or {})
        self._parent = parent or Path("/tmp")
        self.port = 0
        self.pid = 0
        self.begun = 0.0
        """When it was last started, by the monotonic clock."""

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> "Kafka":
        self.directory = Path(tempfile.mkdtemp(prefix="kafka-", dir=self._parent))
        try:
            self._format()
            self.start()
        except BaseException:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self) -> None:
        """Start the broker on its directory, and wait until it answers. Raises RuntimeError with its log's end."""
        command = java("kafka.Kafka", [str(self.directory / "server.properties")], HEAP)
        with (self.directory / "kafka.log").open("ab") as log:
            environment = {**os.environ, "LOG_DIR": str(self.directory)}
            self.begun = time.monotonic()
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                start_new_session=True,  # for the scheduler a group of its own, as our servers are
            )  # fmt: skip
        self.pid = self._process.pid
        try:
            wait_until(self._answers, START_S, "Kafka's start")
        except TimeoutError as error:
            self.stop()
            raise RuntimeError(f"{error}\n{(self.directory / 'kafka.log').read_text()[-4000:]}") from error

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that does not end it."""
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def wait(self, timeout_s: float) -> int:
        """Its exit status, when it has ended, by itself or killed. Raises subprocess.TimeoutExpired."""
        return self._process.wait(timeout_s)

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise TimeoutError(f"it ended with {self._process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def _format(self) -> None:
        self.port, controller = free_ports(2)
        properties = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.directory / "data"),
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            **self._settings,
        }
        text = "".join(f"{name}={value}\n" for name, value in properties.items())
        config = self.directory / "server.properties"
        config.write_text(text)
        command = java("kafka.tools.StorageTool", ["format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", str(config)])
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_S, check=False)
        if done.returncode:
            raise RuntimeError(f"Kafka's storage can't be formatted: {(done.stdout + done.stderr)[-2000:]}")
