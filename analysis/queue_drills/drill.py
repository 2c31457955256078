"""What all drills are given."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from analysis.queue_drills.engines import Start
from analysis.queue_drills.report import Report


@dataclass(frozen=True, slots=True)
class Size:
    """`times`: kills; `changes`: /add and /rm of the churn; `rate`: messages a second, of all producers together;
    `crowd`: partitions, and connections; `stalled`: consumers that never read; `sends`: synchronous, for a percentile.
    """

    seed: int
    parent: Path
    times: int = 200
    changes: int = 20
    rate: float = 1000.0
    crowd: int = 2000
    stalled: int = 100
    sends: int = 2000


Drill = Callable[[Start, str, Size], Report]
"""(how the engine is started, its name, size) -> what came out."""
