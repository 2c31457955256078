"""What `carousel up` hands to the supervisor that it becomes, and what the supervisor asks for again to reload."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from loadbalancer.spawn.plan import PlainLog, SupervisorPlan

SETTLE_TIMEOUT_S = 20.0  # 0.3 s on a quiet machine; the supervisor reaps nobody meanwhile


@dataclass(frozen=True, slots=True)
class Startup:
    """The settled settings, as far as the supervisor needs them.

    `files` are written into the run directory, for their owner only, before anything is started: the settings for
    control and for the data path. `flags` are those of the command line, to settle everything anew for a reload.
    """

    state_dir: str
    run_dir: str
    cluster_id: str
    bind: str
    ports: Mapping[str, int]
    optional_ports: Mapping[str, int]
    workers: int
    drain_timeout_s: float
    flags: Mapping[str, str]
    files: Mapping[str, str]
    log_format: str = "auto"
    queue: str = ""
    warnings: tuple[str, ...] = ()
    farewell: tuple[str, ...] = ()

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> "Startup":
        """Raises ValueError or TypeError if `text` is not what `dump` wrote."""
        return cls(**json.loads(text))

    def plan(self) -> SupervisorPlan:
        run_dir = Path(self.run_dir)
        return SupervisorPlan(
            state_dir=Path(self.state_dir),
            run_dir=run_dir,
            cluster_id=self.cluster_id,
            control_argv=python("loadbalancer.rest.gunicorn_app", "--settings", str(run_dir / "settings.json")),
            worker_argv=lambda slot: python(
                "loadbalancer.aio.start", "--config", str(run_dir / "door.json"), "--slot", str(slot)
            ),
            ports=self.ports,
            optional_ports=self.optional_ports,
            bind=self.bind,
            workers=self.workers,
            files=self.files,
            drain_timeout_s=self.drain_timeout_s,
            queue=self.queue,
            farewell=self.farewell,
            refresh=lambda: self.again().plan(),
            log=PlainLog(self.log_format),
        )

    def again(self) -> "Startup":
        """The same flags settled anew, with what .env says now. Raises ValueError or OSError with the reason."""
        settled = subprocess.run(
            python("loadbalancer.cli.up"), input=json.dumps(dict(self.flags)), capture_output=True, text=True,
            timeout=SETTLE_TIMEOUT_S, check=False,
        )  # fmt: skip
        if settled.returncode != 0:
            raise ValueError(settled.stderr.strip()[-500:] or f"exit status {settled.returncode}")
        return Startup.load(settled.stdout)


def python(module: str, *arguments: str) -> list[str]:
    """The argv that runs a module of ours in this interpreter."""
    return [sys.executable, "-m", module, *arguments]
